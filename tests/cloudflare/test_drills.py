"""Publishers killed at random moments, watched by readers who must see whole versions only."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from deploy.cloudflare.local_catalog import LocalCatalog
from deploy.cloudflare.local_cloudflare import LocalCloudflare
from include.cloudflare.client import open_cloudflare
from include.cloudflare.d1 import D1Database, Statement
from include.cloudflare.iceberg import IcebergCatalog
from include.cloudflare.kv import KvNamespace
from include.publish.d1 import tables_beside
from include.publish.iceberg_files import current_files
from include.publish.iceberg_maintenance import delete_lost_files, expire
from include.publish.kv import read_pointer
from include.settings import CODE_ROOT
from tests.cloudflare.drill_publisher import MART, ROWS, open_drill, version_of
from tests.cloudflare.published import (
    namespace,
    open_local,
    publish_d1,
    publish_iceberg,
    publish_kv,
    query_d1,
)

KILLS = 10
SEED = 7


class Reader(threading.Thread):
    """Looks again and again; `seen` is what it saw, and `error` what was wrong with it."""

    def __init__(self, look: Callable[[], int | None]) -> None:
        super().__init__(daemon=True)
        self._look = look
        self._over = threading.Event()
        self.seen: list[int] = []
        self.error: BaseException | None = None

    def run(self) -> None:
        try:
            while not self._over.is_set():
                version = self._look()
                if version is not None:
                    self.seen.append(version)
                # Two readers without a pause leave a small machine no time to publish.
                time.sleep(0.02)
        except BaseException as error:
            self.error = error

    def stop(self) -> list[int]:
        self._over.set()
        self.join(60)
        if self.error is not None:
            raise self.error
        return self.seen


def d1_reader(database: D1Database) -> int | None:
    found = database.run(
        [
            Statement(
                "SELECT count(*) AS n, min(amount) AS low, max(amount) AS high, "
                f"(SELECT row_count FROM publications WHERE mart = '{MART}') AS told FROM {MART}"
            )
        ]
    ).rows[0]
    assert found["low"] == found["high"], f"two versions at once: {found}"
    assert found["n"] == ROWS + found["low"] % 50 == found["told"], f"half a version: {found}"
    return int(found["low"])


def kv_reader(kv: KvNamespace) -> int | None:
    pointer = read_pointer(kv, MART)
    if pointer is None:
        return None
    version = pointer.current
    part = json.loads(kv.read(f"{MART}/index/{next(iter(version.parts.values()))}") or "null")
    if part is None:  # a version that has been followed by two others since the pointer was read
        return None
    keys = sorted(part)
    values = [kv.read(f"{key}@{part[key]}") for key in (keys[0], keys[len(keys) // 2], keys[-1])]
    if None in values:
        now = read_pointer(kv, MART)
        assert now is not None
        assert now.current.version != version.version, "the version that readers see lacks a row"
        return None
    amounts = {json.loads(value or "{}")["amount"] for value in values}
    assert len(amounts) == 1, f"two versions at once: {amounts}"
    (amount,) = amounts
    assert len(part) == ROWS + amount % 50
    return int(amount)


class Publishers:
    """Starts publishers, one at a time."""

    def __init__(self, module: str, folder: Path, access: str) -> None:
        self._nursery = subprocess.Popen(
            [sys.executable, "-m", f"tests.cloudflare.{module}", str(folder), access],
            cwd=CODE_ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def start(self) -> int:
        """The process id of a new one, once the one before it has died."""
        assert self._nursery.stdin is not None
        self._nursery.stdin.write("\n")
        self._nursery.stdin.flush()
        while not (line := self._line()).startswith("pid "):
            pass
        return int(line.removeprefix("pid "))

    def publish_one(self) -> int:
        """The process id of one that was killed after its first version."""
        publisher = self.start()
        self.one_version()
        os.kill(publisher, signal.SIGKILL)
        return publisher

    def kill_at_random(self) -> None:
        """Start KILLS of them, and kill each somewhere in its second or third version."""
        moments = random.Random(SEED)
        for _ in range(KILLS):
            publisher = self.start()
            took = self.one_version()
            time.sleep(moments.uniform(0.0, 2.0) * took)
            os.kill(publisher, signal.SIGKILL)

    def one_version(self) -> float:
        """The seconds that publishing one version takes on this machine just now."""
        started = time.monotonic()
        assert self._line().strip().isdigit()
        return time.monotonic() - started

    def end(self) -> None:
        self._nursery.kill()
        self._nursery.communicate()

    def _line(self) -> str:
        assert self._nursery.stdout is not None
        line = self._nursery.stdout.readline()
        assert line, "the parent of the publishers has died"
        return line


@pytest.fixture
def publishers(cloudflare: LocalCloudflare, tmp_path: Path) -> Iterator[Publishers]:
    started = Publishers("drill_publisher", tmp_path, json.dumps(asdict(cloudflare)))
    yield started
    started.end()


@pytest.fixture
def iceberg_publishers(catalog: LocalCatalog, tmp_path: Path) -> Iterator[Publishers]:
    started = Publishers("drill_iceberg", tmp_path, catalog.access.model_dump_json())
    yield started
    started.end()


@pytest.mark.slow
def test_readers_see_whole_versions_only_wherever_a_publisher_is_killed(
    cloudflare: LocalCloudflare, publishers: Publishers, tmp_path: Path
) -> None:
    publishers.publish_one()
    with open_cloudflare(cloudflare.access) as client, namespace(cloudflare) as kv:
        database = D1Database(client, "local", "marts")
        readers = [Reader(lambda: d1_reader(database)), Reader(lambda: kv_reader(kv))]
        for reader in readers:
            reader.start()
        publishers.kill_at_random()
        seen = [reader.stop() for reader in readers]
        made = open_drill(tmp_path)
        publish_d1(made, cloudflare)
        publish_kv(made, cloudflare)
        assert d1_reader(database) == kv_reader(kv) == version_of(made)
        # What the killed left beside the table is gone with the next load of everything.
        publish_everything_again(made, cloudflare)
        assert tables_beside(database, MART) == []
    for versions in seen:
        assert versions == sorted(versions), "a reader saw an older version after a newer one"
        assert len(set(versions)) >= KILLS / 2, f"too little was seen: {set(versions)}"


def iceberg_reader(tables: IcebergCatalog) -> int | None:
    table = tables.load(MART)
    if table is None or table.current_snapshot() is None:
        return None
    rows = table.scan(selected_fields=("amount",)).to_arrow()
    amounts = {int(amount) for amount in rows.column("amount").to_pylist()}
    assert len(amounts) == 1, f"two versions at once: {amounts}"
    (amount,) = amounts
    assert rows.num_rows == ROWS + amount % 7, f"half a version: {amount}, {rows.num_rows} rows"
    return amount


@pytest.mark.slow
def test_readers_of_iceberg_see_whole_versions_only_wherever_a_publisher_is_killed(
    catalog: LocalCatalog, iceberg_publishers: Publishers, tmp_path: Path
) -> None:
    iceberg_publishers.publish_one()
    tables = open_local(catalog)
    reader = Reader(lambda: iceberg_reader(tables))
    reader.start()
    iceberg_publishers.kill_at_random()
    seen = reader.stop()
    # One more, which starts once the last one has died, so that the mart's file is free.
    last = iceberg_publishers.publish_one()
    while Path(f"/proc/{last}").exists():
        time.sleep(0.01)
    made = open_drill(tmp_path)
    publish_iceberg(made, catalog)
    assert iceberg_reader(tables) == version_of(made)
    assert seen == sorted(seen), "a reader saw an older version after a newer one"
    assert len(set(seen)) >= KILLS / 2, f"too little was seen: {set(seen)}"
    # What the killed left beside the table is found and goes.
    table = tables.load(MART)
    assert table is not None
    later = datetime.now(UTC) + timedelta(days=8)
    expire(table, later)
    delete_lost_files(table, later)
    left = {path.name for path in (tmp_path / "catalog").rglob("*.parquet")}
    assert left == {Path(task.file.file_path).name for task in current_files(table)}
    assert iceberg_reader(tables) == version_of(made)


def publish_everything_again(made: Any, cloudflare: LocalCloudflare) -> None:
    query_d1(cloudflare, f"DELETE FROM publications WHERE mart = '{MART}'")
    assert publish_d1(made, cloudflare).how == "replaced"
