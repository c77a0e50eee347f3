"""Rows that a contract must refuse, each with the reason code it must get.

Broken rows are added between good ones and carry keys of their own, so whatever happens to them,
the good rows of the file stay complete and stock still adds up. The conflicting pair of sales is
a pair of refunds for the same reason: refunds move no goods.
"""

from collections.abc import Callable
from dataclasses import dataclass

QUARANTINED, SKIPPED = "quarantined", "duplicate"


@dataclass(frozen=True)
class RowShape:
    """Which column of a file plays which part; `time` and `choice` are empty where none does."""

    header: tuple[str, ...]
    key: str
    required: str
    number: str
    time: str = ""
    choice: str = ""
    conflict: str = ""


@dataclass(frozen=True)
class Row:
    """A good row of the file with a fresh key, to be spoilt."""

    shape: RowShape
    values: tuple[bytes, ...]

    def get(self, column: str) -> bytes:
        return self.values[self.shape.header.index(column)]

    def with_value(self, column: str, value: bytes) -> bytes:
        position = self.shape.header.index(column)
        return b",".join((*self.values[:position], value, *self.values[position + 1 :]))

    def line(self) -> bytes:
        return b",".join(self.values)


@dataclass(frozen=True)
class BrokenRow:
    """`part` names the RowShape attribute whose column is at fault; empty for the whole line."""

    kind: str
    reason: str | None
    part: str
    spoil: Callable[[Row], tuple[bytes, ...]]
    outcome: str = QUARANTINED


@dataclass(frozen=True)
class BrokenLine:
    """One line of a file (the header is line 1) and what must become of it."""

    line: int
    kind: str
    field: str | None
    reason: str | None
    outcome: str


def _number(value: bytes) -> Callable[[Row], tuple[bytes, ...]]:
    return lambda row: (row.with_value(row.shape.number, value),)


def _missing(row: Row) -> tuple[bytes, ...]:
    return (row.with_value(row.shape.required, b""),)


def _time(change: Callable[[bytes], bytes]) -> Callable[[Row], tuple[bytes, ...]]:
    return lambda row: (row.with_value(row.shape.time, change(row.get(row.shape.time))),)


def _impossible_offset(time: bytes) -> bytes:
    return time[:19] + b"+99:00"


def _conflict(row: Row) -> tuple[bytes, ...]:
    column = row.shape.conflict
    return row.line(), row.with_value(column, row.get(column) + b"0")


_STRUCTURE = (
    BrokenRow("unclosed_quote", "malformed_row", "", lambda row: (b'"' + row.line(),)),
    BrokenRow("too_few_columns", "malformed_row", "", lambda row: (b",".join(row.values[:-2]),)),
    BrokenRow("too_many_columns", "malformed_row", "", lambda row: (row.line() + b",9,9",)),
    BrokenRow("blank_line", "malformed_row", "", lambda row: (b"",)),
)
_NUMBERS = (
    BrokenRow("text_number", "invalid_value", "number", _number(b"two")),
    BrokenRow("hexadecimal_number", "invalid_value", "number", _number(b"0x1F")),
    BrokenRow("underscored_number", "invalid_value", "number", _number(b"1_000")),
    BrokenRow("negative_number", "out_of_range", "number", _number(b"-3")),
)
_FRACTION = (BrokenRow("fractional_number", "too_precise", "number", _number(b"1.5")),)
_MISSING = (BrokenRow("missing_value", "missing_value", "required", _missing),)
_TIMES = (
    BrokenRow("no_offset", "invalid_value", "time", _time(lambda text: text[:19])),
    BrokenRow("impossible_offset", "invalid_value", "time", _time(_impossible_offset)),
)
_CHOICE = (
    BrokenRow(
        "unknown_value",
        "unknown_value",
        "choice",
        lambda row: (row.with_value(row.shape.choice, b"gift"),),
    ),
)
_ENCODING = (
    BrokenRow(
        "invalid_byte",
        "invalid_encoding",
        "",
        lambda row: (row.with_value(row.shape.key, row.get(row.shape.key) + b"\xff"),),
    ),
)
_KEYS = (BrokenRow("conflicting_key", "conflicting_key", "", _conflict),)

SALES_KINDS = (
    _STRUCTURE,
    (*_NUMBERS, *_FRACTION),
    (*_MISSING, *_TIMES, *_CHOICE),
    (*_ENCODING, *_KEYS),
)
REPLENISHMENT_KINDS = (
    (*_STRUCTURE, *_NUMBERS, *_FRACTION),
    (*_MISSING, *_TIMES, *_ENCODING, *_KEYS),
)
PRODUCT_KINDS = (*_STRUCTURE, *_NUMBERS, *_MISSING, *_ENCODING, *_KEYS)


def insert_broken_rows(
    content: bytes, shape: RowShape, template: Row, kinds: tuple[BrokenRow, ...]
) -> tuple[bytes, tuple[BrokenLine, ...]]:
    """Spread broken rows of `kinds` over a file, and repeat one of its good rows unchanged."""
    header, *good = content.splitlines()
    result, notes = [header], []
    every = max(1, len(good) // (len(kinds) + 1))
    waiting = list(enumerate(kinds))
    for position, line in enumerate(good):
        result.append(line)
        if waiting and (position + 1) % every == 0:
            _append(result, notes, template, *waiting.pop(0))
    for number, kind in waiting:
        _append(result, notes, template, number, kind)
    result.append(good[0])
    notes.append(BrokenLine(len(result), "repeated_row", None, None, SKIPPED))
    return b"\n".join(result) + b"\n", tuple(notes)


def _append(
    result: list[bytes], notes: list[BrokenLine], template: Row, number: int, kind: BrokenRow
) -> None:
    shape = template.shape
    fresh = template.with_value(shape.key, b"X%07d" % (number + 1)).split(b",")
    for line in kind.spoil(Row(shape, tuple(fresh))):
        result.append(line)
        field = getattr(shape, kind.part) if kind.part else None
        notes.append(BrokenLine(len(result), kind.kind, field, kind.reason, kind.outcome))
