"""Holds the last day of each source against the usual range of every metric."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from statistics import median

from include.alerts.formatter import Severity
from include.quality.checks import OnFinding, TableCheck
from include.quality.judge import UsualRange, usual_range
from include.quality.metrics import History, Series

# A day counts as begun once some table has this share of its usual rows: a few rows with a date in
# the future must not make the day before look complete.
BEGUN_SHARE = 0.2
# A source that has sent nothing for so long is kept for its history; nobody waits for it.
DORMANT_DAYS = 60
FRESHNESS = "freshness"
# Until a source's own lag is known: whether rows come the morning after differs by source.
FIRST_LAG = 1.0
LAGS_KNOWN_FROM = 5
LAG_HISTORY_DAYS = 28


@dataclass(frozen=True, slots=True)
class Finding:
    """A metric of a day outside its usual range."""

    table_name: str
    source: str
    metric: str
    business_date: date
    value: float
    usual: UsualRange
    severity: Severity
    is_blocking: bool

    def __str__(self) -> str:
        where = f"{self.table_name} of {self.source}" if self.source else self.table_name
        if self.metric == FRESHNESS:
            return f"{where}: nothing for {self.value:.0f} days, the last is {self.business_date}"
        return (
            f"{where}: {_words(self.metric)} of {self.business_date} is {_figure(self.value)}, "
            f"usual is {_figure(self.usual.low)} to {_figure(self.usual.high)}"
        )


def last_days(history: History, today: date) -> dict[str, date]:
    """The last complete business day of each source, before ``today`` (in its own time zone)."""
    found: dict[str, date] = {}
    for series, values in history.items():
        if series.metric != "volume" or not values:
            continue
        least = BEGUN_SHARE * median(values.values())
        begun = [day for day, rows in values.items() if day < today and rows >= least]
        if begun:
            found[series.source] = max(*begun, found.get(series.source, date.min))
    return found


def judge_last_days(
    history: History, checks: Mapping[str, TableCheck], today: date
) -> list[Finding]:
    """What is unusual about the last complete day of each source."""
    days = last_days(history, today)
    judged = (
        finding
        for series, values in history.items()
        if series.table_name in checks and series.source in days and series.metric != FRESHNESS
        for finding in _judged(series, values, checks[series.table_name], days[series.source])
    )
    stale = _stale(history, checks, days, today)
    return sorted((*judged, *stale), key=lambda f: (f.table_name, f.source, f.metric))


def _judged(
    series: Series, values: Mapping[date, float], check: TableCheck, day: date
) -> Iterator[Finding]:
    # Of a day without rows only the volume says something.
    if day not in values and series.metric != "volume":
        return
    usual = usual_range(series.metric, values, day)
    value = values.get(day, 0.0)
    if usual is not None and not usual.holds(value):
        yield _finding(series, check, day, value, usual)


def lags(history: History, today: date) -> History:
    """Complete days before ``today`` that have no rows yet, of each table with days and source.

    Measured at each run and recorded under the day of the run.
    """
    days = last_days(history, today)
    return {
        Series(series.table_name, series.source, FRESHNESS): {
            today: float((today - days[series.source]).days - 1)
        }
        for series in history
        if series.metric == "volume" and series.source and series.source in days
    }


def _stale(
    history: History, checks: Mapping[str, TableCheck], days: Mapping[str, date], today: date
) -> Iterator[Finding]:
    for series, values in history.items():
        if series.metric != FRESHNESS or series.table_name not in checks:
            continue
        lag, usual = values.get(today, 0.0), _usual_lag(values, today)
        if lag <= DORMANT_DAYS and not usual.holds(lag):
            yield _finding(series, checks[series.table_name], days[series.source], lag, usual)


def _usual_lag(values: Mapping[date, float], today: date) -> UsualRange:
    first = today - timedelta(days=LAG_HISTORY_DAYS)
    known = [lag for day, lag in values.items() if first <= day < today]
    return UsualRange(0, median(known) if len(known) >= LAGS_KNOWN_FROM else FIRST_LAG)


def _finding(
    series: Series, check: TableCheck, day: date, value: float, usual: UsualRange
) -> Finding:
    return Finding(
        table_name=series.table_name,
        source=series.source,
        metric=series.metric,
        business_date=day,
        value=value,
        usual=usual,
        severity=check.severity,
        is_blocking=check.on_finding is OnFinding.BLOCK,
    )


def _words(metric: str) -> str:
    kind, _, column = metric.partition(":")
    return {
        "volume": "the number of rows",
        "sum": f"the sum of {column}",
        "distinct": f"the number of different {column}",
        "nulls": f"the share of rows without {column}",
    }[kind]


def _figure(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:,.3g}"
