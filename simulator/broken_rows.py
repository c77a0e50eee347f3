"""Rows that a contract must refuse, each with the reason code it must get.

Broken rows are added between good ones and carry keys of their own, so whatever happens to them,
the good rows of the file stay complete and stock still adds up. The conflicting pair of sales is
a pair of refunds for the same reason: refunds move no goods.
"""

from collections.abc import Callable
from dataclasses import dataclass

QUARANTINED, SKIPPED, NO_ROW = "quarantined", "duplicate", "no_row"


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

    def replaced(self, column: str, value: bytes) -> "Row":
        position = self.shape.header.index(column)
        return Row(self.shape, (*self.values[:position], value, *self.values[position + 1 :]))

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
    return lambda row: (row.replaced(row.shape.number, value).line(),)


def _missing(row: Row) -> tuple[bytes, ...]:
    return (row.replaced(row.shape.required, b"").line(),)


def _offset(written: bytes) -> Callable[[Row], tuple[bytes, ...]]:
    """The row's time with another offset; the first 19 characters are the local time."""
    return lambda row: (
        row.replaced(row.shape.time, row.get(row.shape.time)[:19] + written).line(),
    )


def _unknown_choice(row: Row) -> tuple[bytes, ...]:
    return (row.replaced(row.shape.choice, b"gift").line(),)


def _invalid_byte(row: Row) -> tuple[bytes, ...]:
    return (row.replaced(row.shape.key, row.get(row.shape.key) + b"\xff").line(),)


def _conflict(row: Row) -> tuple[bytes, ...]:
    column = row.shape.conflict
    return row.line(), row.replaced(column, row.get(column) + b"0").line()


_STRUCTURE = (
    BrokenRow("unclosed_quote", "malformed_row", "", lambda row: (b'"' + row.line(),)),
    BrokenRow("too_few_columns", "malformed_row", "", lambda row: (b",".join(row.values[:-2]),)),
    BrokenRow("too_many_columns", "malformed_row", "", lambda row: (row.line() + b",9,9",)),
    BrokenRow("blank_line", None, "", lambda _: (b"",), NO_ROW),
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
    BrokenRow("no_offset", "invalid_value", "time", _offset(b"")),
    BrokenRow("impossible_offset", "invalid_value", "time", _offset(b"+99:00")),
)
_CHOICE = (BrokenRow("unknown_value", "unknown_value", "choice", _unknown_choice),)
_ENCODING = (BrokenRow("invalid_byte", "invalid_encoding", "", _invalid_byte),)
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
    content: bytes, template: Row, kinds: tuple[BrokenRow, ...]
) -> tuple[bytes, tuple[BrokenLine, ...]]:
    """Spread broken rows of `kinds` over a file, and repeat its first good row at the end."""
    lines = content.splitlines()
    first_row = lines[1]
    step = max(1, (len(lines) - 1) // (len(kinds) + 1))
    notes = []
    for number, kind in enumerate(kinds, start=1):
        fresh = template.replaced(template.shape.key, b"X%07d" % number)
        # Before it there are `number` steps of good rows and the broken ones inserted so far.
        position = min(number * step + 1 + len(notes), len(lines))
        for line in kind.spoil(fresh):
            lines.insert(position, line)
            position += 1
            notes.append(_note(position, kind, template.shape))
    lines.append(first_row)
    notes.append(BrokenLine(len(lines), "repeated_row", None, None, SKIPPED))
    return b"\n".join(lines) + b"\n", tuple(notes)


def _note(line: int, kind: BrokenRow, shape: RowShape) -> BrokenLine:
    field = getattr(shape, kind.part) if kind.part else None
    return BrokenLine(line, kind.kind, field, kind.reason, kind.outcome)
