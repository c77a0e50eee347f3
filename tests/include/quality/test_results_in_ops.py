"""After a build every node of the project has a row in `ops`, and what did not run did not pass."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from include.alerts.formatter import Severity
from include.lake import DiskLake
from include.quality.after_build import Build, held_back, record_build, report_build
from include.quality.findings import Finding
from include.quality.health import read_health, update_health
from include.quality.judge import UsualRange
from include.settings import Settings
from include.transform.manifest import Manifest
from tests.include.quality.conftest import OTHER, SALES, TEST, failed, passed

if TYPE_CHECKING:
    from tests.include.quality.conftest import Rows

FAILING = (
    "SELECT i AS sale_id, 'ann@example.com 090-1234-5678' AS note, 'x' AS _extra, NULL AS gone "
    "FROM range(7) AS failing (i) -- ends with a comment"
)


def build(manifest: Manifest, *results, selection=None, run_id: str = "run-1") -> Build:
    return Build(manifest, selection, {result.unique_id: result for result in results}, run_id)


@pytest.mark.usefixtures("warehouse")
def test_each_node_has_a_row_and_one_that_never_ran_is_never_passed(
    manifest: Manifest, settings: Settings, lake: DiskLake, rows: Rows
) -> None:
    done = build(manifest, passed(SALES, rows_affected=12), failed(TEST, FAILING))
    record_build(settings, lake, done, passed=False)
    assert rows("SELECT unique_id, outcome FROM ops.dbt_results ORDER BY outcome") == [
        (TEST, "failed"),
        (OTHER, "never_ran"),
        (SALES, "passed"),
    ]
    assert rows("SELECT rows_affected, seconds FROM ops.dbt_results WHERE outcome = 'passed'") == [
        (12, 1.5)
    ]


@pytest.mark.usefixtures("warehouse")
def test_what_was_not_selected_is_neither_passed_nor_missing(
    manifest: Manifest, settings: Settings, lake: DiskLake, rows: Rows
) -> None:
    record_build(settings, lake, build(manifest, passed(SALES), selection=[SALES]), passed=True)
    outcomes = dict(rows("SELECT unique_id, outcome FROM ops.dbt_results"))
    assert outcomes == {SALES: "passed", TEST: "not_selected", OTHER: "not_selected"}


@pytest.mark.usefixtures("warehouse")
def test_five_failing_rows_are_kept_without_what_may_be_personal(
    manifest: Manifest, settings: Settings, lake: DiskLake, rows: Rows
) -> None:
    record_build(settings, lake, build(manifest, failed(TEST, FAILING)), passed=False)
    ((shown, failures, message),) = rows(
        "SELECT failing_rows, failures, message FROM ops.dbt_results WHERE outcome = 'failed'"
    )
    assert json.loads(shown) == [
        {"sale_id": str(i), "note": "[masked:email] [masked:phone]", "gone": None} for i in range(5)
    ]
    assert (failures, message) == (7, "Got 7 results, configured to fail if != 0")


@pytest.mark.usefixtures("warehouse")
def test_a_statement_that_no_longer_runs_costs_only_its_rows(
    manifest: Manifest, settings: Settings, lake: DiskLake, rows: Rows
) -> None:
    broken = failed(TEST, "SELECT * FROM gone")
    record_build(settings, lake, build(manifest, broken), passed=False)
    assert rows("SELECT failing_rows FROM ops.dbt_results WHERE outcome = 'failed'") == [(None,)]


@pytest.mark.usefixtures("warehouse")
def test_a_repeat_by_the_same_run_replaces_its_rows(
    manifest: Manifest, settings: Settings, lake: DiskLake, rows: Rows
) -> None:
    record_build(settings, lake, build(manifest, passed(SALES)), passed=False)
    record_build(settings, lake, build(manifest, passed(SALES), passed(OTHER)), passed=False)
    record_build(settings, lake, build(manifest, passed(SALES), run_id="run-2"), passed=False)
    assert rows(
        "SELECT run_id, count(*), count(*) FILTER (outcome = 'passed') FROM ops.dbt_results "
        "GROUP BY run_id ORDER BY run_id"
    ) == [("run-1", 3, 2), ("run-2", 3, 1)]


@pytest.mark.usefixtures("warehouse")
def test_a_column_that_came_went_or_changed_is_named_once(
    manifest: Manifest, settings: Settings, lake: DiskLake, rows: Rows
) -> None:
    rows("CREATE SCHEMA marts")
    rows("CREATE TABLE marts.fct_sales (amount INTEGER, slot INTEGER)")
    first = record_build(settings, lake, build(manifest), passed=True)
    rows("CREATE OR REPLACE TABLE marts.fct_sales (amount VARCHAR, channel INTEGER)")
    second = record_build(settings, lake, build(manifest, run_id="run-2"), passed=True)
    third = record_build(settings, lake, build(manifest, run_id="run-3"), passed=True)
    assert first.schema_changes == third.schema_changes == ()
    assert second.schema_changes == (
        "marts.fct_sales.amount was INTEGER and is VARCHAR",
        "marts.fct_sales.channel is new",
        "marts.fct_sales.slot has gone",
    )


@pytest.mark.usefixtures("warehouse")
def test_the_snapshot_of_health_remembers_what_was_published_last(
    manifest: Manifest, settings: Settings, lake: DiskLake
) -> None:
    record_build(settings, lake, build(manifest, passed(SALES)), passed=True)
    update_health(lake, "dev", {"published_run_id": "run-1"})
    record_build(settings, lake, build(manifest, run_id="run-2"), passed=False)
    health = read_health(lake)
    assert health is not None
    assert (health["run_id"], health["run_passed"]) == ("run-2", False)
    assert health["published_run_id"] == "run-1"
    assert health["unknown"] == []


def test_a_warehouse_without_a_ledger_gives_a_snapshot_that_says_what_it_lacks(
    manifest: Manifest, settings: Settings, lake: DiskLake
) -> None:
    record_build(settings, lake, build(manifest, passed(SALES)), passed=True)
    health = read_health(lake)
    assert health is not None
    assert set(health["unknown"]) == {"loaded_at", "sources", "backlog", "storage"}
    assert [mart["outcome"] for mart in health["marts"]] == ["never_ran", "passed"]


def test_a_warehouse_that_cannot_be_opened_is_a_warning_and_no_failure(
    manifest: Manifest,
    settings: Settings,
    lake: DiskLake,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    (tmp_path / "dbt_dev.duckdb").write_bytes(b"no database at all" * 1000)
    report_build(settings, lake, build(manifest, passed(SALES)), passed=True)
    assert "are not recorded: The warehouse" in caplog.text


@pytest.mark.usefixtures("warehouse")
def test_failing_rows_are_handed_to_whoever_tells_the_failure(
    manifest: Manifest, settings: Settings, lake: DiskLake
) -> None:
    report = record_build(settings, lake, build(manifest, failed(TEST, FAILING)), passed=False)
    assert list(report.failing_rows) == [TEST]
    assert "ann@" not in report.failing_rows[TEST]


def test_a_finding_that_blocks_holds_back_what_is_made_of_its_table(manifest: Manifest) -> None:
    def finding(table_name: str, *, is_blocking: bool) -> Finding:
        usual, day = UsualRange(1, 2), date(2026, 11, 20)
        severity = Severity.WARNING
        return Finding(table_name, "", "volume", day, 0, usual, severity, is_blocking)

    assert held_back(manifest, [finding("marts.fct_sales", is_blocking=False)]) == ()
    assert held_back(manifest, [finding("marts.fct_sales", is_blocking=True)]) == ("fct_sales",)
    assert held_back(manifest, [finding("raw.unknown", is_blocking=True)]) == ()
