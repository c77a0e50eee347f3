"""KV: pairs for changed rows only, and readers who never mix two versions."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import duckdb
import pytest

from deploy.cloudflare.local_cloudflare import LocalCloudflare
from include.cloudflare import kv as kv_api
from include.cloudflare.errors import CloudflareError
from include.cloudflare.kv import KvNamespace, Pair
from include.publish import kv as kv_sink
from include.publish.kv import Pointer, Version, read_pointer, roll_back
from include.publish.marts import PublishError
from include.publish.spec import KvSpec, Sink
from tests.cloudflare.published import (
    Warehouse,
    answer_next_with,
    journal,
    namespace,
    publish_kv,
    warehouse,
)

TEMPLATE = "{mart}/{{source}}/{{machine_id}}"


def kv_warehouse(folder: Path, name: str, rows: int, ttl: int | None = None) -> Warehouse:
    key = TEMPLATE.format(mart=name.replace("_", "-"))
    return warehouse(folder, name, rows, kv=KvSpec(key=key, ttl_seconds=ttl))


def read_version(kv: KvNamespace, mart: str, version: Version) -> dict[str, Any]:
    """Every row of a version, by row key, as a reader finds them."""
    rows = {}
    for part in version.parts.values():
        for row_key, digest in json.loads(kv.read(f"{mart}/index/{part}") or "{}").items():
            value = kv.read(f"{row_key}@{digest}")
            assert value is not None, f"{row_key} of {version.version} is missing"
            rows[row_key] = json.loads(value)
    return rows


def pointer_of(kv: KvNamespace, mart: str) -> Pointer:
    pointer = read_pointer(kv, mart)
    assert pointer is not None
    return pointer


def test_each_row_is_a_pair_named_by_the_template(
    cloudflare: LocalCloudflare, tmp_path: Path
) -> None:
    made = kv_warehouse(tmp_path, "kv_rows", 20)
    made.execute("UPDATE MART SET machine_id = '自販機/1 @2' WHERE units = 3")
    publish_kv(made, cloudflare)
    with namespace(cloudflare) as kv:
        rows = read_version(kv, "kv_rows", pointer_of(kv, "kv_rows").current)
    assert len(rows) == 20
    encoded = "kv-rows/fleet/%E8%87%AA%E8%B2%A9%E6%A9%9F%2F1%20%402"
    assert rows[encoded] == {
        "source": "fleet",
        "machine_id": "自販機/1 @2",
        "business_date": "2026-01-01",
        "units": 3,
        "amount": 4.5,
        "is_open": False,
        "seen_at": "2026-01-01T09:00:00.000000Z",
        "note": "it's; 3",
    }


def test_the_part_of_a_row_is_found_by_the_digest_of_its_key(
    cloudflare: LocalCloudflare, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kv_sink, "PART_ROWS", 10)
    made = kv_warehouse(tmp_path, "kv_parts", 60)
    publish_kv(made, cloudflare)
    with namespace(cloudflare) as kv:
        current = pointer_of(kv, "kv_parts").current
        assert current.prefix_length == 1
        key = "kv-parts/fleet/M000042"
        prefix = hashlib.md5(key.encode(), usedforsecurity=False).hexdigest()[:1]
        part = json.loads(kv.read(f"kv_parts/index/{current.parts[prefix]}") or "{}")
        assert kv.read(f"{key}@{part[key]}") is not None


def test_an_unchanged_mart_costs_one_read(cloudflare: LocalCloudflare, tmp_path: Path) -> None:
    made = kv_warehouse(tmp_path, "kv_unchanged", 20)
    publish_kv(made, cloudflare)
    before = len(journal(cloudflare))
    assert publish_kv(made, cloudflare).how == "unchanged"
    assert [call.split()[0] for call in journal(cloudflare)[before:]] == ["GET"]


def test_only_changed_rows_and_their_part_are_written(
    cloudflare: LocalCloudflare, tmp_path: Path
) -> None:
    made = kv_warehouse(tmp_path, "kv_changed", 100)
    publish_kv(made, cloudflare)
    made.execute("UPDATE MART SET units = -1 WHERE units < 3", "DELETE FROM MART WHERE units = 50")
    outcome = publish_kv(made, cloudflare)
    assert (outcome.how, outcome.upserted, outcome.written) == ("changed", 3, 3 + 1 + 1)


def test_the_version_before_stays_whole_and_older_ones_go(
    cloudflare: LocalCloudflare, tmp_path: Path
) -> None:
    made = kv_warehouse(tmp_path, "kv_older", 30)
    seen = []
    for round_number in range(4):
        made.execute(f"UPDATE MART SET note = '{round_number}' WHERE units % 3 = 0")
        publish_kv(made, cloudflare)
        with namespace(cloudflare) as kv:
            pointer = pointer_of(kv, "kv_older")
            seen.append(read_version(kv, "kv_older", pointer.current))
            if pointer.previous:
                assert read_version(kv, "kv_older", pointer.previous) == seen[-2]
    with namespace(cloudflare) as kv:
        # 20 rows that never changed, 10 of each of two versions.
        assert len(list(kv.keys("kv-older/"))) == 40
        assert len(list(kv.keys("kv_older/index/"))) == 2
    assert len(made.versions(Sink.KV).all()) == 2


def test_a_roll_back_shows_the_version_before_until_the_mart_changes(
    cloudflare: LocalCloudflare, tmp_path: Path
) -> None:
    made = kv_warehouse(tmp_path, "kv_back", 10)
    first = publish_kv(made, cloudflare).version
    made.execute("UPDATE MART SET note = 'wrong'")
    publish_kv(made, cloudflare)
    with namespace(cloudflare) as kv:
        assert roll_back(kv, "kv_back").version == first
    assert publish_kv(made, cloudflare).version == first
    made.execute("UPDATE MART SET note = 'mended'")
    mended = publish_kv(made, cloudflare)
    with namespace(cloudflare) as kv:
        pointer = pointer_of(kv, "kv_back")
        rows = read_version(kv, "kv_back", pointer.current)
        assert pointer.current.version == mended.version
        assert {row["note"] for row in rows.values()} == {"mended"}
        read_version(kv, "kv_back", pointer.previous)  # type: ignore[arg-type]


def test_without_a_version_before_nothing_is_rolled_back(
    cloudflare: LocalCloudflare, tmp_path: Path
) -> None:
    made = kv_warehouse(tmp_path, "kv_first", 3)
    publish_kv(made, cloudflare)
    with namespace(cloudflare) as kv, pytest.raises(PublishError, match="no version"):
        roll_back(kv, "kv_first")


def test_rows_with_a_time_to_live_are_written_again_before_they_expire(
    cloudflare: LocalCloudflare, tmp_path: Path
) -> None:
    made = kv_warehouse(tmp_path, "kv_ttl", 10, ttl=3_600)
    version = publish_kv(made, cloudflare).version
    assert publish_kv(made, cloudflare).written == 0
    age(made, version, seconds=2_000)
    assert publish_kv(made, cloudflare).written == 11
    assert publish_kv(made, cloudflare).written == 0
    age(made, version, seconds=2_000)
    made.execute("UPDATE MART SET note = 'new' WHERE units = 3")
    assert publish_kv(made, cloudflare).upserted == 10


def test_a_publisher_that_died_before_the_pointer_leaves_nothing_behind(
    cloudflare: LocalCloudflare, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = kv_warehouse(tmp_path, "kv_died", 10)
    publish_kv(made, cloudflare)
    made.execute("UPDATE MART SET note = 'lost'")
    with monkeypatch.context() as patch:
        patch.setattr(kv_sink, "write_pointer", die)
        with pytest.raises(KeyboardInterrupt):
            publish_kv(made, cloudflare)
    made.execute("UPDATE MART SET note = 'kept'")
    publish_kv(made, cloudflare)
    with namespace(cloudflare) as kv:
        pointer = pointer_of(kv, "kv_died")
        read_version(kv, "kv_died", pointer.current)
        read_version(kv, "kv_died", pointer.previous)  # type: ignore[arg-type]
        assert len(list(kv.keys("kv-died/"))) == 20


def test_two_rows_of_one_key_are_refused(cloudflare: LocalCloudflare, tmp_path: Path) -> None:
    made = kv_warehouse(tmp_path, "kv_twice", 3)
    made.execute("INSERT INTO MART SELECT * FROM MART WHERE units = 1")
    with pytest.raises(PublishError, match="two rows of the KV key"):
        publish_kv(made, cloudflare)


def test_bulks_keep_to_the_limits_of_number_and_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kv_api, "BULK_PAIRS", 3)
    monkeypatch.setattr(kv_api, "BULK_BYTES", 20)
    pairs = [Pair("k", "v" * size) for size in (1, 1, 1, 1, 15, 15, 30, 1)]
    bulks = [[len(pair.value) for pair in bulk] for bulk in kv_api._bulks(pairs)]
    assert bulks == [[1, 1, 1], [1, 15], [15], [30], [1]]


def test_what_kv_refuses_is_told_with_its_code(cloudflare: LocalCloudflare) -> None:
    answer_next_with(cloudflare, {"status": 400, "code": 10023, "message": "too many"})
    with namespace(cloudflare) as kv, pytest.raises(CloudflareError, match="10023"):
        kv.put_all([Pair("a", "b")])


def die(*arguments: object) -> None:
    raise KeyboardInterrupt


def age(made: Warehouse, version: str, seconds: int) -> None:
    """Make the pairs of a version look older than they are."""
    path = made.folder / "lake" / made.versions(Sink.KV).key(version)
    with duckdb.connect() as connection:
        aged = path.with_name("aged.parquet")
        connection.execute(
            f"COPY (SELECT name, written_at - {seconds} AS written_at FROM '{path}') TO '{aged}'"
        )
        aged.replace(path)
