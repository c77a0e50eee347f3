"""The readers' copy: whole, consistent, and replaced in one step."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import duckdb
import pytest

from include.transform import snapshot as snapshot_module
from include.transform.snapshot import replace_snapshot
from include.warehouse.base import WarehouseError

HOLD = """
import duckdb, sys, time
connection = duckdb.connect(sys.argv[1])
connection.execute("insert into numbers values (1000)")
print("open", flush=True)
time.sleep(float(sys.argv[2]))
"""


@pytest.fixture
def warehouse(tmp_path: Path) -> Path:
    path = tmp_path / "warehouse.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.execute("create table numbers as select i from range(1000) as numbers (i)")
    return path


@pytest.fixture
def snapshot(tmp_path: Path) -> Path:
    return tmp_path / "snapshot" / "vending.duckdb"


def count(path: Path) -> int:
    with duckdb.connect(str(path), read_only=True) as connection:
        return connection.execute("select count(*) from numbers").fetchall()[0][0]


def test_the_copy_holds_what_the_warehouse_holds(warehouse: Path, snapshot: Path) -> None:
    replace_snapshot(warehouse, snapshot)
    assert count(snapshot) == 1000
    assert [path.name for path in snapshot.parent.iterdir()] == ["vending.duckdb"]


def test_a_reader_of_the_last_copy_goes_on_reading_it(warehouse: Path, snapshot: Path) -> None:
    replace_snapshot(warehouse, snapshot)
    with duckdb.connect(str(snapshot), read_only=True) as reader:
        with duckdb.connect(str(warehouse)) as writer:
            writer.execute("delete from numbers where i >= 500")
        replace_snapshot(warehouse, snapshot)
        assert reader.execute("select count(*) from numbers").fetchall() == [(1000,)]
    assert count(snapshot) == 500


def test_a_log_that_a_killed_writer_left_is_in_the_copy(warehouse: Path, snapshot: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(warehouse), "60"], stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"open\n"
    process.kill()
    process.wait()
    process.stdout.close()
    assert warehouse.with_name("warehouse.duckdb.wal").stat().st_size > 0
    replace_snapshot(warehouse, snapshot)
    assert count(snapshot) == 1001


def test_a_writer_is_waited_for(warehouse: Path, snapshot: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(warehouse), "2"], stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        started = time.monotonic()
        replace_snapshot(warehouse, snapshot)
        assert time.monotonic() - started > 1
    assert count(snapshot) == 1001


def test_a_warehouse_that_cannot_be_opened_leaves_the_last_copy(
    warehouse: Path, snapshot: Path
) -> None:
    replace_snapshot(warehouse, snapshot)
    warehouse.write_bytes(b"no database at all" * 1000)
    with pytest.raises(WarehouseError):
        replace_snapshot(warehouse, snapshot)
    assert count(snapshot) == 1000


def test_a_full_disk_leaves_the_last_copy_and_no_half_one(
    warehouse: Path, snapshot: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    replace_snapshot(warehouse, snapshot)

    def full(source: Path, target: Path) -> None:
        target.write_bytes(source.read_bytes()[:100])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(snapshot_module.shutil, "copyfile", full)
    with pytest.raises(OSError, match="No space left"):
        replace_snapshot(warehouse, snapshot)
    assert count(snapshot) == 1000
    assert [path.name for path in snapshot.parent.iterdir()] == ["vending.duckdb"]


def test_a_mart_that_is_held_back_stays_as_readers_know_it(warehouse: Path, snapshot: Path) -> None:
    def build(amount: int) -> None:
        with duckdb.connect(str(warehouse)) as connection:
            connection.execute("create schema if not exists marts")
            for mart in ("fct_sales", "dim_products"):
                connection.execute(f"create or replace table marts.{mart} as select {amount} as a")

    def read(mart: str) -> list[tuple[int]]:
        with duckdb.connect(str(snapshot), read_only=True) as connection:
            return connection.execute(f"from marts.{mart}").fetchall()

    build(1)
    replace_snapshot(warehouse, snapshot)
    build(2)
    replace_snapshot(warehouse, snapshot, ["fct_sales"])
    assert (read("fct_sales"), read("dim_products")) == ([(1,)], [(2,)])
    assert [path.name for path in snapshot.parent.iterdir()] == ["vending.duckdb"]


def test_a_mart_that_is_held_back_from_the_first_copy_is_absent(
    warehouse: Path, snapshot: Path
) -> None:
    with duckdb.connect(str(warehouse)) as connection:
        connection.execute("create schema marts")
        connection.execute("create table marts.fct_sales as select 1 as a")
    replace_snapshot(warehouse, snapshot, ["fct_sales"])
    with duckdb.connect(str(snapshot), read_only=True) as connection:
        known = connection.execute("select table_name from duckdb_tables()").fetchall()
    assert known == [("numbers",)]
