"""Gathers what the snapshot of health says, from the ledger and the quality tables."""

from __future__ import annotations

import logging
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

from include.lake import Lake
from include.quality.findings import last_days
from include.quality.health import (
    Backlog,
    FailedTest,
    MartHealth,
    ModelHistory,
    ModelRun,
    Point,
    SourceHealth,
    Storage,
    iso,
)
from include.quality.judge import usual_range
from include.quality.metrics import History
from include.quality.store import QualityStore
from include.settings import BUSINESS_TIME_ZONE, DuckDBSettings, Settings
from include.transform.manifest import DbtNode, Manifest
from include.warehouse import WarehouseError

log = logging.getLogger(__name__)

T = TypeVar("T")

SHOWN_DAYS = 42
SHOWN_RUNS = 12
SHOWN_DRIFT = 8
# Of a source that is fed daily; its last day is then yesterday's.
LATE_DAYS = 2
DORMANT_DAYS = 60

_LAST_LOADS = """
SELECT source, dataset, object_key, landed_at, business_date_to, files, rows_conformed
FROM (
    SELECT
        source, dataset, object_key, landed_at,
        MAX(business_date_to) OVER (PARTITION BY source, dataset) AS business_date_to,
        COUNT(*) OVER (PARTITION BY source, dataset) AS files,
        SUM(rows_conformed) OVER (PARTITION BY source, dataset) AS rows_conformed,
        ROW_NUMBER() OVER (
            PARTITION BY source, dataset ORDER BY landed_at DESC, object_key DESC
        ) AS recency
    FROM ops.load_history
    WHERE is_current
) AS loads
WHERE recency = 1
ORDER BY source, dataset
"""
_REJECTED = """
SELECT source, dataset, first_reason, COUNT(*), MIN(quarantined_at)
FROM ops.quarantine WHERE resolution IS NULL
GROUP BY source, dataset, first_reason
"""
_DRIFT = """
SELECT source, dataset, kind, column_name, COUNT(*)
FROM ops.schema_drift AS drift
WHERE detected_at >= ?
GROUP BY source, dataset, kind, column_name
ORDER BY COUNT(*) DESC
"""
_NODES = """
SELECT unique_id, name, outcome, failures, message, tested
FROM ops.dbt_results WHERE run_id = ?
"""
_BUILT = """
SELECT name, MAX(started_at) FROM ops.dbt_results
WHERE resource_type = 'model' AND outcome = 'passed' GROUP BY name
"""
_MODEL_RUNS = """
SELECT unique_id, name, recorded_at, outcome, seconds, rows_affected FROM (
    SELECT
        unique_id, name, recorded_at, outcome, seconds, rows_affected,
        DENSE_RANK() OVER (ORDER BY recorded_at DESC, run_id) AS run_order
    FROM ops.dbt_results
    WHERE resource_type = 'model' AND outcome <> 'not_selected'
) AS runs
WHERE run_order <= ?
ORDER BY name, run_order DESC
"""
_LOADED_AT = "SELECT MAX(loaded_at) FROM ops.load_history"
_STORAGE = "SELECT COALESCE(SUM(size_bytes), 0), COUNT(*) FROM ops.load_history"
_REMOVED = "SELECT COUNT(*) FROM ops.load_history WHERE is_current AND missing_since IS NOT NULL"


def business_today() -> date:
    """The date of now where the business is."""
    return datetime.now(ZoneInfo(BUSINESS_TIME_ZONE)).date()


@dataclass(frozen=True, slots=True)
class Moment:
    """When it is looked: ``now`` in UTC without zone, ``today`` local, and what is known then."""

    now: datetime
    today: date
    history: History

    def is_daily(self, dataset: str) -> bool:
        """Whether rows of the dataset are expected every day; masters come when they change."""
        table_name = f"raw.{dataset}"
        return any(each.table_name == table_name and each.source for each in self.history)


