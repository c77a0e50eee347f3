"""Sales and replenishment files as bytes.

A column is an array of byte strings of one width, one for each CSV row, padded with NUL, its
separator included. Columns side by side are the file; deleting the NULs leaves the CSV. So no
Python object is made for a cell, which is what csv.writer would spend its time on: cells are copied
from tables of all that a column can hold. No value that is written here needs quoting.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from functools import lru_cache

import numpy as np

from simulator.catalogue import PAYMENT_METHODS, PRODUCTS
from simulator.clock import SECONDS_PER_DAY, UTC_OFFSET
from simulator.fleet import Fleet, Machine
from simulator.history import Kind, MachineHistory, Transactions
from simulator.stock import MOST_UNITS

SALES_HEADER = (
    b"machine_id,transaction_id,slot_number,product_id,sold_at,quantity,unit_price,amount,"
    b"payment_method,transaction_type,original_transaction_id\n"
)
REPLENISHMENT_HEADER = (
    b"machine_id,replenishment_id,slot_number,product_id,replenished_at,quantity_added,"
    b"quantity_removed,counted_stock,staff_id,note\n"
)
# What drivers write, people who cannot exist included; most write nothing.
_NOTES = np.array(
    [
        note.encode()
        for note in (
            "鍵が固い",
            "表示灯が消えている",
            "返金を求める客あり 090-0000-9999",
            "見本花子様に連絡 hanako@example.com",
            "東京都架空市例示町1-2-3の事務所に納品",
        )
    ]
)
_VISITS_PER_NOTE = 7
_SIGN_OF_AMOUNT = {Kind.SALE: 1, Kind.REFUND: -1, Kind.VOID: 0}
_PRODUCT_IDS = [product.product_id.encode() for product in PRODUCTS]


@dataclass(frozen=True)
class SourceFile:
    """A file as the vendor delivers it; `day` is the business day's number, `name` without path."""

    day: int
    name: str
    content: bytes


def sales_name(machine_id: str, day: date) -> str:
    return f"sales_{machine_id}_{day:%Y%m%d}.csv"


def replenishment_name(machine_id: str, day: date) -> str:
    return f"replenishment_records_{machine_id}_{day:%Y%m%d}.csv"


def transaction_id(number: int) -> str:
    return f"T{number:08d}"


def sales_files(fleet: Fleet, *histories: MachineHistory) -> Iterator[SourceFile]:
    """One file a day since installation, also for a day without a sale."""
    label = _label([history.machine for history in histories])
    for day, body in _joined(_sales(fleet, history) for history in histories):
        yield SourceFile(day, sales_name(label, fleet.dates[day]), SALES_HEADER + body)


def replenishment_files(fleet: Fleet, *histories: MachineHistory) -> Iterator[SourceFile]:
    """One file a day with a visit, one row a slot; a machine has at most one visit a day."""
    label = _label([history.machine for history in histories])
    for day, body in _joined(_replenishments(fleet, history) for history in histories):
        name = replenishment_name(label, fleet.dates[day])
        yield SourceFile(day, name, REPLENISHMENT_HEADER + body)


