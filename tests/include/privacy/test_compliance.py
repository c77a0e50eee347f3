"""The monthly report says what is held and done, and holds no value itself."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from include.contracts import load_catalog
from include.contracts.raw_tables import PII_FINDINGS
from include.ingest import settle
from include.lake import DiskLake
from include.privacy import tasks
from include.privacy.audit import Action, AuditEntry, write_audit
from include.privacy.compliance import write_compliance_report
from include.privacy.retention import (
    ACCESS_LOG_DAYS,
    FAIL_SAFE_DAYS,
    OLD_VERSIONS_DAYS,
    PLACES,
    TIME_TRAVEL_DAYS,
)
from include.quality.store import open_store, utc_now
from include.settings import CODE_ROOT, Settings, load_settings
from include.warehouse.rows import naive
from tests.include.ingest.running import Ingest, sales

LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
NOBODY = "<script>alert('090-1234-5678')</script>"


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """A platform with a load, a finding, and acts of this month."""
    monkeypatch.setattr(settle, "PAUSE_SECONDS", 0.0)
    settings = load_settings({"VENDING_DATA_DIR": str(tmp_path)})
    ingest = Ingest(DiskLake(tmp_path), settings)
    ingest.deliver("sales_VM001_20260101.csv", sales("VM001", 120, "no number"))
    ingest()
    with open_store(settings.warehouse) as store:
        for action, subject, outcome in (
            (Action.DETOKENISED, "t1:0123", None),
            (Action.EXPORTED, "anonymised rows of 2026-01-01", "4 files with 35 rows."),
            (Action.EXPORT_REFUSED, "anonymised rows of 2026-01-02", "Not released: too few."),
        ):
            write_audit(store, AuditEntry("ann", action, subject, NOBODY, None, outcome))
        store.append(PII_FINDINGS, [finding(utc_now()), finding(naive(LONG_AGO))])
    return settings


def finding(found_at: datetime) -> dict[str, Any]:
    texts = dict.fromkeys((column.name for column in PII_FINDINGS.columns), "x")
    return texts | {
        "load_id": 1,
        "dataset": "replenishment",
        "field": "note",
        "kind": "phone",
        "matches": 7,
        "found_at": found_at,
    }


def report_of(settings: Settings, day: date) -> str:
    lake = DiskLake(settings.lake.root)
    write_compliance_report(settings, lake, day, run_id="r", actor="schedule")
    return lake.read_bytes(f"monitoring/compliance/{day:%Y-%m}.html").decode()


def test_the_page_says_what_is_held_where_found_exported_and_opened(settings) -> None:
    page = report_of(settings, utc_now().date())

    rows = [re.findall(r"<td[^>]*>(.*?)</td>", row) for row in re.findall(r"<tr>(.*?)</tr>", page)]
    assert ["fleet", "sales", "1", "1", "1", f"{utc_now():%Y-%m-%d}"] in rows
    assert ["x", "replenishment", "note", "phone", "7"] in rows
    assert any(row[2:3] == ["t1:0123"] for row in rows)
    assert any("4 files with 35 rows." in row for row in rows)
    assert any("Not released: too few." in row for row in rows)
    for place in PLACES:
        assert any(row[:1] == [place.name.replace("&", "&amp;")] for row in rows)
    for dataset in load_catalog().datasets:
        for column in dataset.raw_columns:
            if column.masking:
                assert any(row[:2] == [dataset.name, column.name] for row in rows)


def test_what_people_gave_as_a_reason_is_masked_and_no_markup(settings) -> None:
    page = report_of(settings, utc_now().date())

    assert "<script>" not in page
    assert "090-1234-5678" not in page
    assert "&lt;script&gt;" in page


def test_another_month_has_its_own_findings_and_acts(settings) -> None:
    page = report_of(settings, date(2020, 1, 31))

    assert "Found in text and masked: 7. Exports: 0, refused: 0. Tokens opened: 0." in page
    assert "t1:0123" not in page


def test_the_report_of_an_empty_warehouse_says_so(tmp_path) -> None:
    settings = load_settings({"VENDING_DATA_DIR": str(tmp_path)})

    page = report_of(settings, date(2026, 1, 5))

    assert "0 rows of 0 datasets are held" in page
    assert "Nothing was found in the month." in page


def test_the_task_writes_the_page_and_tells_its_summary(settings, monkeypatch) -> None:
    told: list[str] = []
    run = SimpleNamespace(run_id="r", partition_key="2020-01-01", triggering_user_name="ann")
    monkeypatch.setattr(tasks, "get_current_context", lambda: {"dag_run": run})
    monkeypatch.setattr("include.settings.current_settings", lambda: settings)
    monkeypatch.setattr(
        "include.alerts.reports.tell_findings", lambda _, sentence, **__: told.append(sentence)
    )

    tasks.write_report.function()

    assert told[0].startswith("Personal data in 2020-01: ")
    assert (settings.lake.root / "monitoring/compliance/2020-01.html").is_file()


def test_retention_is_that_of_terraform_and_the_bootstrap() -> None:
    lake = (CODE_ROOT / "deploy/terraform/aws/modules/lake/main.tf").read_text("utf-8")
    database = (CODE_ROOT / "deploy/snowflake/03_database.sql").read_text("utf-8")
    privacy = (CODE_ROOT / "docs/privacy.md").read_text("utf-8")

    assert f"noncurrent_days = {OLD_VERSIONS_DAYS}" in lake
    assert f"days = {ACCESS_LOG_DAYS}" in lake
    assert set(re.findall(r"OPS DATA_RETENTION_TIME_IN_DAYS = (\d+)", database)) == {
        str(TIME_TRAVEL_DAYS)
    }
    assert f"old versions of all objects | {OLD_VERSIONS_DAYS} days" in privacy
    assert f"access logs of the bucket | {ACCESS_LOG_DAYS} days" in privacy
    assert FAIL_SAFE_DAYS == 7, "docs/privacy.md says it in words"