@dataclass(frozen=True, slots=True)
class BuildFindings:
    """What a run of transform found out. ``held_back`` are names of marts."""

    run_id: str
    passed: bool
    findings: tuple[str, ...]
    schema_changes: tuple[str, ...]
    held_back: tuple[str, ...]


@dataclass(slots=True)
class _Survey:
    store: QualityStore
    unknown: list[str] = field(default_factory=list)

    def part(self, name: str, gather: Callable[[], T], otherwise: T) -> T:
        """A part of the snapshot; one that cannot be read must not take the others with it."""
        try:
            return gather()
        except WarehouseError as error:
            log.warning("The snapshot of health lacks its part %s: %s", name, error)
            self.unknown.append(name)
            return otherwise


def survey_loads(
    store: QualityStore, settings: Settings, lake: Lake, moment: Moment
) -> dict[str, Any]:
    """The parts of the snapshot that a load changes; what cannot be read is left out."""
    from include.alerts.incidents import count_open
    from include.alerts.outbox import count_waiting

    survey = _Survey(store)
    return {
        "sources_at": iso(moment.now),
        "loaded_at": survey.part("loaded_at", lambda: iso(store.fetch(_LOADED_AT)[0][0]), None),
        "sources": survey.part("sources", lambda: _sources(store, moment), ()),
        "backlog": survey.part(
            "backlog", lambda: _backlog(store, count_open(lake), count_waiting(lake)), None
        ),
        "storage": survey.part("storage", lambda: _storage(store, settings), None),
        "unknown": survey.unknown,
    }


def survey_build(
    store: QualityStore, manifest: Manifest, moment: Moment, build: BuildFindings
) -> dict[str, Any]:
    """The parts of the snapshot that a run of transform changes; the same goes for them."""
    survey = _Survey(store)
    return {
        "marts_at": iso(moment.now),
        "run_id": build.run_id,
        "run_passed": build.passed,
        "marts": survey.part("marts", lambda: _marts(store, manifest, moment, build), ()),
        "failed_tests": survey.part("tests", lambda: _failed_tests(store, build.run_id), ()),
        "findings": build.findings,
        "schema_changes": build.schema_changes,
        "models": survey.part("models", lambda: _models(store), ()),
        "unknown": survey.unknown,
    }


def _sources(store: QualityStore, moment: Moment) -> tuple[SourceHealth, ...]:
    rejected: dict[tuple[str, str], dict[str, int]] = defaultdict(dict)
    for source, dataset, reason, rows, _ in store.fetch(_REJECTED):
        rejected[source, dataset][reason] = int(rows)
    drift: dict[tuple[str, str], list[str]] = defaultdict(list)
    for source, dataset, kind, column, files in store.fetch(_DRIFT, moment.now - timedelta(days=7)):
        drift[source, dataset].append(f"{kind} {column} ({files})")
    return tuple(
        SourceHealth(
            source=source,
            dataset=dataset,
            last_file=object_key,
            last_landed_at=iso(landed_at) or "",
            last_business_date=iso(last_day),
            files=int(files),
            rows=int(rows),
            quarantined=rejected[source, dataset],
            drift=tuple(drift[source, dataset][:SHOWN_DRIFT]),
            is_late=moment.is_daily(dataset) and _is_late(last_day, moment.today),
        )
        for source, dataset, object_key, landed_at, last_day, files, rows in store.fetch(
            _LAST_LOADS
        )
    )


def _is_late(last_day: date | None, today: date) -> bool:
    return last_day is not None and LATE_DAYS < (today - last_day).days <= DORMANT_DAYS


def _marts(
    store: QualityStore, manifest: Manifest, moment: Moment, build: BuildFindings
) -> tuple[MartHealth, ...]:
    nodes = {row[0]: row for row in store.fetch(_NODES, build.run_id)}
    built = dict(store.fetch(_BUILT))
    return tuple(
        _mart(manifest, mart, nodes, built, moment, is_held_back=mart.name in build.held_back)
        for mart in manifest.marts
    )


