"""What a run has done and what the marts say: read, printed, and written as JSON.

The warehouse is read when no run is at work any more; while somebody else has it open, the readers'
copy is read instead.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path

import duckdb

from deploy.local.airflow_api import DagRun
from deploy.local.follow import BROKEN, FINE, SUCCEEDED, TRANSFORM, Progress
from deploy.local.layout import Layout
from include.lake import DiskLake
from include.transform.artifacts import NodeResult, RunArtifacts
from include.transform.verdicts import Outcome, status_outcome

LARGEST_MARTS = 5
MACHINES_SHOWN = 5


@dataclass(frozen=True, slots=True)
class TaskCounts:
    """One DAG's run in numbers."""

    dag_id: str
    run_id: str | None
    state: str
    succeeded: int
    skipped: int
    failed: int


@dataclass(frozen=True, slots=True)
class RejectedRows:
    """Quarantined rows (or whole files) by the code of their first reason."""

    reason: str
    rows: int


@dataclass(frozen=True, slots=True)
class LoadCounts:
    """Sums over loads; rows_read = rows_conformed + rows_duplicate + rows_quarantined."""

    files: int = 0
    api_pages: int = 0
    rows_read: int = 0
    rows_conformed: int = 0
    rows_duplicate: int = 0
    rows_quarantined: int = 0
    quarantined: tuple[RejectedRows, ...] = ()


@dataclass(frozen=True, slots=True)
class DbtCounts:
    """What dbt said about the nodes of the run's transform."""

    models_passed: int = 0
    models_failed: int = 0
    tests_passed: int = 0
    tests_failed: int = 0
    skipped: int = 0


@dataclass(frozen=True, slots=True)
class MartRows:
    name: str
    rows: int


@dataclass(frozen=True, slots=True)
class DayRevenue:
    """Revenue of a source's last business date, in one currency."""

    source: str
    business_date: date
    currency: str
    revenue: Decimal


@dataclass(frozen=True, slots=True)
class LowMachine:
    """A machine whose slots run out soonest; cover is days, None where nothing sells."""

    source: str
    machine_id: str
    urgent_slots: int
    least_days_of_cover: Decimal | None
    recommended_units: int


@dataclass(frozen=True, slots=True)
class RunSummary:
    """Everything that `make run` says at its end. Times are UTC."""

    started_at: datetime
    seconds: float
    succeeded: bool
    runs: tuple[TaskCounts, ...]
    this_run: LoadCounts
    total: LoadCounts
    dbt: DbtCounts
    largest_marts: tuple[MartRows, ...]
    last_day_revenue: tuple[DayRevenue, ...]
    low_machines: tuple[LowMachine, ...]

    @property
    def found_nothing_new(self) -> bool:
        return self.this_run.files + self.this_run.api_pages == 0


def summarise(
    layout: Layout, rounds: Sequence[Progress], started_at: datetime, seconds: float
) -> RunSummary:
    """Read the warehouse and dbt's artifacts; parts that do not exist yet are empty."""
    runs = {progress.dag_id: progress.run for progress in rounds if progress.run}
    ingests = [run for dag_id, run in runs.items() if dag_id != TRANSFORM]
    with closing(_open(layout)) as database:
        tables = _tables(database)
        return RunSummary(
            started_at=started_at,
            seconds=round(seconds, 1),
            succeeded=all(progress.has_succeeded for progress in rounds),
            runs=tuple(_task_counts(progress) for progress in rounds),
            this_run=_loads_of(database, tables, ingests),
            total=_current_loads(database, tables),
            dbt=_dbt_counts(layout.data, runs.get(TRANSFORM)),
            largest_marts=_largest_marts(database, tables),
            last_day_revenue=_last_day_revenue(database, tables),
            low_machines=_low_machines(database, tables),
        )


def write_json(summary: RunSummary, path: Path) -> None:
    """Write the summary; decimals become strings, so that no digit is lost."""
    content = asdict(summary) | {"found_nothing_new": summary.found_nothing_new}
    text = json.dumps(content, indent=2, default=str, ensure_ascii=False)
    path.write_text(text + "\n", "utf-8")


def _open(layout: Layout) -> duckdb.DuckDBPyConnection:
    for path in (layout.warehouse, layout.snapshot):
        if path.exists():
            try:
                return duckdb.connect(str(path), read_only=True)
            except duckdb.IOException:
                continue
    return duckdb.connect(":memory:")


def _tables(database: duckdb.DuckDBPyConnection) -> frozenset[str]:
    rows = database.execute(
        "SELECT table_schema || '.' || table_name FROM information_schema.tables"
    )
    return frozenset(name for (name,) in rows.fetchall())


def _task_counts(progress: Progress) -> TaskCounts:
    states = Counter(task.state for task in progress.tasks.values())
    return TaskCounts(
        dag_id=progress.dag_id,
        run_id=progress.run.run_id if progress.run else None,
        state=progress.state,
        succeeded=states[SUCCEEDED],
        skipped=sum(states[state] for state in FINE) - states[SUCCEEDED],
        failed=sum(states[state] for state in BROKEN),
    )


