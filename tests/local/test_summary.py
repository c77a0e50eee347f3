from __future__ import annotations

import io
import json
import subprocess
import sys
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest
from rich.console import Console

from deploy.local.airflow_api import DagRun, TaskInstance
from deploy.local.follow import INGEST_APIS, INGEST_FILES, TRANSFORM, Progress
from deploy.local.layout import Layout
from deploy.local.summary import (
    DayRevenue,
    LoadCounts,
    LowMachine,
    MartRows,
    RejectedRows,
    RunSummary,
    summarise,
    write_json,
)
from deploy.local.summary_view import show

STARTED_AT = datetime(2026, 5, 1, 8, tzinfo=UTC)
WAREHOUSE = """
CREATE SCHEMA ops;
CREATE SCHEMA marts;
CREATE TABLE ops.load_history AS
SELECT * FROM (VALUES
    (1, 'fleet/sales_M001_20260430.csv', 10, 7, 1, 2, true, 'first'),
    (2, 'fleet/sales_M002_20260430.csv', 5, 5, 0, 0, false, 'first'),
    (3, 'fleet/sales_M002_20260430.csv', 6, 5, 0, 1, true, 'second'),
    (4, 'api/fleet/machine_telemetry/page-00000001.jsonl.gz', 3, 3, 0, 0, true, 'second')
) AS loads(
    load_id, object_key, rows_read, rows_conformed, rows_duplicate, rows_quarantined,
    is_current, run_id
);
CREATE TABLE ops.quarantine AS
SELECT * FROM (VALUES
    (1, 'invalid_value'), (1, 'malformed_row'), (3, 'invalid_value')
) AS rejects(load_id, first_reason);
CREATE TABLE marts.fct_sales AS SELECT range AS line FROM range(12);
CREATE TABLE marts.fct_daily_machine_sales AS
SELECT * FROM (VALUES
    ('fleet', DATE '2026-04-29', 'JPY', 999.00::DECIMAL(18, 2)),
    ('fleet', DATE '2026-04-30', 'JPY', 150.00::DECIMAL(18, 2)),
    ('fleet', DATE '2026-04-30', 'JPY', 130.00::DECIMAL(18, 2)),
    ('completejourney', DATE '2017-12-31', 'USD', 0.10::DECIMAL(18, 2))
) AS days(source, business_date, currency, revenue);
CREATE TABLE marts.fct_replenishment_plan AS
SELECT * FROM (VALUES
    ('fleet', 'M001', 'urgent', 0.5::DECIMAL(9, 1), 20),
    ('fleet', 'M002', 'urgent', 0.0::DECIMAL(9, 1), 10),
    ('fleet', 'M002', 'urgent', NULL, 5),
    ('fleet', 'M003', 'none', 9.0::DECIMAL(9, 1), 0)
) AS slots(source, machine_id, priority, days_of_cover, recommended_units);
"""


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout(data=tmp_path, airflow_home=tmp_path / "home")


@pytest.fixture
def warehouse(layout: Layout) -> None:
    with duckdb.connect(str(layout.warehouse)) as database:
        database.execute(WAREHOUSE)


def progress(dag_id: str, run_id: str, *states: str, run_state: str = "success") -> Progress:
    tasks = {
        (f"task_{number}", -1): TaskInstance(dag_id, f"task_{number}", -1, state, 1)
        for number, state in enumerate(states)
    }
    return Progress(dag_id, DagRun(dag_id, run_id, run_state), tasks)


def summary_of(layout: Layout, ingest_run: str) -> RunSummary:
    rounds = [
        progress(INGEST_FILES, ingest_run, "success", "skipped"),
        progress(INGEST_APIS, ingest_run, "success"),
        progress(TRANSFORM, "followed", "success"),
    ]
    return summarise(layout, rounds, STARTED_AT, 12.34)


def printed(summary: RunSummary, layout: Layout) -> str:
    written = io.StringIO()
    show(summary, layout, Console(file=written, width=120))
    return written.getvalue()


