"""Real histories of `raw.sales`: of the simulator by seed, and a real retail year."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import duckdb

from include.quality.checks import TableCheck, load_checks
from include.quality.findings import Finding, judge_last_days, lags
from include.quality.metrics import History, measure
from include.quality.store import DuckDBStore
from simulator.__main__ import main as simulate
from simulator.completejourney import write_year

TABLE = "raw.sales"
LAST_DAY = date(2026, 11, 20)

_FLEET = """
CREATE OR REPLACE TABLE raw.sales AS
SELECT
    'fleet' AS _source, machine_id, slot_number, product_id,
    CAST(left(sold_at, 10) AS DATE) AS business_date, CAST(quantity AS INTEGER) AS quantity,
    CAST(unit_price AS DOUBLE) AS unit_price, CAST(amount AS DOUBLE) AS amount, 'JPY' AS currency,
    payment_method AS payment_method_code
FROM read_csv('{files}', all_varchar = true)
"""
_RETAIL = """
CREATE OR REPLACE TABLE raw.sales AS
SELECT
    'completejourney' AS _source, store_id AS machine_id, NULL AS slot_number, product_id,
    strptime(regexp_extract(filename, '(\\d{{8}})', 1), '%Y%m%d')::DATE AS business_date,
    CAST(quantity AS INTEGER) AS quantity, NULL AS unit_price,
    CAST(sales_value AS DOUBLE) AS amount, 'USD' AS currency, NULL AS payment_method_code
FROM read_csv('{files}', all_varchar = true, filename = true)
"""


@dataclass(frozen=True)
class SalesHistory:
    """A DuckDB with `raw.sales`, whose rows a test may spoil."""

    connection: duckdb.DuckDBPyConnection

    @property
    def checks(self) -> dict[str, TableCheck]:
        return {TABLE: load_checks()[TABLE]}

    def measured(self) -> History:
        return measure(DuckDBStore(self.connection), self.checks, LAST_DAY)

    def findings(self, history: History, day: date) -> list[Finding]:
        """What is said the morning after a day, knowing nothing of later ones."""
        known = _until(history, day + timedelta(days=1))
        # The lags that the runs of the days before have recorded.
        recorded: History = {}
        for back in range(10, -1, -1):
            today = day + timedelta(days=1 - back)
            for series, values in lags(_until(known, today), today).items():
                recorded[series] = recorded.get(series, {}) | values
        return judge_last_days(known | recorded, self.checks, day + timedelta(days=1))

    @contextmanager
    def spoilt(self, *statements: str) -> Iterator[None]:
        self.connection.execute("BEGIN")
        try:
            for statement in statements:
                self.connection.execute(statement)
            yield
        finally:
            self.connection.execute("ROLLBACK")


def fleet(folder: Path, seed: int, *, machines: int = 12, days: int = 120) -> SalesHistory:
    sources = folder / f"seed-{seed}"
    options = {
        "out": sources,
        "state": folder / f"{seed}.json",
        "machines": machines,
        "days": days,
        "seed": seed,
        "end-date": LAST_DAY,
    }
    given = (part for name, value in options.items() for part in (f"--{name}", str(value)))
    status = simulate(["write", *given])
    assert status == 0
    return _loaded(_FLEET.format(files=f"{sources}/**/sales_*.csv"))


def retail_year(folder: Path) -> SalesHistory:
    write_year(folder)
    return _loaded(_RETAIL.format(files=f"{folder}/**/transactions_*.csv"))


def _until(history: History, day: date) -> History:
    """What was known on the morning of a day."""
    return {
        series: {d: value for d, value in values.items() if d < day}
        for series, values in history.items()
    }


def _loaded(statement: str) -> SalesHistory:
    connection = duckdb.connect()
    connection.execute("CREATE SCHEMA raw")
    connection.execute(statement)
    return SalesHistory(connection)
