"""What the marts must say about the fleet, computed again from the raw bytes.

    python -m tests.oracle.oracle data/sources

Reads sales and replenishment files with Python's csv and Decimal and imports nothing of the
platform, so that an error there cannot repeat itself here. The rules are those of
docs/architecture.md, "Meaning of the sales rows"; it is written to be read, not to be fast.
"""

import argparse
import csv
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import TypeVar
from zoneinfo import ZoneInfo

ZONE = ZoneInfo("Asia/Tokyo")
SALES_FILE = re.compile(r"sales_[^_]+_\d{8}\.csv")
REPLENISHMENT_FILE = re.compile(r"replenishment_records_[^_]+_\d{8}\.csv")
INTEGER = re.compile(r"-?\d+")
DECIMAL = re.compile(r"-?\d+(\.\d{1,2})?")
MOMENT = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?([+-]\d\d:\d\d|Z)")
YEARS = range(2000, 2100)


class Refused(ValueError):
    """A line that is not a row; it belongs in quarantine."""


@dataclass(frozen=True)
class Sale:
    """One line of a sales file. `sold_at` is in UTC; an amount is in yen."""

    machine_id: str
    transaction_id: str
    slot_number: int | None
    product_id: str
    sold_at: datetime
    quantity: int
    unit_price: Decimal | None
    amount: Decimal
    payment_method: str
    transaction_type: str
    original_transaction_id: str

    @property
    def key(self) -> tuple[str, str]:
        return self.machine_id, self.transaction_id

    @property
    def business_date(self) -> date:
        return self.sold_at.astimezone(ZONE).date()


@dataclass(frozen=True)
class Visit:
    """One slot of one visit. `replenished_at` is in UTC."""

    machine_id: str
    replenishment_id: str
    slot_number: int
    product_id: str
    replenished_at: datetime
    quantity_added: int
    quantity_removed: int
    counted_stock: int | None
    staff_id: str

    @property
    def key(self) -> tuple[str, str, int]:
        return self.machine_id, self.replenishment_id, self.slot_number

    @property
    def business_date(self) -> date:
        return self.replenished_at.astimezone(ZONE).date()


Row = Sale | Visit
AnyRow = TypeVar("AnyRow", Sale, Visit)
Slot = tuple[str, int]


@dataclass(frozen=True, order=True)
class Event:
    """A change of a slot's stock; of one moment, visits come before sales."""

    at: datetime
    order: int
    change: int
    business_date: date
    units_added: int = 0


@dataclass(frozen=True)
class DaySales:
    revenue: Decimal
    units_sold: int


@dataclass(frozen=True, order=True)
class StockOut:
    """From the sale that emptied a slot to the next visit that added units (None: still empty)."""

    machine_id: str
    slot_number: int
    started_at: datetime
    ended_at: datetime | None


@dataclass(frozen=True)
class Figures:
    """Sales by (machine, business date), closing stock by (machine, slot, business date)."""

    sales: Mapping[tuple[str, date], DaySales]
    closing_stock: Mapping[tuple[str, int, date], int]
    stock_outs: frozenset[StockOut]


def compute(sources: Path) -> Figures:
    """All figures of the files below a folder, in whatever folders they lie."""
    sales = _read_all(sources, SALES_FILE, _sale)
    visits = _read_all(sources, REPLENISHMENT_FILE, _visit)
    counted = _without_voids(sales.values())
    last_day = max((row.business_date for row in (*sales.values(), *visits.values())), default=None)
    events = _events_by_slot(counted, visits.values())
    return Figures(
        _daily_sales(counted),
        _closing_stock(events, last_day) if last_day else {},
        frozenset(out for slot in events for out in _stock_outs(slot, events[slot])),
    )


def _read_all(
    sources: Path, name: re.Pattern[str], parse: Callable[[Mapping[str, str]], AnyRow]
) -> dict[tuple, AnyRow]:
    """Rows by key. Of a key in several files, the file that was written last has the say."""
    files = [path for path in sources.rglob("*.csv") if name.fullmatch(path.name)]
    files.sort(key=lambda path: (path.stat().st_mtime_ns, path.as_posix()))
    rows: dict[tuple, AnyRow] = {}
    for path in files:
        for row in _rows_of_file(path.read_bytes(), parse):
            rows[row.key] = row
    return rows


