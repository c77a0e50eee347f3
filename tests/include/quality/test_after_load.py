"""After each load the page shows what is there, and people hear of what lies in quarantine."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from include.lake import DiskLake
from include.quality.after_load import report_load
from include.quality.health import Backlog, RunState, iso, note_run, read_health, update_health
from include.quality.limits import Rejections, backlog_finding, load_limits, quarantine_finding
from include.settings import Settings

if TYPE_CHECKING:
    from tests.include.quality.conftest import Rows

NOW = datetime(2026, 11, 20, 3, tzinfo=UTC).replace(tzinfo=None)
LOAD = """
INSERT INTO ops.load_history BY NAME SELECT
    1 AS load_id, 'fleet' AS source, 'fleet.sales' AS source_contract, 'sales' AS dataset,
    '1' AS contract_version, 'f' AS contract_fingerprint, 'sales.csv' AS object_key,
    10 AS size_bytes, 'c' AS checksum, 'e' AS etag, 0 AS generation,
    TIMESTAMP '2026-11-20 01:00' AS landed_at, DATE '2026-11-20' AS landed_on,
    100 AS rows_read, 80 AS rows_conformed, 20 AS rows_quarantined, 0 AS rows_duplicate,
    true AS is_current, 1 AS loaded_seq, 'run-1' AS run_id,
    TIMESTAMP '2026-11-20 01:05' AS loaded_at, 'raw' AS raw_location, 'p' AS parquet_location
"""
REJECTED = """
INSERT INTO ops.quarantine BY NAME SELECT
    1 AS load_id, 'fleet' AS source, 'fleet.sales' AS source_contract, 'sales' AS dataset,
    'sales.csv' AS object_key, i AS row_number, '[]' AS reasons, 'invalid_value' AS first_reason,
    'raw' AS raw_location, '1' AS contract_version, 'run-1' AS run_id,
    TIMESTAMP '2026-11-20 01:05' AS quarantined_at
FROM range(20) AS rejected (i)
"""


@pytest.mark.usefixtures("warehouse")
def test_a_load_shows_its_files_and_tells_what_was_rejected(
    settings: Settings, lake: DiskLake, rows: Rows
) -> None:
    update_health(lake, "dev", {"run_id": "transform-1"})
    rows(LOAD), rows(REJECTED)
    told = report_load(settings, lake, "run-1")
    assert told == ("20 of 100 rows of fleet.sales (20.0%) are in quarantine: invalid_value 20.")
    health = read_health(lake)
    assert health is not None
    (source,) = health["sources"]
    assert (source["last_file"], source["quarantined"]) == ("sales.csv", {"invalid_value": 20})
    assert health["loaded_at"] == "2026-11-20T01:05:00Z"
    assert health["run_id"] == "transform-1"
    assert report_load(settings, lake, "run-2") is None


def test_a_warehouse_that_cannot_be_opened_is_a_warning_and_the_picture_stays(
    settings: Settings, lake: DiskLake, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    update_health(lake, "dev", {"loaded_at": "before"})
    (tmp_path / "dbt_dev.duckdb").write_bytes(b"no database at all" * 1000)
    assert report_load(settings, lake, "run-1") is None
    assert "is not up to date: The warehouse" in caplog.text
    health = read_health(lake)
    assert health is not None
    assert health["loaded_at"] == "before"


def test_how_the_last_run_of_each_dag_ended_is_kept(lake: DiskLake) -> None:
    for dag_id, has_failed in (("transform", False), ("ingest_files", True), ("transform", True)):
        note_run(lake, "dev", RunState(dag_id, "run", has_failed, "2026-11-20T01:05:00Z"))
    health = read_health(lake)
    assert health is not None
    assert [(run["dag_id"], run["has_failed"]) for run in health["runs"]] == [
        ("ingest_files", True),
        ("transform", True),
    ]


def test_a_claim_that_a_killed_process_left_is_taken_over(
    lake: DiskLake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("include.quality.health.CLAIM_SECONDS", 0.2)
    lake.create_bytes("monitoring/health.json.claim", b"")
    update_health(lake, "dev", {"run_id": "run-1"})
    health = read_health(lake)
    assert health is not None
    assert health["run_id"] == "run-1"


@pytest.mark.parametrize(
    ("rows_read", "rejected", "is_news"), [(100_000, 999, False), (100, 9, False), (100, 10, True)]
)
def test_few_rejected_rows_are_no_news(rows_read: int, rejected: int, is_news: bool) -> None:
    found = Rejections("fleet.sales", rows_read, {"invalid_value": rejected})
    assert (quarantine_finding([found]) is not None) is is_news


@pytest.mark.parametrize(
    ("rows", "days", "is_news"), [(10, 1, False), (10, 14, True), (10_000, 0, True)]
)
def test_a_backlog_is_told_when_it_is_large_or_old(rows: int, days: int, is_news: bool) -> None:
    assert (load_limits().backlog.rows, load_limits().backlog.days) == (10_000, 14)
    oldest = iso((NOW - timedelta(days=days)).replace(tzinfo=UTC))
    told = backlog_finding(Backlog(rows, oldest, 0, 0, 0), NOW)
    assert (told is not None) is is_news
    assert told is None or f"the oldest for {days} days" in told