def _mart(
    manifest: Manifest,
    mart: DbtNode,
    nodes: Mapping[str, Sequence[object]],
    built: Mapping[str, datetime],
    moment: Moment,
    *,
    is_held_back: bool,
) -> MartHealth:
    unique_id, name = mart.unique_id, mart.name
    outcomes = Counter(
        str(nodes[test.unique_id][2])
        for test in manifest.tests
        if unique_id in test.parents and test.unique_id in nodes
    )
    volume, low, high = _volume(moment, f"marts.{name}")
    return MartHealth(
        name=name,
        owner=manifest.owner(unique_id),
        outcome=str(nodes[unique_id][2]) if unique_id in nodes else "never_ran",
        is_held_back=is_held_back,
        built_at=iso(built.get(name)),
        tests_passed=outcomes["passed"] + outcomes["warned"],
        tests_failed=outcomes["failed"],
        tests_never_run=outcomes["never_ran"] + outcomes["skipped"],
        volume=volume,
        low=low,
        high=high,
    )


def _volume(
    moment: Moment, table_name: str
) -> tuple[tuple[Point, ...], float | None, float | None]:
    """The rows by day of the source that sent most lately, and what is usual on its last day."""
    days = last_days(moment.history, moment.today)
    series = [
        (days[each.source], values)
        for each, values in moment.history.items()
        if each.table_name == table_name and each.metric == "volume" and each.source in days
    ]
    if not series:
        return (), None, None
    last_day, values = max(series, key=lambda pair: pair[0])
    shown = [last_day - timedelta(days=back) for back in range(SHOWN_DAYS - 1, -1, -1)]
    first = min(values)
    usual = usual_range("volume", values, last_day)
    points = tuple(Point(day.isoformat(), values.get(day, 0.0)) for day in shown if day >= first)
    return points, usual and usual.low, usual and usual.high


def _failed_tests(store: QualityStore, run_id: str) -> tuple[FailedTest, ...]:
    return tuple(
        FailedTest(
            name=str(name),
            tested=str(tested or ""),
            failures=None if failures is None else int(failures),
            message=str(message or ""),
        )
        for _, name, outcome, failures, message, tested in store.fetch(_NODES, run_id)
        if outcome == "failed"
    )


def _models(store: QualityStore) -> tuple[ModelHistory, ...]:
    runs: dict[tuple[str, str], list[ModelRun]] = defaultdict(list)
    for unique_id, name, at, outcome, seconds, rows in store.fetch(_MODEL_RUNS, SHOWN_RUNS):
        runs[name, unique_id].append(
            ModelRun(
                at=iso(at) or "",
                outcome=str(outcome),
                seconds=None if seconds is None else round(float(seconds), 3),
                rows=None if rows is None else int(rows),
            )
        )
    return tuple(ModelHistory(name, unique_id, tuple(of)) for (name, unique_id), of in runs.items())


def _backlog(store: QualityStore, incidents: int, alerts: int) -> Backlog:
    rejected = store.fetch(_REJECTED)
    return Backlog(
        rejected_rows=sum(int(row[3]) for row in rejected),
        oldest_rejection=iso(min((row[4] for row in rejected), default=None)),
        removed_files=int(store.fetch(_REMOVED)[0][0]),
        open_incidents=incidents,
        undelivered_alerts=alerts,
    )


def _storage(store: QualityStore, settings: Settings) -> Storage:
    raw_bytes, files = store.fetch(_STORAGE)[0]
    warehouse = settings.warehouse
    on_disk = isinstance(warehouse, DuckDBSettings)
    return Storage(
        warehouse_bytes=warehouse.path.stat().st_size if on_disk else None,
        raw_bytes=int(raw_bytes),
        files=int(files),
    )