def _rows_of_file(content: bytes, parse: Callable[[Mapping[str, str]], AnyRow]) -> Iterable[AnyRow]:
    """The rows of one file; lines that repeat a key with other content refuse one another."""
    by_key: dict[tuple, set[AnyRow]] = defaultdict(set)
    for values in _lines(content):
        try:
            row = parse(values)
        except Refused:
            continue
        by_key[row.key].add(row)
    return [next(iter(rows)) for rows in by_key.values() if len(rows) == 1]


def _lines(content: bytes) -> Iterator[Mapping[str, str]]:
    """Each readable line as a dictionary; nothing for a file without a usable header."""
    header, *lines = content.removeprefix(b"\xef\xbb\xbf").splitlines() or [b""]
    try:
        names = _split(header)
    except Refused:
        return
    for line in lines:
        try:
            values = _split(line)
        except Refused:
            continue
        if len(values) == len(names):
            yield dict(zip(names, values, strict=True))


def _split(line: bytes) -> list[str]:
    try:
        rows = list(csv.reader([line.decode()], strict=True))
    except (UnicodeDecodeError, csv.Error) as error:
        raise Refused(str(error)) from None
    if len(rows) != 1:
        raise Refused("a blank line")
    return rows[0]


def _sale(values: Mapping[str, str]) -> Sale:
    _require(values, Sale, "machine_id", "transaction_id", "product_id")
    sale = Sale(
        machine_id=values["machine_id"],
        transaction_id=values["transaction_id"],
        slot_number=_optional_integer(values["slot_number"], 1, 999),
        product_id=values["product_id"],
        sold_at=_moment(values["sold_at"]),
        quantity=_integer(values["quantity"], 0, 1_000_000),
        unit_price=_decimal(values["unit_price"]) if values["unit_price"] else None,
        amount=_decimal(values["amount"]),
        payment_method=values["payment_method"],
        transaction_type=values["transaction_type"],
        original_transaction_id=values["original_transaction_id"],
    )
    if sale.transaction_type not in ("sale", "refund", "void"):
        raise Refused("transaction_type")
    if sale.unit_price is not None and sale.unit_price < 0:
        raise Refused("unit_price")
    return sale


def _visit(values: Mapping[str, str]) -> Visit:
    _require(values, Visit, "machine_id", "replenishment_id", "product_id")
    return Visit(
        machine_id=values["machine_id"],
        replenishment_id=values["replenishment_id"],
        slot_number=_integer(values["slot_number"], 1, 999),
        product_id=values["product_id"],
        replenished_at=_moment(values["replenished_at"]),
        quantity_added=_integer(values["quantity_added"], 0, 100_000),
        quantity_removed=_integer(values["quantity_removed"], 0, 100_000),
        counted_stock=_optional_integer(values["counted_stock"], 0, 100_000),
        staff_id=values["staff_id"],
    )


def _require(values: Mapping[str, str], kind: type[Row], *names: str) -> None:
    for field in fields(kind):
        if field.name not in values:
            raise Refused(f"no column {field.name}")
    for name in names:
        if not values[name]:
            raise Refused(name)


def _integer(text: str, low: int, high: int) -> int:
    if not INTEGER.fullmatch(text) or not low <= int(text) <= high:
        raise Refused(text)
    return int(text)


def _optional_integer(text: str, low: int, high: int) -> int | None:
    return _integer(text, low, high) if text else None


def _decimal(text: str) -> Decimal:
    if not DECIMAL.fullmatch(text):
        raise Refused(text)
    return Decimal(text)


def _moment(text: str) -> datetime:
    if not MOMENT.fullmatch(text):
        raise Refused(text)
    try:
        moment = datetime.fromisoformat(text).astimezone(UTC)
    except ValueError as error:
        raise Refused(str(error)) from None
    if moment.year not in YEARS:
        raise Refused(text)
    return moment