@pytest.mark.usefixtures("warehouse")
def test_the_loads_of_this_run_are_told_from_all_that_are_current(layout: Layout) -> None:
    summary = summary_of(layout, "second")

    assert summary.this_run == LoadCounts(
        files=1,
        api_pages=1,
        rows_read=9,
        rows_conformed=8,
        rows_duplicate=0,
        rows_quarantined=1,
        quarantined=(RejectedRows("invalid_value", 1),),
    )
    assert summary.total == LoadCounts(
        files=2,
        api_pages=1,
        rows_read=19,
        rows_conformed=15,
        rows_duplicate=1,
        rows_quarantined=3,
        quarantined=(RejectedRows("invalid_value", 2), RejectedRows("malformed_row", 1)),
    )


@pytest.mark.usefixtures("warehouse")
def test_yesterday_is_the_last_business_date_of_each_source(layout: Layout) -> None:
    assert summary_of(layout, "second").last_day_revenue == (
        DayRevenue("completejourney", date(2017, 12, 31), "USD", Decimal("0.10")),
        DayRevenue("fleet", date(2026, 4, 30), "JPY", Decimal("280.00")),
    )


@pytest.mark.usefixtures("warehouse")
def test_machines_with_most_urgent_slots_come_first_and_others_not_at_all(layout: Layout) -> None:
    assert summary_of(layout, "second").low_machines == (
        LowMachine("fleet", "M002", 2, Decimal("0.0"), 15),
        LowMachine("fleet", "M001", 1, Decimal("0.5"), 20),
    )


@pytest.mark.usefixtures("warehouse")
def test_the_largest_marts_come_with_their_rows(layout: Layout) -> None:
    assert summary_of(layout, "second").largest_marts[0] == MartRows("fct_sales", 12)


def test_dbts_results_of_the_runs_own_transform_are_counted(layout: Layout) -> None:
    results = {
        "model.vending.fct_sales": "success",
        "model.vending.dim_dates": "error",
        "test.vending.a": "pass",
        "test.vending.b": "fail",
        "test.vending.c": "skipped",
    }
    document = {
        "metadata": {"generated_at": "2026-05-01T08:00:00Z"},
        "results": [{"unique_id": name, "status": status} for name, status in results.items()],
    }
    for run in ("followed", "of_another_run"):
        folder = layout.dbt_artifacts / run / "dbt_build-1"
        folder.mkdir(parents=True)
        (folder / "run_results.json").write_text(json.dumps(document))

    dbt = summary_of(layout, "second").dbt

    assert (dbt.models_passed, dbt.models_failed) == (1, 1)
    assert (dbt.tests_passed, dbt.tests_failed, dbt.skipped) == (1, 1, 1)


@pytest.mark.usefixtures("warehouse")
def test_a_run_that_loaded_nothing_says_so(layout: Layout) -> None:
    summary = summary_of(layout, "third")

    assert summary.found_nothing_new
    assert "Nothing new to load" in printed(summary, layout)


@pytest.mark.usefixtures("warehouse")
def test_the_printed_summary_and_the_file_hold_the_same(layout: Layout) -> None:
    summary = summary_of(layout, "second")

    write_json(summary, layout.run_summary)

    content = json.loads(layout.run_summary.read_text())
    assert content["this_run"]["rows_read"] == 9
    assert content["last_day_revenue"][1]["revenue"] == "280.00"
    assert content["succeeded"] is True
    text = printed(summary, layout)
    assert "fct_sales" in text
    assert "280.00" in text
    assert "Every task succeeded, in 12 s." in text


def test_a_run_that_failed_before_anything_was_loaded_still_has_a_summary(layout: Layout) -> None:
    failed = progress(INGEST_FILES, "first", "failed", run_state="failed")

    summary = summarise(layout, [failed, Progress(TRANSFORM)], STARTED_AT, 3.0)

    assert not summary.succeeded
    assert summary.total == LoadCounts()
    assert "Not every task succeeded (ingest_files, transform)" in printed(summary, layout)


@pytest.mark.usefixtures("warehouse")
def test_while_the_warehouse_is_in_use_the_readers_copy_is_read(layout: Layout) -> None:
    layout.snapshot.parent.mkdir()
    with duckdb.connect(str(layout.snapshot)) as copy:
        copy.execute("CREATE SCHEMA marts; CREATE TABLE marts.dim_dates AS SELECT 1 AS day;")

    hold = "import duckdb, sys; c = duckdb.connect(sys.argv[1]); print('open'); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-u", "-c", hold, str(layout.warehouse)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == b"open\n"
        summary = summary_of(layout, "second")
        writer.communicate()

    assert summary.largest_marts == (MartRows("dim_dates", 1),)
