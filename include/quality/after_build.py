"""What follows each dbt build: results, metrics and schema into `ops`, then the snapshot of health.

None of it may stop the pipeline, but for a finding of a table that says `block`.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from include.alerts.formatter import Severity
from include.lake import Lake, LakeError
from include.quality import columns, metrics
from include.quality.checks import load_checks
from include.quality.dbt_results import record_results
from include.quality.findings import Finding, judge_last_days, lags
from include.quality.health import write_health
from include.quality.store import QualityStore, Row, open_store, utc_now
from include.quality.survey import RunFindings, gather_health
from include.quality.tables import QUALITY_FINDINGS
from include.settings import BUSINESS_TIME_ZONE, Settings

if TYPE_CHECKING:
    from include.transform.artifacts import NodeResult
    from include.transform.manifest import Manifest
from include.warehouse import WarehouseError

log = logging.getLogger(__name__)

SHOWN_FINDINGS = 5


class QualityBlock(RuntimeError):
    """A table whose findings block publishing has one; names the findings."""


@dataclass(frozen=True, slots=True)
class Build:
    """What a run of dbt was to do and did. ``selection`` holds unique ids; None means all."""

    manifest: Manifest
    selection: Collection[str] | None
    results: Mapping[str, NodeResult]
    run_id: str


@dataclass(frozen=True, slots=True)
class BuildReport:
    """What a build showed. ``schema_changes`` are phrases."""

    findings: tuple[Finding, ...] = ()
    schema_changes: tuple[str, ...] = ()

    @property
    def blocking(self) -> tuple[Finding, ...]:
        return tuple(finding for finding in self.findings if finding.is_blocking)

    @property
    def level(self) -> Severity:
        is_error = any(finding.severity is Severity.ERROR for finding in self.findings)
        return Severity.ERROR if is_error else Severity.WARNING

    @property
    def sentence(self) -> str:
        """What a person should look at; empty: nothing."""
        phrases = [*map(str, self.findings), *self.schema_changes]
        more = len(phrases) - SHOWN_FINDINGS
        rest = f"; and {more} more" if more > 0 else ""
        return f"{'; '.join(phrases[:SHOWN_FINDINGS])}{rest}." if phrases else ""


def report_build(settings: Settings, lake: Lake, build: Build, *, passed: bool) -> BuildReport:
    """Record a build and log what is unusual.

    Raises QualityBlock if a table with a finding says so. That something cannot be recorded is a
    warning in the log: the data is right all the same.
    """
    try:
        report = record_build(settings, lake, build, passed=passed)
    except (WarehouseError, LakeError) as error:
        log.warning("The results of the run are not recorded: %s", error)
        return BuildReport()
    for finding in report.findings:
        log.warning("Unusual: %s.", finding)
    for change in report.schema_changes:
        log.warning("Changed since the last run: %s.", change)
    if passed and report.blocking:
        named = "; ".join(str(finding) for finding in report.blocking[:SHOWN_FINDINGS])
        raise QualityBlock(
            f"{len(report.blocking)} findings hold the marts back: {named}. If the data is right, "
            "set on_finding to warn in include/quality/checks.yaml and clear the task."
        )
    return report


def record_build(settings: Settings, lake: Lake, build: Build, *, passed: bool) -> BuildReport:
    """Record a build in `ops`, judge the last day of each source, and write the snapshot.

    Raises WarehouseError or LakeError; a repeat by the same run gives the same rows.
    """
    now, run_id = utc_now(), build.run_id
    with open_store(settings.warehouse) as store:
        store.ensure_tables()
        record_results(store, build.manifest, build.selection, build.results, run_id, now)
        checks = load_checks()
        known = metrics.known_history(store)
        measured = metrics.measure(store, checks)
        today = datetime.now(ZoneInfo(BUSINESS_TIME_ZONE)).date()
        measured |= lags(metrics.merged(known, measured), today)
        metrics.record(store, measured, known, run_id, now)
        history = metrics.merged(known, measured)
        findings = judge_last_days(history, checks, today)
        _record_findings(store, findings, run_id, now)
        changes = columns.record_changes(store, run_id, now)
        run = RunFindings(
            run_id=run_id,
            passed=passed,
            now=now,
            today=today,
            history=history,
            findings=tuple(str(finding) for finding in findings),
            schema_changes=tuple(changes),
        )
        write_health(lake, gather_health(store, settings, lake, build.manifest, run))
    return BuildReport(tuple(findings), tuple(changes))


def _record_findings(
    store: QualityStore, findings: Collection[Finding], run_id: str, now: datetime
) -> None:
    rows: list[Row] = [
        {
            "run_id": run_id,
            "table_name": finding.table_name,
            "source": finding.source,
            "metric": finding.metric,
            "business_date": finding.business_date,
            "value": finding.value,
            "low": finding.usual.low,
            "high": finding.usual.high,
            "severity": finding.severity.value,
            "is_blocking": finding.is_blocking,
            "recorded_at": now,
        }
        for finding in findings
    ]
    store.replace_run(QUALITY_FINDINGS, run_id, rows)
