"""What follows each dbt build: results, metrics and schema into `ops`, then the snapshot of health.

None of it may stop the pipeline; a finding of a table that says `block` holds back what is made of
that table.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from include.alerts.formatter import Severity
from include.lake import Lake, LakeError
from include.quality import columns, metrics
from include.quality.checks import load_checks
from include.quality.dbt_results import record_results
from include.quality.findings import Finding, judge_last_days, lags
from include.quality.health import update_health
from include.quality.limits import backlog_finding
from include.quality.store import QualityStore, Row, open_store, utc_now
from include.quality.survey import (
    BuildFindings,
    Moment,
    business_today,
    survey_build,
    survey_loads,
)
from include.quality.tables import QUALITY_FINDINGS
from include.settings import Settings
from include.transform.documentation import RelationColumn, store_documentation
from include.warehouse import WarehouseError

if TYPE_CHECKING:
    from include.transform.artifacts import NodeResult
    from include.transform.manifest import Manifest

log = logging.getLogger(__name__)

SHOWN_FINDINGS = 5


@dataclass(frozen=True, slots=True)
class Build:
    """What a run of dbt was to do and did. ``selection`` holds unique ids; None means all."""

    manifest: Manifest
    selection: Collection[str] | None
    results: Mapping[str, NodeResult]
    run_id: str


@dataclass(frozen=True, slots=True)
class BuildReport:
    """What a build showed.

    ``schema_changes`` are phrases, ``held_back`` names of marts, ``failing_rows`` some masked rows
    of each test that failed, by unique id.
    """

    findings: tuple[Finding, ...] = ()
    schema_changes: tuple[str, ...] = ()
    held_back: tuple[str, ...] = ()
    backlog: str | None = None
    failing_rows: Mapping[str, str] = field(default_factory=dict)

    @property
    def level(self) -> Severity:
        is_error = any(finding.severity is Severity.ERROR for finding in self.findings)
        return Severity.ERROR if is_error else Severity.WARNING

    @property
    def sentence(self) -> str:
        """What a person should look at; empty: nothing."""
        phrases = [*map(str, self.findings), *self.schema_changes]
        more = len(phrases) - SHOWN_FINDINGS
        shown = phrases[:SHOWN_FINDINGS] + ([f"and {more} more"] if more > 0 else [])
        if self.held_back:
            shown.append(f"for this readers keep the last good {', '.join(self.held_back)}")
        if self.backlog:
            shown.append(self.backlog)
        return f"{'; '.join(shown)}." if shown else ""


def report_build(settings: Settings, lake: Lake, build: Build, *, passed: bool) -> BuildReport:
    """Record a build and log what is unusual.

    That something cannot be recorded is a warning in the log: the data is right all the same.
    """
    try:
        report = record_build(settings, lake, build, passed=passed)
    except WarehouseError as error:
        log.warning("The results of the run are not recorded: %s", error)
        return BuildReport()
    for finding in report.findings:
        log.warning("Unusual: %s.", finding)
    for change in report.schema_changes:
        log.warning("Changed since the last run: %s.", change)
    return report


def record_build(settings: Settings, lake: Lake, build: Build, *, passed: bool) -> BuildReport:
    """Record a build in `ops`, judge the last day of each source, and update the snapshot.

    Raises WarehouseError; a repeat by the same run gives the same rows.
    """
    now, run_id = utc_now(), build.run_id
    with open_store(settings.warehouse) as store:
        store.ensure_tables()
        failing_rows = record_results(
            store, build.manifest, build.selection, build.results, run_id, now
        )
        checks = load_checks()
        known, today = metrics.known_history(store), business_today()
        measured = metrics.measure(store, checks, today)
        measured |= lags(metrics.merged(known, measured), today)
        metrics.record(store, measured, known, run_id, now)
        moment = Moment(now, today, metrics.merged(known, measured))
        findings = tuple(judge_last_days(moment.history, checks, today))
        _record_findings(store, findings, run_id, now)
        present = columns.present_columns(store)
        found = BuildFindings(
            run_id=run_id,
            passed=passed,
            findings=tuple(map(str, findings)),
            schema_changes=tuple(columns.record_changes(store, present, run_id, now)),
            held_back=held_back(build.manifest, findings),
        )
        loads = survey_loads(store, settings, lake, moment)
        built = survey_build(store, build.manifest, moment, found)
        unknown = [*loads["unknown"], *built["unknown"]]
    _show(settings, lake, loads | built | {"unknown": unknown})
    _document(settings, lake, build.manifest, present)
    return BuildReport(
        findings=findings,
        schema_changes=found.schema_changes,
        held_back=found.held_back,
        backlog=backlog_finding(loads["backlog"], now),
        failing_rows=failing_rows,
    )


def _show(settings: Settings, lake: Lake, parts: Mapping[str, Any]) -> None:
    try:
        update_health(lake, settings.environment.value, parts)
    except LakeError as error:
        # What was found, and is held back for it, must not be lost with the picture of it.
        log.warning("The snapshot of health is not written: %s", error)


def _document(
    settings: Settings, lake: Lake, manifest: Manifest, present: Collection[RelationColumn]
) -> None:
    try:
        store_documentation(lake, settings.dbt_manifest_path, manifest, present)
    except OSError as error:
        log.warning("dbt's documentation is not kept: %s", error)


def held_back(manifest: Manifest, findings: Collection[Finding]) -> tuple[str, ...]:
    """The names of the marts among and below the tables whose findings block."""
    blocking = {finding.table_name for finding in findings if finding.is_blocking}
    ids = (manifest.relation_ids[name] for name in blocking if name in manifest.relation_ids)
    return tuple(mart.name for mart in manifest.marts_behind(ids))


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
