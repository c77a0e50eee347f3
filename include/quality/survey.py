"""Gathers what the snapshot of health says, from the ledger and the quality tables."""

from __future__ import annotations

import logging
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import TypeVar

from include.lake import Lake
from include.quality.findings import last_days
from include.quality.health import (
    Backlog,
    FailedTest,
    Health,
    MartHealth,
    Point,
    RunTime,
    SourceHealth,
    Storage,
    iso,
)
from include.quality.judge import usual_range
from include.quality.metrics import History
from include.quality.store import QualityStore
from include.settings import DuckDBSettings, Settings
from include.transform.manifest import Manifest
from include.warehouse import WarehouseError

log = logging.getLogger(__name__)

T = TypeVar("T")

SHOWN_DAYS = 42
SHOWN_RUNS = 12
SHOWN_MODELS = 15
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
_RUN_TIMES = """
SELECT name, seconds, run_order FROM (
    SELECT
        name, seconds,
        DENSE_RANK() OVER (ORDER BY recorded_at DESC, run_id) AS run_order
    FROM ops.dbt_results
    WHERE resource_type = 'model' AND seconds IS NOT NULL
) AS timed
WHERE run_order <= ?
ORDER BY run_order DESC
"""
_STORAGE = "SELECT COALESCE(SUM(size_bytes), 0), COUNT(*) FROM ops.load_history"
_REMOVED = "SELECT COUNT(*) FROM ops.load_history WHERE is_current AND missing_since IS NOT NULL"


@dataclass(frozen=True, slots=True)
class RunFindings:
    """What a run found out about itself; ``now`` is in UTC without zone, ``today`` local."""

    run_id: str
    passed: bool
    now: datetime
    today: date
    history: History
    findings: tuple[str, ...]
    schema_changes: tuple[str, ...]

    def is_daily(self, dataset: str) -> bool:
        """Whether rows of the dataset are expected every day; masters come when they change."""
        return any(series.table_name == f"raw.{dataset}" for series in self.history)


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


def gather_health(
    store: QualityStore, settings: Settings, lake: Lake, manifest: Manifest, run: RunFindings
) -> Health:
    """The snapshot as the warehouse and the lake are now; what cannot be read is left out."""
    from include.alerts.incidents import count_open
    from include.alerts.outbox import count_waiting

    survey = _Survey(store)
    return Health(
        environment=settings.environment.value,
        written_at=iso(run.now) or "",
        run_id=run.run_id,
        run_passed=run.passed,
        published_run_id=None,
        published_at=None,
        sources=survey.part("sources", lambda: _sources(store, run), ()),
        marts=survey.part("marts", lambda: _marts(store, manifest, run), ()),
        failed_tests=survey.part("tests", lambda: _failed_tests(store, run.run_id), ()),
        findings=run.findings,
        schema_changes=run.schema_changes,
        run_times=survey.part("run_times", lambda: _run_times(store), ()),
        backlog=survey.part(
            "backlog", lambda: _backlog(store, count_open(lake), count_waiting(lake)), None
        ),
        storage=survey.part("storage", lambda: _storage(store, settings), None),
        unknown=tuple(survey.unknown),
    )


def _sources(store: QualityStore, run: RunFindings) -> tuple[SourceHealth, ...]:
    rejected: dict[tuple[str, str], dict[str, int]] = defaultdict(dict)
    for source, dataset, reason, rows, _ in store.fetch(_REJECTED):
        rejected[source, dataset][reason] = int(rows)
    drift: dict[tuple[str, str], list[str]] = defaultdict(list)
    for source, dataset, kind, column, files in store.fetch(_DRIFT, run.now - timedelta(days=7)):
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
            is_late=run.is_daily(dataset) and _is_late(last_day, run.today),
        )
        for source, dataset, object_key, landed_at, last_day, files, rows in store.fetch(
            _LAST_LOADS
        )
    )


def _is_late(last_day: date | None, today: date) -> bool:
    return last_day is not None and LATE_DAYS < (today - last_day).days <= DORMANT_DAYS


def _marts(store: QualityStore, manifest: Manifest, run: RunFindings) -> tuple[MartHealth, ...]:
    nodes = {row[0]: row for row in store.fetch(_NODES, run.run_id)}
    built = dict(store.fetch(_BUILT))
    return tuple(
        _mart(manifest, mart.unique_id, mart.name, nodes, built, run) for mart in manifest.marts
    )


def _mart(
    manifest: Manifest,
    unique_id: str,
    name: str,
    nodes: Mapping[str, Sequence[object]],
    built: Mapping[str, datetime],
    run: RunFindings,
) -> MartHealth:
    outcomes = Counter(
        str(nodes[test.unique_id][2])
        for test in manifest.tests
        if unique_id in test.parents and test.unique_id in nodes
    )
    volume, low, high = _volume(run, f"marts.{name}")
    return MartHealth(
        name=name,
        owner=manifest.owner(unique_id),
        outcome=str(nodes[unique_id][2]) if unique_id in nodes else "never_ran",
        built_at=iso(built.get(name)),
        tests_passed=outcomes["passed"] + outcomes["warned"],
        tests_failed=outcomes["failed"],
        tests_never_run=outcomes["never_ran"] + outcomes["skipped"],
        volume=volume,
        low=low,
        high=high,
    )


def _volume(
    run: RunFindings, table_name: str
) -> tuple[tuple[Point, ...], float | None, float | None]:
    """The rows by day of the source that sent most lately, and what is usual on its last day."""
    days = last_days(run.history, run.today)
    series = [
        (days[each.source], values)
        for each, values in run.history.items()
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


def _run_times(store: QualityStore) -> tuple[RunTime, ...]:
    by_model: dict[str, list[float]] = defaultdict(list)
    for name, seconds, _ in store.fetch(_RUN_TIMES, SHOWN_RUNS):
        by_model[name].append(round(float(seconds), 3))
    slowest = sorted(by_model, key=lambda name: by_model[name][-1], reverse=True)
    return tuple(RunTime(name, tuple(by_model[name])) for name in slowest[:SHOWN_MODELS])


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