def _without_voids(sales: Iterable[Sale]) -> list[Sale]:
    """Sales and refunds; a void and the sale that it names never happened."""
    sales = list(sales)
    voided = {
        (sale.machine_id, sale.original_transaction_id)
        for sale in sales
        if sale.transaction_type == "void"
    }
    return [
        sale
        for sale in sales
        if sale.transaction_type == "refund"
        or (sale.transaction_type == "sale" and sale.key not in voided)
    ]


def _daily_sales(counted: Iterable[Sale]) -> dict[tuple[str, date], DaySales]:
    days: dict[tuple[str, date], DaySales] = {}
    for sale in counted:
        key = sale.machine_id, sale.business_date
        so_far = days.get(key, DaySales(Decimal(0), 0))
        # A refund gives money back; the goods have left the slot and stay sold.
        units = sale.quantity if sale.transaction_type == "sale" else 0
        days[key] = DaySales(so_far.revenue + sale.amount, so_far.units_sold + units)
    return days


def _events_by_slot(counted: Iterable[Sale], visits: Iterable[Visit]) -> dict[Slot, list[Event]]:
    """The events of each slot, in order, from the business date of its first visit on."""
    events: dict[Slot, list[Event]] = defaultdict(list)
    for visit in visits:
        change = visit.quantity_added - visit.quantity_removed
        events[visit.machine_id, visit.slot_number].append(
            Event(visit.replenished_at, 1, change, visit.business_date, visit.quantity_added)
        )
    # Before the first visit nobody knows what is in the slot.
    known_from = {slot: min(event.business_date for event in events[slot]) for slot in events}
    for sale in counted:
        if sale.slot_number is None or sale.transaction_type != "sale":
            continue
        slot = sale.machine_id, sale.slot_number
        if slot in known_from and sale.business_date >= known_from[slot]:
            events[slot].append(Event(sale.sold_at, 2, -sale.quantity, sale.business_date))
    return {slot: sorted(slot_events) for slot, slot_events in events.items()}


def _closing_stock(
    events: Mapping[Slot, list[Event]], last_day: date
) -> dict[tuple[str, int, date], int]:
    closing: dict[tuple[str, int, date], int] = {}
    for (machine_id, slot_number), slot_events in events.items():
        changes: dict[date, int] = defaultdict(int)
        for event in slot_events:
            changes[event.business_date] += event.change
        stock, day = 0, min(changes)
        while day <= last_day:
            stock += changes[day]
            closing[machine_id, slot_number, day] = stock
            day += timedelta(days=1)
    return closing


def _stock_outs(slot: Slot, events: list[Event]) -> Iterator[StockOut]:
    stock = 0
    emptied_at: datetime | None = None
    for event in events:
        before, stock = stock, stock + event.change
        if event.units_added and emptied_at:
            yield StockOut(*slot, emptied_at, event.at)
            emptied_at = None
        if event.order == 2 and stock <= 0 < before:
            emptied_at = event.at
    if emptied_at:
        yield StockOut(*slot, emptied_at, None)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.oracle.oracle")
    parser.add_argument("sources", type=Path, help="the folder of the vendors' files")
    figures = compute(parser.parse_args().sources)
    days = figures.sales.values()
    print(f"machine days    {len(figures.sales)}")
    print(f"revenue         {sum((day.revenue for day in days), Decimal(0))}")
    print(f"units sold      {sum(day.units_sold for day in days)}")
    print(f"slot days       {len(figures.closing_stock)}")
    last_day = max((day for *_, day in figures.closing_stock), default=None)
    in_slots = sum(stock for (*_, day), stock in figures.closing_stock.items() if day == last_day)
    print(f"units in slots  {in_slots} at the end of {last_day}")
    still = sum(out.ended_at is None for out in figures.stock_outs)
    print(f"stock-outs      {len(figures.stock_outs)}, {still} of them open")


if __name__ == "__main__":
    main()
