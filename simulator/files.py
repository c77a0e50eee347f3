"""Sales and replenishment files as bytes.

A column is a matrix of characters, one row a CSV row, padded with NUL. Columns side by side are
the file; deleting the NULs leaves the CSV. So no Python object is made for a cell, which is what
csv.writer would spend its time on. No value that is written here needs quoting.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date

import numpy as np

from simulator.catalogue import PAYMENT_METHODS, PRODUCTS
from simulator.clock import SECONDS_PER_DAY, UTC_OFFSET
from simulator.fleet import Fleet, Machine
from simulator.history import Kind, MachineHistory

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
_PAYMENT_CODES = np.array([method.payment_method_code for method in PAYMENT_METHODS], dtype="S")
_KIND_CODES = np.array([kind.name.lower() for kind in Kind], dtype="S")
_PRODUCT_IDS = np.array([product.product_id for product in PRODUCTS], dtype="S")


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


def sales_files(fleet: Fleet, history: MachineHistory) -> Iterator[SourceFile]:
    """One file a day since installation, also for a day without a sale."""
    machine, rows = history.machine, history.transactions
    day = rows.second // SECONDS_PER_DAY
    columns = [
        _constant(machine.machine_id),
        _numbered("T", np.arange(1, day.size + 1)),
        _integers(rows.slot + 1),
        _texts(_PRODUCT_IDS[machine.slot_products[rows.slot]]),
        _times(fleet, rows.second),
        _integers(rows.quantity),
        _integers(rows.unit_price),
        _integers(rows.amount),
        _texts(_PAYMENT_CODES[rows.payment]),
        _texts(_KIND_CODES[rows.kind]),
        _blank_where(rows.original == 0, _numbered("T", rows.original)),
    ]
    body, offsets = _render(columns, day.size)
    bounds = offsets[np.searchsorted(day, np.arange(fleet.state.days + 1))]
    for number in range(machine.installed_day, fleet.state.days):
        name = sales_name(machine.machine_id, fleet.state.day(number))
        yield SourceFile(number, name, SALES_HEADER + body[bounds[number] : bounds[number + 1]])


def replenishment_files(fleet: Fleet, history: MachineHistory) -> Iterator[SourceFile]:
    """One file a visit, one row a slot; a machine has at most one visit a day."""
    machine, visits = history.machine, history.visits
    count, slots = visits.after.shape
    visit_days = visits.second // SECONDS_PER_DAY
    staff = [fleet.route_on(machine, day).staff_id for day in visit_days.tolist()]
    columns = [
        _constant(machine.machine_id),
        _numbered("R", np.repeat(np.arange(1, count + 1), slots)),
        _integers(np.tile(np.arange(1, slots + 1), count)),
        _texts(np.tile(_PRODUCT_IDS[machine.slot_products], count)),
        np.repeat(_times(fleet, visits.second), slots, axis=0),
        _integers(visits.added.ravel()),
        _integers(visits.removed.ravel()),
        _integers(visits.after.ravel()),
        _texts(np.repeat(np.array(staff, dtype="S"), slots)),
        _notes(machine, count, slots),
    ]
    body, offsets = _render(columns, count * slots)
    bounds = offsets[np.arange(count + 1) * slots]
    for visit, day in enumerate(visit_days.tolist()):
        name = replenishment_name(machine.machine_id, fleet.state.day(day))
        content = REPLENISHMENT_HEADER + body[bounds[visit] : bounds[visit + 1]]
        yield SourceFile(day, name, content)


def _notes(machine: Machine, visits: int, slots: int) -> np.ndarray:
    """A note in the first row of some visits, which ones depending on the machine."""
    row = np.arange(visits * slots)
    number, slot = np.divmod(row, slots)
    is_blank = (slot > 0) | ((number + machine.index) % _VISITS_PER_NOTE > 0)
    return _blank_where(is_blank, _texts(_NOTES[number // _VISITS_PER_NOTE % _NOTES.size]))


def file_names(fleet: Fleet, machine: Machine) -> Iterator[tuple[int, str]]:
    """(day number, name) of every file of a machine, without simulating its sales."""
    for day in range(machine.installed_day, fleet.state.days):
        yield day, sales_name(machine.machine_id, fleet.state.day(day))
    for day in (fleet.visit_times(machine) // SECONDS_PER_DAY).tolist():
        yield day, replenishment_name(machine.machine_id, fleet.state.day(day))


def _render(columns: list[np.ndarray], rows: int) -> tuple[bytes, np.ndarray]:
    """The CSV body, and the offset in it of each row and of the end, shape (rows + 1,)."""
    separators = [_constant(",")] * (len(columns) - 1) + [_constant("\n")]
    parts = [part for pair in zip(columns, separators, strict=True) for part in pair]
    width = sum(part.shape[1] for part in parts)
    matrix = np.empty((rows, width), dtype=np.uint8)
    left = 0
    for part in parts:
        matrix[:, left : left + part.shape[1]] = part
        left += part.shape[1]
    offsets = np.zeros(rows + 1, dtype=np.int64)
    np.cumsum(np.count_nonzero(matrix, axis=1), out=offsets[1:])
    return matrix.tobytes().translate(None, b"\0"), offsets


def _constant(text: str) -> np.ndarray:
    return np.frombuffer(text.encode(), dtype=np.uint8)[None, :]


def _texts(values: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(values).view(np.uint8).reshape(values.size, values.itemsize)


def _numbered(prefix: str, numbers: np.ndarray) -> np.ndarray:
    """`prefix` and the number with leading zeros, eight digits."""
    letter = np.full((numbers.size, 1), ord(prefix), dtype=np.uint8)
    high, low = np.divmod(numbers, len(_FOUR_DIGITS))
    return np.concatenate([letter, _FOUR_DIGITS[high], _FOUR_DIGITS[low]], axis=1)


def _times(fleet: Fleet, seconds: np.ndarray) -> np.ndarray:
    """ISO 8601 with the Tokyo offset."""
    days = np.array([f"{fleet.state.day(day)}" for day in range(fleet.state.days)], dtype="S")
    day, second = np.divmod(seconds, SECONDS_PER_DAY)
    return np.concatenate([_texts(days[day]), _CLOCK[second]], axis=1)


def _digits(numbers: np.ndarray, count: int) -> np.ndarray:
    """Decimal digits with leading zeros, shape (numbers, count)."""
    powers = 10 ** np.arange(count - 1, -1, -1)
    return (numbers[:, None] // powers % 10 + ord("0")).astype(np.uint8)


def _clock() -> np.ndarray:
    """The time of day with the offset for each second of a day, shape (seconds, characters)."""
    table = np.tile(_constant(f"T00:00:00{UTC_OFFSET}"), (SECONDS_PER_DAY, 1))
    second = np.arange(SECONDS_PER_DAY)
    table[:, 1:3] = _digits(second // 3600, 2)
    table[:, 4:6] = _digits(second // 60 % 60, 2)
    table[:, 7:9] = _digits(second % 60, 2)
    return table


def _integers(values: np.ndarray) -> np.ndarray:
    """Decimal text of small integers, through a table of every value between the extremes."""
    if values.size == 0:
        return np.empty((0, 1), dtype=np.uint8)
    low, high = int(values.min()), int(values.max())
    table = np.array([b"%d" % number for number in range(low, high + 1)])
    return _texts(table[values - low])


def _blank_where(is_blank: np.ndarray, column: np.ndarray) -> np.ndarray:
    return np.where(is_blank[:, None], np.uint8(0), column)


_FOUR_DIGITS = _digits(np.arange(10_000), 4)
_CLOCK = _clock()