def file_names(fleet: Fleet, *machines: Machine) -> Iterator[tuple[int, str]]:
    """(day number, name) of every file of machines that share theirs, without their sales."""
    label = _label(machines)
    for day in range(min(machine.installed_day for machine in machines), fleet.state.days):
        yield day, sales_name(label, fleet.dates[day])
    visits = [fleet.visit_times(machine) // SECONDS_PER_DAY for machine in machines]
    for day in np.unique(np.concatenate(visits)).tolist():
        yield day, replenishment_name(label, fleet.dates[day])


def _label(machines: Sequence[Machine]) -> str:
    """What the names of their files say: a machine, or the first and the last of several."""
    first, last = machines[0].machine_id, machines[-1].machine_id
    return first if first == last else f"{first}-{last}"


def _joined(parts: Iterator[Iterator[tuple[int, bytes]]]) -> Iterator[tuple[int, bytes]]:
    """(day number, CSV rows) of several machines, by day."""
    bodies: defaultdict[int, list[bytes]] = defaultdict(list)
    for part in parts:
        for day, body in part:
            bodies[day].append(body)
    for day in sorted(bodies):
        yield day, b"".join(bodies[day])


def _sales(fleet: Fleet, history: MachineHistory) -> Iterator[tuple[int, bytes]]:
    machine, rows = history.machine, history.transactions
    day, second = np.divmod(rows.second, SECONDS_PER_DAY)
    lines = _Lines(
        day.size,
        np.array([f"{machine.machine_id},T".encode()]),
        *_eight_digits(np.arange(1, day.size + 1, dtype=np.int32)),
        _slot_texts(machine)[rows.slot],
        _date_texts(fleet.dates)[day],
        _CLOCK[second],
        _measures(fleet, rows),
        _references(rows.original),
    )
    bounds = np.searchsorted(day, np.arange(fleet.state.days + 1)).tolist()
    for number in range(machine.installed_day, fleet.state.days):
        yield number, lines.text(bounds[number], bounds[number + 1])


def _replenishments(fleet: Fleet, history: MachineHistory) -> Iterator[tuple[int, bytes]]:
    machine, visits = history.machine, history.visits
    count, slot_count = visits.after.shape
    day, second = np.divmod(visits.second, SECONDS_PER_DAY)
    staff = np.array([b"%s," % route.staff_id.encode() for route in fleet.routes])
    high, low = _eight_digits(np.arange(1, count + 1))
    lines = _Lines(
        count * slot_count,
        np.array([f"{machine.machine_id},R".encode()]),
        np.repeat(high, slot_count),
        np.repeat(low, slot_count),
        np.tile(_slot_texts(machine), count),
        np.repeat(_date_texts(fleet.dates)[day], slot_count),
        np.repeat(_CLOCK[second], slot_count),
        _integers(visits.added.ravel()),
        _integers(visits.removed.ravel()),
        _integers(visits.after.ravel()),
        np.repeat(staff[fleet.route_numbers(machine, day)], slot_count),
        _notes(machine, count, slot_count),
    )
    for visit, number in enumerate(day.tolist()):
        yield number, lines.text(visit * slot_count, (visit + 1) * slot_count)


def _notes(machine: Machine, visits: int, slots: int) -> np.ndarray:
    """A note in the first row of some visits, which ones depending on the machine."""
    notes = np.zeros(visits * slots, dtype=_NOTES.dtype)
    visit = np.arange(-machine.index % _VISITS_PER_NOTE, visits, _VISITS_PER_NOTE)
    notes[visit * slots] = _NOTES[visit // _VISITS_PER_NOTE % _NOTES.size]
    return notes


class _Lines:
    """CSV rows, the columns in order; a column of one value holds it in every row."""

    def __init__(self, count: int, *columns: np.ndarray) -> None:
        cells = [(str(number), column.dtype) for number, column in enumerate(columns)]
        self._rows = np.empty(count, [*cells, ("end", "S1")])
        for (name, _), column in zip(cells, columns, strict=True):
            self._rows[name] = column
        self._rows["end"] = b"\n"

    def text(self, start: int, stop: int) -> bytes:
        return self._rows[start:stop].tobytes().translate(None, b"\0")


def _slot_texts(machine: Machine) -> np.ndarray:
    """Number and product of each slot, shape (slots,)."""
    return np.array(
        [
            b",%d,%s," % (number, _PRODUCT_IDS[product])
            for number, product in enumerate(machine.slot_products, start=1)
        ]
    )


def _measures(fleet: Fleet, rows: Transactions) -> np.ndarray:
    """Quantity, unit price, amount, payment method and type: few ways for all five together."""
    prices = fleet.distinct_prices
    place_of_price = np.zeros(prices[-1] + 1, np.int32)
    place_of_price[np.array(prices)] = np.arange(len(prices))
    code = place_of_price[rows.unit_price]
    for size, part in (
        (MOST_UNITS + 1, rows.quantity),
        (len(PAYMENT_METHODS), rows.payment),
        (len(Kind), rows.kind),
    ):
        code = code * size + part
    return _measure_texts(prices)[code]


@lru_cache(maxsize=8)
def _measure_texts(prices: tuple[int, ...]) -> np.ndarray:
    return np.array(
        [
            b"%d,%d,%d,%s,%s,"
            % (
                quantity,
                price,
                _SIGN_OF_AMOUNT[kind] * quantity * price,
                method.payment_method_code.encode(),
                kind.name.lower().encode(),
            )
            for price in prices
            for quantity in range(MOST_UNITS + 1)
            for method in PAYMENT_METHODS
            for kind in Kind
        ]
    )


def _eight_digits(numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """With leading zeros, in two columns."""
    high, low = np.divmod(numbers, _FOUR_DIGITS.size)
    return _FOUR_DIGITS[high], _FOUR_DIGITS[low]


def _references(numbers: np.ndarray) -> np.ndarray:
    """Transaction ids; blank for 0."""
    texts = np.zeros(numbers.size, dtype=f"S{len(transaction_id(0))}")
    named = np.flatnonzero(numbers)
    texts[named] = [transaction_id(number).encode() for number in numbers[named].tolist()]
    return texts


@lru_cache(maxsize=8)
def _date_texts(dates: tuple[date, ...]) -> np.ndarray:
    return np.array([f"{day}".encode() for day in dates])


def _integers(values: np.ndarray) -> np.ndarray:
    """Decimal text of small integers, through a table of every value between the extremes."""
    if values.size == 0:
        return np.empty(0, dtype="S1")
    low, high = int(values.min()), int(values.max())
    return np.array([b"%d," % number for number in range(low, high + 1)])[values - low]


# ISO 8601 with the Tokyo offset, from the day on.
_CLOCK = np.array(
    [
        f"T{hour:02}:{minute:02}:{second:02}{UTC_OFFSET},".encode()
        for hour in range(24)
        for minute in range(60)
        for second in range(60)
    ]
)
_FOUR_DIGITS = np.array([b"%04d" % number for number in range(10_000)])
