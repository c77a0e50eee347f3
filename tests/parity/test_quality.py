"""What a build leaves in `ops` on Snowflake, through the emulator."""

from __future__ import annotations

from datetime import date

import pytest

from include.contracts import load_catalog
from include.lake import open_lake
from include.quality.after_build import Build, record_build
from include.quality.after_load import report_load
from include.quality.health import read_health
from include.settings import Settings
from include.transform.manifest import Manifest
from include.warehouse import open_warehouse
from tests.include.quality.conftest import OTHER, SALES, TEST, failed, node, passed
from tests.parity.services import Cloud

DAY = date(2026, 11, 20)


@pytest.fixture
def manifest() -> Manifest:
    return Manifest({"nodes": {i: node(i) for i in (SALES, TEST, OTHER)}, "parent_map": {}})


def test_results_metrics_columns_and_the_snapshot_are_written(
    cloud: Cloud, settings: Settings, manifest: Manifest
) -> None:
    lake = open_lake(settings.lake)
    with open_warehouse(settings.warehouse, lake) as warehouse:
        warehouse.ensure_schema(load_catalog().datasets)
    results = [passed(SALES, rows_affected=12), failed(TEST, "SELECT 1 AS sale_id, 'x' AS note")]
    build = Build(manifest, None, {result.unique_id: result for result in results}, "run-1")
    for _ in range(2):
        record_build(settings, lake, build, passed=False)
    outcomes = "SELECT unique_id, outcome, rows_affected FROM ops.dbt_results ORDER BY unique_id"
    assert cloud.snowflake.fetch(outcomes) == [
        (OTHER, "never_ran", None),
        (SALES, "passed", 12),
        (TEST, "failed", None),
    ]
    assert cloud.snowflake.fetch("SELECT count(*) FROM ops.table_columns")[0][0] > 0
    health = read_health(lake)
    assert health is not None
    assert health["unknown"] == []


def test_a_load_updates_the_snapshot(
    cloud: Cloud, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    lake = open_lake(settings.lake)
    with open_warehouse(settings.warehouse, lake) as warehouse:
        warehouse.ensure_schema(load_catalog().datasets)
    assert report_load(settings, lake, "run-1") is None
    assert "not up to date" not in caplog.text
    health = read_health(lake)
    assert health is not None
    assert health["sources_at"] is not None
    assert health["unknown"] == []
