"""Measures tables, one statement a table, and keeps what is new in `ops`.

A table with business dates is measured by day and source; one without (masters, dimensions, what is
open now) as a whole, under the last complete day, so that it has a history like the others.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import date, datetime, timedelta
from typing import Any

from include.quality.checks import Grain, TableCheck
from include.quality.judge import HISTORY_DAYS
from include.quality.store import QualityStore
from include.quality.tables import TABLE_METRICS
from include.warehouse import WarehouseError

log = logging.getLogger(__name__)

# Days before the last one of a source that a run measures again: late files change them.
MEASURED_DAYS = 2 * HISTORY_DAYS


@dataclass(frozen=True, slots=True)
class Series:
    """One metric of one table and source; the source is empty for a table as a whole."""

    table_name: str
    source: str
    metric: str


# Value by business day, of each series.
History = dict[Series, dict[date, float]]


def measure(store: QualityStore, checks: Mapping[str, TableCheck], today: date) -> History:
    """What the tables say now. A table that is missing is left out and named in the log."""
    measured: History = defaultdict(dict)
    for table_name, check in checks.items():
        try:
            rows = _measured(store, table_name, check, today)
        except WarehouseError as error:
            log.warning("%s is not measured: %s", table_name, error)
            continue
        for source, day, *values in rows:
            for metric, value in zip(check.metrics, values, strict=True):
                measured[Series(table_name, source, metric)][day] = float(value or 0)
    return dict(measured)


def known_history(store: QualityStore) -> History:
    """What earlier runs recorded; of several values of a day the last one."""
    rows = store.fetch(
        "SELECT table_name, source, metric, business_date, value FROM ops.table_metrics "
        "QUALIFY ROW_NUMBER() OVER (PARTITION BY table_name, source, metric, business_date "
        "ORDER BY recorded_at DESC) = 1"
    )
    history: History = defaultdict(dict)
    for table_name, source, metric, day, value in rows:
        history[Series(table_name, source, metric)][day] = float(value)
    return dict(history)


def record(
    store: QualityStore, measured: History, known: History, run_id: str, now: datetime
) -> None:
    """Keep each value that is new or has changed; ``now`` is in UTC, without zone."""
    rows = [
        asdict(series)
        | {"business_date": day, "value": value, "run_id": run_id, "recorded_at": now}
        for series, day, value in _changed(measured, known)
    ]
    store.append(TABLE_METRICS, rows)


def merged(known: History, measured: History) -> History:
    """The whole history: what is measured now goes before what was recorded."""
    return {
        series: known.get(series, {}) | measured.get(series, {})
        for series in known.keys() | measured.keys()
    }


def _changed(measured: History, known: History) -> Iterator[tuple[Series, date, float]]:
    for series, values in measured.items():
        before = known.get(series, {})
        for day, value in values.items():
            if before.get(day) != value:
                yield series, day, value


def _measured(
    store: QualityStore, table_name: str, check: TableCheck, today: date
) -> list[tuple[Any, ...]]:
    """Rows of source, day and the values of the check's metrics."""
    schema, _, table = table_name.partition(".")
    relation = f"{store.raw_schema if schema == 'raw' else schema}.{table}"
    values = ",\n    ".join(_expressions(check))
    if check.by is Grain.DAY:
        source = "_source" if schema == "raw" else "source"
        return store.fetch(_by_day(relation, source, values))
    yesterday = today - timedelta(days=1)
    return [("", yesterday, *row) for row in store.fetch(f"SELECT {values} FROM {relation}")]


def _by_day(relation: str, source: str, values: str) -> str:
    # The tables are clustered by business date, so a bound on it keeps the scan short.
    return f"""
WITH last_days AS (
    SELECT {source} AS source, MAX(business_date) AS last_day FROM {relation} GROUP BY {source}
)
SELECT
    measured.{source}, measured.business_date,
    {values}
FROM {relation} AS measured
INNER JOIN last_days
    ON measured.{source} = last_days.source
    AND measured.business_date > last_days.last_day - {MEASURED_DAYS}
GROUP BY measured.{source}, measured.business_date
"""


def _expressions(check: TableCheck) -> Iterable[str]:
    yield "COUNT(*)"
    yield from (f"SUM({column})" for column in check.sums)
    yield from (f"COUNT(DISTINCT {column})" for column in check.distinct)
    yield from (f"AVG(CASE WHEN {column} IS NULL THEN 1.0 ELSE 0.0 END)" for column in check.nulls)
