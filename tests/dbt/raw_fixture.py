"""A warehouse as ingest leaves it: raw tables and the ledger, filled by hand.

Small enough to work out every mart on paper, and a real DuckDB file made by the contracts' own
DDL. What it does on each call is one commit of the ledger, as the loader's transaction is.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import ClassVar

import duckdb

from include.contracts import Dialect, load_catalog
from include.contracts.raw_tables import create_ops_tables, create_raw_tables

_TOKYO_AHEAD_OF_UTC = timedelta(hours=9)


def at(moment: str) -> datetime:
    """A moment in UTC, written as ``2025-03-01 03:00``."""
    return datetime.fromisoformat(moment)


def business_date(moment: datetime) -> date:
    """The date in Tokyo of a moment in UTC."""
    return (moment + _TOKYO_AHEAD_OF_UTC).date()


@dataclass(frozen=True)
class Sale:
    """A row of raw.sales; yen and Tokyo unless said otherwise."""

    dataset: ClassVar[str] = "sales"
    machine_id: str
    transaction_id: str
    sold_at: datetime
    slot_number: int | None
    product_id: str
    amount: Decimal
    quantity: int = 1
    transaction_type: str = "sale"
    original_transaction_id: str | None = None
    currency: str = "JPY"
    payment_method_code: str = "cash"
    line_id: str = "1"
    business_date: date | None = None


@dataclass(frozen=True)
class Visit:
    """A row of raw.replenishment."""

    dataset: ClassVar[str] = "replenishment"
    machine_id: str
    replenishment_id: str
    slot_number: int
    product_id: str
    replenished_at: datetime
    quantity_added: int
    quantity_removed: int = 0
    counted_stock: int | None = None
    staff_id: str | None = "W1"
    business_date: date | None = None


@dataclass(frozen=True)
class Machine:
    """A row of raw.vending_machines."""

    dataset: ClassVar[str] = "vending_machines"
    machine_id: str
    prefecture: str
    effective_on: date | None
    machine_name: str = "machine"
    slot_capacity: int = 10


@dataclass(frozen=True)
class Product:
    """A row of raw.products."""

    dataset: ClassVar[str] = "products"
    product_id: str
    category_id: str
    list_price: Decimal
    effective_on: date | None
    product_name: str = "product"
    currency: str = "JPY"


@dataclass(frozen=True)
class Category:
    """A row of raw.product_categories."""

    dataset: ClassVar[str] = "product_categories"
    category_id: str
    category_name: str


@dataclass(frozen=True)
class PaymentMethod:
    """A row of raw.payment_methods."""

    dataset: ClassVar[str] = "payment_methods"
    payment_method_code: str
    payment_method_name: str
    is_cashless: bool = False


@dataclass(frozen=True)
class Staff:
    """A row of raw.staff."""

    dataset: ClassVar[str] = "staff"
    staff_id: str
    route_code: str


@dataclass(frozen=True)
class Reading:
    """A row of raw.machine_telemetry."""

    dataset: ClassVar[str] = "machine_telemetry"
    event_id: str
    machine_id: str
    measured_at: datetime
    temperature_c: Decimal = Decimal("4.00")
    is_door_open: bool = False
    error_code: str | None = None
    slot_stock: str | None = None
    business_date: date | None = None


@dataclass(frozen=True)
class Weather:
    """A row of raw.weather."""

    dataset: ClassVar[str] = "weather"
    prefecture: str
    business_date: date
    temperature_max_c: Decimal


Row = Sale | Visit | Machine | Product | Category | PaymentMethod | Staff | Reading | Weather


class RawWarehouse:
    """One DuckDB file with raw tables and ledger. Not open between calls, so that dbt can be."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with duckdb.connect(str(path)) as connection:
            connection.execute("create schema raw; create schema ops")
            for statement in (
                *create_raw_tables(load_catalog().datasets, Dialect.DUCKDB),
                *create_ops_tables(Dialect.DUCKDB),
            ):
                connection.execute(statement)
        self._ledger_seq = 0

    def land(
        self, object_key: str, landed_at: str, rows: Sequence[Row], source: str = "fleet"
    ) -> None:
        """Load a file version of one dataset; the current version of the same key is retired."""
        dataset = rows[0].dataset
        assert {row.dataset for row in rows} == {dataset}
        self._ledger_seq += 1
        load_id = 10_000 + self._ledger_seq
        records = [_raw_record(row) for row in rows]
        with duckdb.connect(str(self.path)) as connection:
            connection.begin()
            self._retire(connection, object_key, replaced_by=load_id)
            for record in records:
                columns = {**record, "_source": source, "_load_id": load_id}
                _insert(connection, f"raw.{dataset}", columns)
            days = [record["business_date"] for record in records if "business_date" in record]
            moment = at(landed_at)
            _insert(
                connection,
                "ops.load_history",
                {
                    "load_id": load_id,
                    "source": source,
                    "source_contract": f"{source}.{dataset}",
                    "dataset": dataset,
                    "contract_version": "1.0.0",
                    "contract_fingerprint": "fingerprint",
                    "object_key": object_key,
                    "size_bytes": 1,
                    "checksum": f"checksum {load_id}",
                    "etag": "1-1",
                    "generation": 0,
                    "landed_at": moment,
                    "landed_on": business_date(moment),
                    "business_date_from": min(days, default=None),
                    "business_date_to": max(days, default=None),
                    "rows_read": len(rows),
                    "rows_conformed": len(rows),
                    "rows_quarantined": 0,
                    "rows_duplicate": 0,
                    "is_current": True,
                    "loaded_seq": self._ledger_seq,
                    "run_id": "by hand",
                    "loaded_at": moment,
                    "raw_location": object_key,
                },
            )
            connection.commit()

    def retire(self, object_key: str) -> None:
        """Retire the current version of a key without another in its place."""
        self._ledger_seq += 1
        with duckdb.connect(str(self.path)) as connection:
            connection.begin()
            self._retire(connection, object_key, replaced_by=None)
            connection.commit()

    def _retire(
        self, connection: duckdb.DuckDBPyConnection, object_key: str, replaced_by: int | None
    ) -> None:
        current = connection.execute(
            "select load_id, dataset from ops.load_history where object_key = ? and is_current",
            [object_key],
        ).fetchall()
        for load_id, dataset in current:
            connection.execute(f"delete from raw.{dataset} where _load_id = ?", [load_id])
            connection.execute(
                "update ops.load_history set is_current = false, retired_seq = ?, replaced_by = ? "
                "where load_id = ?",
                [self._ledger_seq, replaced_by, load_id],
            )


def _raw_record(row: Row) -> dict[str, object]:
    """The row's columns, with the business date that conform would have computed."""
    record = asdict(row)
    match row:
        case Sale(sold_at=moment) | Visit(replenished_at=moment) | Reading(measured_at=moment):
            record["business_date"] = row.business_date or business_date(moment)
    return record


def _insert(connection: duckdb.DuckDBPyConnection, table: str, record: dict[str, object]) -> None:
    marks = ", ".join("?" for _ in record)
    connection.execute(
        f"insert into {table} ({', '.join(record)}) values ({marks})", list(record.values())
    )
