"""A whole ingest run, step by step, on real files, a real DuckDB and a real server."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import pytest

from include.contracts import load_catalog
from include.ingest import steps
from include.ingest.api import ApiAccess, fetch_pages
from include.ingest.plan import RunSummary
from include.ingest.runs import IngestRun
from include.ingest.steps import IngestError
from include.ingest.sweep import sweep
from include.ingest.verify import VerificationError
from include.lake import LakeError
from include.warehouse import open_warehouse
from tests.include.ingest.running import Ingest, products, sales
from tests.include.ingest.vendor import TOKEN, page, serving

TELEMETRY = load_catalog().source("fleet.machine_telemetry")
BAD_ROW = "P9,Tea,cheap,JPY\n"


def test_files_reach_the_raw_tables_and_a_second_run_changes_no_row(ingest):
    ingest.deliver("products.csv", products("Cola", "Tea") + BAD_ROW.encode())
    ingest.deliver("day/sales_VM001_20260101.csv", sales("VM001", 120, 130))

    first = ingest()

    assert first == RunSummary(
        files=2,
        unknown_files=0,
        rows_read=5,
        rows_conformed=4,
        rows_quarantined=1,
        rows_duplicate=0,
        quarantined={"invalid_value": 1},
        drift={
            "fleet.products: added currency": 1,
            "fleet.products: missing category_id": 1,
            "fleet.products: missing unit_cost": 1,
            "fleet.products: missing jan_code": 1,
            "fleet.products: missing effective_on": 1,
        },
    )
    everything = "SELECT * FROM raw.sales", "SELECT * FROM ops.load_history", "FROM ops.load_lock"
    before = [ingest.rows(statement) for statement in everything]
    assert ingest().files == 0
    assert [ingest.rows(statement) for statement in everything] == before


def test_a_corrected_file_replaces_its_rows_and_no_others(ingest):
    ingest.deliver("sales_VM001_20260101.csv", sales("VM001", 120, 130))
    ingest.deliver("sales_VM002_20260101.csv", sales("VM002", 500))
    ingest()
    ingest.deliver("sales_VM001_20260101.csv", sales("VM001", 110))

    assert ingest().files == 1

    by_machine = "SELECT machine_id, sum(amount)::INTEGER FROM raw.sales GROUP BY 1 ORDER BY 1"
    assert ingest.rows(by_machine) == [("VM001", 110), ("VM002", 500)]


def test_a_file_that_was_only_touched_is_read_once_and_then_left_alone(ingest, lake):
    ingest.deliver("products.csv", products("Cola"))
    ingest()
    os.utime(Path(lake._root / "sources/products.csv"), (1, 1))

    touched = ingest()
    run = ingest.new_run()

    assert touched.files == 0
    assert steps.discover_files(run, ingest.settings) == []
    assert ingest.rows("SELECT count(*) FROM ops.load_history") == [(1,)]


def test_a_file_that_cannot_be_read_stops_no_other_and_is_named(ingest, lake):
    ingest.deliver("sales_VM001_20260101.csv", sales("VM001", 120))
    ingest.deliver("sales_VM002_20260101.csv", sales("VM002", 500))
    ingest.deliver("products.csv", products("Cola"))
    run = ingest.new_run()
    [group] = steps.discover_files(run, ingest.settings)
    lake.delete("sources/sales_VM001_20260101.csv")

    with pytest.raises(IngestError, match=r"Cannot read 'sources/sales_VM001_20260101.csv'"):
        steps.conform(run, ingest.settings, group)
    steps.load(run, ingest.settings)

    assert ingest.rows("SELECT DISTINCT machine_id FROM raw.sales") == [("VM002",)]
    assert ingest.rows("SELECT count(*) FROM raw.products") == [(1,)]
    with pytest.raises(
        VerificationError, match=r"has 2 files and 1 were loaded; clear its conform"
    ):
        steps.verify_run(run, ingest.settings)


def test_a_batch_that_cannot_be_loaded_stops_no_other(ingest, lake):
    ingest.deliver("sales_VM001_20260101.csv", sales("VM001", 120))
    ingest.deliver("products.csv", products("Cola"))
    run = ingest.new_run()
    for group in steps.discover_files(run, ingest.settings):
        steps.conform(run, ingest.settings, group)
    [parquet] = lake.list("staging/sales")
    content = lake.read_bytes(parquet.key)
    lake.write_bytes(parquet.key, content[:-20])

    with pytest.raises(IngestError, match=r"loading batch fleet.sales-"):
        steps.load(run, ingest.settings)
    assert ingest.rows("SELECT count(*) FROM raw.products") == [(1,)]
    assert ingest.rows("SELECT count(*) FROM raw.sales") == [(0,)]

    lake.write_bytes(parquet.key, content)
    steps.load(run, ingest.settings)
    assert steps.verify_run(run, ingest.settings).files == 2


def test_every_step_may_be_repeated(ingest):
    ingest.deliver("sales_VM001_20260101.csv", sales("VM001", 120) + b"VM001,T2,bad\n")
    run = ingest.new_run()
    summaries = []
    for _ in range(2):
        steps.discover_files(run, ingest.settings)
        for _ in range(2):
            for group in run.read_plan().groups:
                steps.conform(run, ingest.settings, group)
        for _ in range(2):
            steps.load(run, ingest.settings)
            summaries.append(steps.verify_run(run, ingest.settings))

    assert summaries[0] == summaries[1]
    assert ingest.rows("SELECT count(*) FROM raw.sales") == [(1,)]
    assert ingest.rows("SELECT count(*) FROM ops.quarantine") == [(1,)]


def test_a_file_that_changes_between_two_attempts_keeps_the_parquet_of_the_first(ingest, lake):
    ingest.deliver("sales_VM001_20260101.csv", sales("VM001", 120))
    run = ingest.new_run()
    [group] = steps.discover_files(run, ingest.settings)
    steps.conform(run, ingest.settings, group)
    steps.load(run, ingest.settings)
    ingest.deliver("sales_VM001_20260101.csv", sales("VM001", 500))

    steps.conform(run, ingest.settings, group)
    steps.load(run, ingest.settings)

    assert ingest.rows("SELECT amount::INTEGER FROM raw.sales") == [(500,)]
    locations = ingest.rows("SELECT parquet_location, is_current FROM ops.load_history ORDER BY 2")
    assert [is_current for _, is_current in locations] == [False, True]
    assert locations[0][0] != locations[1][0]
    assert all(lake.exists(location) for location, _ in locations)


def test_without_a_plan_there_is_nothing_to_load(ingest):
    assert steps.load(ingest.new_run(), ingest.settings) is None


def test_a_damaged_document_is_a_sentence_with_the_remedy(ingest, lake):
    ingest.deliver("products.csv", products("Cola"))
    run = ingest.new_run()
    [[key]] = steps.discover_files(run, ingest.settings)
    lake.write_bytes(key, b'{"batch_id":')

    with pytest.raises(LakeError, match=r"is damaged or of another release .*; clear the run's"):
        run.read_batch(key)


def test_a_lost_row_fails_the_verification_with_its_file(ingest):
    ingest.deliver("sales_VM001_20260101.csv", sales("VM001", 120, 130))
    run = ingest.new_run()
    for group in steps.discover_files(run, ingest.settings):
        steps.conform(run, ingest.settings, group)
    steps.load(run, ingest.settings)
    with duckdb.connect(str(ingest.settings.warehouse.path)) as connection:
        connection.execute("DELETE FROM raw.sales WHERE transaction_id = 'T1'")

    with pytest.raises(
        VerificationError,
        match=r"sales_VM001_20260101.csv has 1 rows in raw.sales instead of 2; stop loading",
    ):
        steps.verify_run(run, ingest.settings)


def test_pages_of_a_fetch_that_failed_half_way_are_loaded_too(lake, settings):
    run = IngestRun(lake, "ingest_apis", "run-1")
    item = '{"event_id":"e%d","machine_id":"VM001","measured_at":"2026-01-01T10:00:00+09:00"}'
    with serving() as vendor:
        vendor.pages = {None: page(item % 1, next_cursor="c1", has_more=True)}
        with pytest.raises(Exception, match="answered 400"):
            fetch_pages(lake, TELEMETRY, ApiAccess(vendor.base_url, TOKEN))

    for group in steps.discover_pages(run, settings):
        steps.conform(run, settings, group)
    steps.load(run, settings)

    assert steps.verify_run(run, settings).rows_conformed == 1
    [(object_key, raw_location)] = Ingest(lake, settings).rows(
        "SELECT object_key, raw_location FROM ops.load_history"
    )
    assert object_key == "api/fleet/machine_telemetry/page-00000001.jsonl.gz"
    assert raw_location == f"raw/{object_key}"


def test_the_sweep_removes_what_killed_runs_left_and_nothing_that_is_loaded(ingest, lake, settings):
    ingest.deliver("products.csv", products("Cola"))
    ingest()
    loaded = {stored.key for stored in lake.list("staging/products")}
    lake.write_bytes("staging/products/orphan.parquet", b"x")
    documents = {stored.key for stored in lake.list("staging/_runs")}

    with open_warehouse(settings.warehouse, lake) as opened:
        tomorrow = datetime.now(UTC) + timedelta(days=2)
        assert sweep(lake, opened) == 0
        assert sweep(lake, opened, tomorrow) == 1
        assert {stored.key for stored in lake.list("staging/products")} == loaded
        assert {stored.key for stored in lake.list("staging/_runs")} == documents
        assert sweep(lake, opened, tomorrow + timedelta(days=31)) == len(documents)
        assert {stored.key for stored in lake.list("staging/products")} == loaded
