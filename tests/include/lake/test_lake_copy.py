"""A copy of the lake: only what is new travels, and a check says what differs."""

from __future__ import annotations

import hashlib
import os
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import pytest

from include.lake import DiskLake, LakeError
from include.lake.copy import Difference, Found, LakeCopy, Layer

KEYS = (
    "staging/sales/a.parquet",
    "staging/sales/b.parquet",
    "staging/_runs/run-1/plan.json",
    "quarantine/sales/a.parquet",
)


class Killed(BaseException):
    """Nothing catches it, as nothing catches a kill."""


class DyingLake(DiskLake):
    """A lake whose writer is killed at its nth write, before or after the write."""

    def __init__(self, root: Path, writes: int, *, after: bool) -> None:
        super().__init__(root)
        self._left, self._after = writes, after

    def put_file(self, path: Path, key: str) -> None:
        self._left -= 1
        if self._left < 0 and not self._after:
            raise Killed
        super().put_file(path, key)
        if self._left < 0:
            raise Killed


@pytest.fixture
def lake(tmp_path: Path) -> DiskLake:
    made = DiskLake(tmp_path / "lake")
    for key in KEYS:
        made.write_bytes(key, key.encode())
    made.write_bytes("raw/files/sales/a.csv/1", b"1")
    return made


@pytest.fixture
def target(tmp_path: Path) -> DiskLake:
    return DiskLake(tmp_path / "copy")


@pytest.fixture
def silver(lake: DiskLake, target: DiskLake) -> LakeCopy:
    return LakeCopy(lake, target, Layer.SILVER)


def keys(lake: DiskLake, prefix: str) -> set[str]:
    return {stored.key for stored in lake.list(prefix)}


def manifest(lake: DiskLake, layer: Layer) -> dict[str, str]:
    with (
        lake.local_paths(keys(lake, f"manifests/{layer}")) as paths,
        duckdb.connect() as connection,
    ):
        found = connection.execute(
            "SELECT key, sha256 FROM read_parquet(?)", [[str(path) for path in paths]]
        ).fetchall()
    assert len(found) == len(dict(found))
    return dict(found)


def test_raw_becomes_bronze_and_what_is_conformed_or_rejected_silver(lake, target, silver):
    assert silver.bring().copied == len(KEYS)
    assert LakeCopy(lake, target, Layer.BRONZE).bring().copied == 1

    assert keys(target, "silver") == {f"silver/{key}" for key in KEYS}
    assert keys(target, "bronze") == {"bronze/raw/files/sales/a.csv/1"}
    assert target.read_bytes(f"silver/{KEYS[0]}") == KEYS[0].encode()


def test_each_object_of_a_copy_is_in_a_manifest_with_its_checksum(target, silver):
    silver.bring()

    expected = {key: hashlib.sha256(key.encode()).hexdigest() for key in KEYS}
    assert manifest(target, Layer.SILVER) == expected
    assert silver.check() == silver.check(read_back=True) == []


def test_a_second_copy_writes_only_what_is_new_or_has_changed(lake, target, silver):
    silver.bring()
    before = {stored.key: stored.etag for stored in target.list("silver")}
    assert silver.bring().copied == 0
    assert len(keys(target, "manifests")) == 1

    lake.write_bytes("staging/sales/c.parquet", b"new")
    lake.write_bytes(KEYS[2], b"the plan has grown")
    assert silver.bring().copied == 2

    assert target.read_bytes(f"silver/{KEYS[2]}") == b"the plan has grown"
    after = {stored.key: stored.etag for stored in target.list("silver")}
    assert {key for key in before if before[key] != after[key]} == {f"silver/{KEYS[2]}"}
    assert silver.check() == []


def test_the_check_says_what_is_missing_extra_and_changed(lake, target, silver):
    silver.bring()
    target.delete(f"silver/{KEYS[0]}")
    target.write_bytes(f"silver/{KEYS[1]}", b"somebody's")
    target.write_bytes("silver/staging/x.parquet", b"somebody's")
    lake.delete(KEYS[3])

    assert silver.check() == [
        Found(Difference.CHANGED, 1, KEYS[1]),
        Found(Difference.EXTRA, 2, KEYS[3]),
        Found(Difference.MISSING, 1, KEYS[0]),
    ]

    silver.bring()
    assert [found.difference for found in silver.check()] == [Difference.EXTRA]
    assert silver.bring(delete_extra=True).deleted == 2
    assert silver.check() == []


def test_what_the_lake_got_after_the_copy_began_is_not_due_yet(lake, silver):
    silver.bring()
    began = datetime.now(UTC)
    lake.write_bytes("staging/sales/c.parquet", b"new")
    later = time.time() + 60
    os.utime(lake._root / "staging/sales/c.parquet", (later, later))

    assert silver.check(before=began + timedelta(seconds=30)) == []
    assert [found.difference for found in silver.check()] == [Difference.MISSING]


def test_an_object_that_is_damaged_without_a_trace_is_found_by_reading_it_back(target, silver):
    silver.bring()
    path = target._root / f"silver/{KEYS[0]}"
    status = path.stat()
    path.write_bytes(b"x" * status.st_size)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))

    assert silver.check() == []
    assert silver.check(read_back=True) == [Found(Difference.CHANGED, 1, KEYS[0])]


def test_an_object_that_is_swept_while_it_is_copied_is_left_out(lake, target):
    class Sweeping(DiskLake):
        def open(self, key: str):
            self.delete(KEYS[0])
            return super().open(key)

    swept = LakeCopy(Sweeping(lake._root), target, Layer.SILVER)

    assert swept.bring().copied in {len(KEYS) - 1, len(KEYS)}
    assert [found.difference for found in swept.check()] in ([], [Difference.EXTRA])


def test_an_object_that_cannot_be_read_fails_the_copy(lake, target, silver, monkeypatch):
    def refuse(key: str):
        raise LakeError("Cannot read it.")

    monkeypatch.setattr(lake, "open", refuse)
    with pytest.raises(LakeError, match="Cannot read"):
        silver.bring()


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_wherever_a_copy_is_killed_the_next_one_completes_it(lake, tmp_path, monkeypatch, after):
    monkeypatch.setattr("include.lake.copy.STEP_OBJECTS", 2)
    monkeypatch.setattr("include.lake.copy.THREADS", 1)
    writes = len(KEYS) + 2
    for nth in range(writes):
        root = tmp_path / f"copy-{nth}"
        with pytest.raises(Killed):
            LakeCopy(lake, DyingLake(root, nth, after=after), Layer.SILVER).bring()
        target = DiskLake(root)
        again = LakeCopy(lake, target, Layer.SILVER)

        # The step that it was in is done again, and none before it; a step is three writes.
        whole_steps = (nth + after) // 3
        assert again.bring().copied == len(KEYS) - 2 * whole_steps
        assert again.check(read_back=True) == []
        assert keys(target, "silver") == {f"silver/{key}" for key in KEYS}


def test_an_empty_lake_has_an_empty_copy(tmp_path, target):
    empty = LakeCopy(DiskLake(tmp_path / "none"), target, Layer.BRONZE)

    assert empty.bring().copied == 0
    assert empty.check(read_back=True) == []
