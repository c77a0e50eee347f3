"""Reads the vendor's files as a stranger would: csv and int, nothing of the simulator."""

import csv
import io
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class Sale:
    machine_id: str
    transaction_id: str
    slot: int
    product_id: str
    sold_at: datetime
    quantity: int
    unit_price: int
    amount: int
    payment_method: str
    kind: str
    original: str


@dataclass(frozen=True)
class Refill:
    machine_id: str
    replenishment_id: str
    slot: int
    product_id: str
    at: datetime
    added: int
    removed: int
    counted: int
    staff_id: str


def rows(content: bytes, encoding: str = "utf-8") -> list[dict[str, str]]:
    """A file's rows by column name."""
    return list(csv.DictReader(io.StringIO(content.decode(encoding))))


def sales(contents: dict[str, bytes]) -> list[Sale]:
    """Every row of every sales file."""
    return [_sale(row) for key, file in contents.items() if "/sales_" in key for row in rows(file)]


def refills(contents: dict[str, bytes]) -> list[Refill]:
    """Every row of every replenishment file."""
    return [
        _refill(row)
        for key, file in contents.items()
        if "/replenishment_" in key
        for row in rows(file)
    ]


def _sale(row: dict[str, str]) -> Sale:
    return Sale(
        row["machine_id"],
        row["transaction_id"],
        int(row["slot_number"]),
        row["product_id"],
        datetime.fromisoformat(row["sold_at"]),
        int(row["quantity"]),
        int(row["unit_price"]),
        int(row["amount"]),
        row["payment_method"],
        row["transaction_type"],
        row["original_transaction_id"],
    )


def _refill(row: dict[str, str]) -> Refill:
    return Refill(
        row["machine_id"],
        row["replenishment_id"],
        int(row["slot_number"]),
        row["product_id"],
        datetime.fromisoformat(row["replenished_at"]),
        int(row["quantity_added"]),
        int(row["quantity_removed"]),
        int(row["counted_stock"]),
        row["staff_id"],
    )


@dataclass(frozen=True)
class StockEvent:
    """A change of one slot's stock; `counted` where somebody counted after it."""

    at: datetime
    change: int
    counted: int | None


def stock_events(contents: dict[str, bytes]) -> dict[tuple[str, int], list[StockEvent]]:
    """By machine and slot, in order of time: what refills and dispensed sales did to stock."""
    all_sales = sales(contents)
    voided = {(s.machine_id, s.original) for s in all_sales if s.kind == "void"}
    events: dict[tuple[str, int], list[StockEvent]] = {}
    for sale in all_sales:
        if sale.kind == "sale" and (sale.machine_id, sale.transaction_id) not in voided:
            event = StockEvent(sale.sold_at, -sale.quantity, None)
            events.setdefault((sale.machine_id, sale.slot), []).append(event)
    for refill in refills(contents):
        event = StockEvent(refill.at, refill.added - refill.removed, refill.counted)
        events.setdefault((refill.machine_id, refill.slot), []).append(event)
    return {slot: sorted(found, key=lambda event: event.at) for slot, found in events.items()}


def stock_contradictions(contents: dict[str, bytes]) -> list[str]:
    """Every place where the files contradict themselves about stock."""
    found = []
    for slot, events in stock_events(contents).items():
        level = 0
        for event in events:
            level += event.change
            if level < 0:
                found.append(f"{slot} sold what it did not have at {event.at}")
            if event.counted is not None and event.counted != level:
                found.append(f"{slot} counted {event.counted}, not {level}, at {event.at}")
    return found