def _loads_of(
    database: duckdb.DuckDBPyConnection, tables: frozenset[str], runs: Iterable[DagRun]
) -> LoadCounts:
    run_ids = [run.run_id for run in runs]
    return _load_counts(database, tables, "list_contains($run_ids, run_id)", {"run_ids": run_ids})


def _current_loads(database: duckdb.DuckDBPyConnection, tables: frozenset[str]) -> LoadCounts:
    return _load_counts(database, tables, "is_current", {})


def _load_counts(
    database: duckdb.DuckDBPyConnection,
    tables: frozenset[str],
    which: str,
    parameters: dict[str, list[str]],
) -> LoadCounts:
    """Sums over the ledger rows for which ``which``, an SQL condition, is true."""
    if "ops.load_history" not in tables:
        return LoadCounts()
    sums = database.execute(
        f"""
        SELECT
            count(DISTINCT object_key) FILTER (NOT starts_with(object_key, 'api/')),
            count(DISTINCT object_key) FILTER (starts_with(object_key, 'api/')),
            coalesce(sum(rows_read), 0)::BIGINT,
            coalesce(sum(rows_conformed), 0)::BIGINT,
            coalesce(sum(rows_duplicate), 0)::BIGINT,
            coalesce(sum(rows_quarantined), 0)::BIGINT
        FROM ops.load_history
        WHERE {which}
        """,
        parameters,
    ).fetchone()
    reasons = database.execute(
        f"""
        SELECT first_reason, count(*)
        FROM ops.quarantine
        WHERE load_id IN (SELECT load_id FROM ops.load_history WHERE {which})
        GROUP BY first_reason
        ORDER BY count(*) DESC, first_reason
        """,
        parameters,
    ).fetchall()
    return LoadCounts(*(sums or ()), quarantined=tuple(RejectedRows(*row) for row in reasons))


def _dbt_counts(data: Path, transform: DagRun | None) -> DbtCounts:
    if transform is None:
        return DbtCounts()
    results = RunArtifacts(DiskLake(data), transform.run_id).latest_results().values()
    counts = Counter((_kind(result), status_outcome(result.status)) for result in results)
    return DbtCounts(
        models_passed=counts["model", Outcome.PASSED],
        models_failed=counts["model", Outcome.FAILED],
        tests_passed=counts["test", Outcome.PASSED],
        tests_failed=counts["test", Outcome.FAILED],
        skipped=sum(n for (_, outcome), n in counts.items() if outcome is Outcome.SKIPPED),
    )


def _kind(result: NodeResult) -> str:
    # A unique id is <resource type>.<project>.<name>.
    return result.unique_id.partition(".")[0]


def _largest_marts(
    database: duckdb.DuckDBPyConnection, tables: frozenset[str]
) -> tuple[MartRows, ...]:
    marts = sorted(name for name in tables if name.startswith("marts."))
    sizes = [MartRows(name.removeprefix("marts."), _count(database, name)) for name in marts]
    return tuple(sorted(sizes, key=lambda mart: -mart.rows)[:LARGEST_MARTS])


def _count(database: duckdb.DuckDBPyConnection, table: str) -> int:
    schema, _, name = table.partition(".")
    (rows,) = database.execute(f'SELECT count(*) FROM "{schema}"."{name}"').fetchone() or (0,)
    return rows


def _last_day_revenue(
    database: duckdb.DuckDBPyConnection, tables: frozenset[str]
) -> tuple[DayRevenue, ...]:
    if "marts.fct_daily_machine_sales" not in tables:
        return ()
    rows = database.execute(
        """
        SELECT source, business_date, currency, sum(revenue)::DECIMAL(18, 2)
        FROM marts.fct_daily_machine_sales AS sales
        WHERE business_date = (
            SELECT max(business_date)
            FROM marts.fct_daily_machine_sales AS other
            WHERE other.source = sales.source
        )
        GROUP BY ALL
        ORDER BY ALL
        """
    ).fetchall()
    return tuple(DayRevenue(*row) for row in rows)


def _low_machines(
    database: duckdb.DuckDBPyConnection, tables: frozenset[str]
) -> tuple[LowMachine, ...]:
    if "marts.fct_replenishment_plan" not in tables:
        return ()
    rows = database.execute(
        """
        SELECT
            source,
            machine_id,
            count(*) FILTER (priority = 'urgent'),
            min(days_of_cover),
            sum(recommended_units)::BIGINT
        FROM marts.fct_replenishment_plan
        GROUP BY source, machine_id
        HAVING bool_or(priority = 'urgent')
        ORDER BY count(*) FILTER (priority = 'urgent') DESC, min(days_of_cover), machine_id
        LIMIT $limit
        """,
        {"limit": MACHINES_SHOWN},
    ).fetchall()
    return tuple(LowMachine(*row) for row in rows)
