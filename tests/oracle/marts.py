"""The figures that a warehouse's marts give, in the oracle's own terms, and what differs."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

import duckdb

from tests.oracle.oracle import DaySales, Figures, StockOut

_SALES = """
    SELECT machine_id, business_date, revenue, units_sold
    FROM marts.fct_daily_machine_sales WHERE source = ?
"""
_CLOSING_STOCK = """
    SELECT machine_id, slot_number, business_date, closing_stock
    FROM marts.fct_daily_inventory WHERE source = ?
"""
_STOCK_OUTS = """
    SELECT machine_id, slot_number, started_at, ended_at
    FROM marts.fct_stockouts WHERE source = ?
"""


def read_figures(database: Path, source: str = "fleet") -> Figures:
    """What the marts of a DuckDB file say about one source."""
    with duckdb.connect(str(database), read_only=True) as warehouse:
        sales = warehouse.execute(_SALES, [source]).fetchall()
        closing = warehouse.execute(_CLOSING_STOCK, [source]).fetchall()
        stock_outs = warehouse.execute(_STOCK_OUTS, [source]).fetchall()
    return Figures(
        {(machine, day): DaySales(revenue, units) for machine, day, revenue, units in sales},
        {(machine, slot, day): stock for machine, slot, day, stock in closing},
        frozenset(
            StockOut(machine, slot, _utc(started), ended and _utc(ended))
            for machine, slot, started, ended in stock_outs
        ),
    )


def differences(expected: Figures, found: Figures) -> list[str]:
    """One line for each figure that differs, is missing or is too much; empty when all agree."""
    return [
        *_mapping_differences("sales", expected.sales, found.sales),
        *_mapping_differences("closing stock", expected.closing_stock, found.closing_stock),
        *(f"missing {out}" for out in sorted(expected.stock_outs - found.stock_outs, key=str)),
        *(f"unexpected {out}" for out in sorted(found.stock_outs - expected.stock_outs, key=str)),
    ]


def _mapping_differences(what: str, expected: Mapping, found: Mapping) -> Iterator[str]:
    for key in sorted(expected.keys() | found.keys()):
        if expected.get(key) != found.get(key):
            yield f"{what} of {key}: expected {expected.get(key)}, found {found.get(key)}"


def _utc(moment: datetime) -> datetime:
    return moment.replace(tzinfo=UTC)
