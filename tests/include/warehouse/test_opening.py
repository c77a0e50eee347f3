"""Opening the DuckDB file, and its tables."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import replace

import duckdb
import pytest

from include.contracts import Dialect, load_catalog
from include.lake import DiskLake
from include.settings import Settings, load_settings
from include.warehouse import WarehouseError, open_warehouse, schema

HOLD = """
import sys, time, duckdb
connection = duckdb.connect(sys.argv[1])
print("open", flush=True)
time.sleep(float(sys.argv[2]))
"""


@pytest.fixture
def hold(settings: Settings):
    """Another process that has the file open for some seconds."""
    settings.warehouse.path.parent.mkdir(parents=True)
    holders = []

    def start(seconds: float) -> subprocess.Popen[str]:
        holder = subprocess.Popen(
            [sys.executable, "-c", HOLD, str(settings.warehouse.path), str(seconds)],
            stdout=subprocess.PIPE,
            text=True,
        )
        holders.append(holder)
        assert holder.stdout.readline() == "open\n"
        return holder

    yield start
    for holder in holders:
        holder.kill()
        holder.wait()
        holder.stdout.close()


def test_a_warehouse_in_use_is_waited_for(settings, lake, hold):
    hold(1)
    started = time.monotonic()

    with open_warehouse(settings.warehouse, lake, wait_seconds=30):
        assert time.monotonic() - started > 0.3


def test_a_warehouse_that_stays_in_use_is_a_sentence_with_the_process(settings, lake, hold):
    holder = hold(60)

    with (
        pytest.raises(WarehouseError, match=rf"is in use by process {holder.pid}; close it"),
        open_warehouse(settings.warehouse, lake, wait_seconds=0.3),
    ):
        pytest.fail("the file was open elsewhere")


@pytest.mark.parametrize("content", [b"not a database", os.urandom(20_000)])
def test_a_damaged_warehouse_is_a_sentence_with_the_remedy(settings, lake, content):
    settings.warehouse.path.parent.mkdir(parents=True)
    settings.warehouse.path.write_bytes(content)

    with (
        pytest.raises(
            WarehouseError, match=r"dbt_dev.duckdb is damaged .*; make it again from raw"
        ),
        open_warehouse(settings.warehouse, lake),
    ):
        pytest.fail("the file is damaged")


def test_a_truncated_warehouse_is_a_sentence_with_the_remedy(settings, lake, warehouse):
    path = settings.warehouse.path
    warehouse._connection.execute("CHECKPOINT")
    warehouse._connection.close()
    os.truncate(path, path.stat().st_size // 3)

    with (
        pytest.raises(WarehouseError, match=r"is damaged .*; make it again from raw"),
        open_warehouse(settings.warehouse, lake) as opened,
    ):
        opened.ensure_schema(load_catalog().datasets)


def test_making_the_tables_again_changes_nothing(settings, lake, warehouse):
    before = _columns(warehouse._connection)

    warehouse.ensure_schema(load_catalog().datasets)

    assert _columns(warehouse._connection) == before
    assert {table for _, table, _ in before} >= {"sales", "weather", "load_history", "quarantine"}
    lock = warehouse._connection.execute("SELECT ledger_seq FROM ops.load_lock").fetchall()
    assert lock == [(0,)]


def test_a_column_of_a_newer_contract_is_added_to_the_table(warehouse):
    sales = load_catalog().dataset("sales")
    channel = replace(sales.field("currency"), name="channel", required=False)
    newer = replace(sales, fields=(*sales.fields, channel))

    warehouse.ensure_schema([newer])

    added = ("raw", "sales", "channel")
    assert added in _columns(warehouse._connection)


def test_the_tables_of_snowflake_follow_from_the_same_contracts():
    statements = schema.creation(load_catalog().datasets, Dialect.SNOWFLAKE, "STAGING")

    sales = next(statement for statement in statements if "STAGING.sales" in statement)
    assert "amount NUMBER(18,2) NOT NULL" in sales
    assert "sold_at TIMESTAMP_NTZ(6) NOT NULL" in sales


def _columns(connection: duckdb.DuckDBPyConnection) -> list[tuple[str, str, str]]:
    return connection.execute(
        "SELECT table_schema, table_name, column_name FROM information_schema.columns ORDER BY ALL"
    ).fetchall()


def test_snowflake_without_its_connection_is_a_sentence_that_names_it(tmp_path):
    cloud = load_settings({"VENDING_ENV": "staging", "VENDING_COMPANY": "acme"})

    with (
        pytest.raises(WarehouseError, match=r"connection 'snowflake' is missing or malformed"),
        open_warehouse(cloud.warehouse, DiskLake(tmp_path)),
    ):
        pass
