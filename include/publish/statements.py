"""Joins rows to SQL statements of D1 that are within its limits by construction."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate

from include.cloudflare.d1 import STATEMENT_BYTES
from include.publish.marts import identifier

# Of a statement's limit, what is left to the text around the rows.
_AROUND_BYTES = 20_000
_BETWEEN = "),\n("


@dataclass(frozen=True, slots=True)
class Around:
    """The text before and after the rows of a statement."""

    before: str
    after: str = ""


def widest_row(around: Around) -> int:
    """The bytes of the longest row that fits into a statement as a literal."""
    return STATEMENT_BYTES - max(_AROUND_BYTES, len((around.before + around.after).encode()) + 100)


def joined(chunks: Iterable[Sequence[tuple[str, int]]], around: Around) -> Iterator[str]:
    """Statements with as many rows of a chunk each as fit.

    A row is SQL without its parentheses, and its size in bytes.
    """
    room = widest_row(around)
    for chunk in chunks:
        # No step of Python's for each row: of a large mart they would take longer than the rows.
        rows, sizes = zip(*chunk, strict=True)
        ends = list(accumulate(map(len(_BETWEEN).__add__, sizes)))
        first = 0
        while first < len(rows):
            before = ends[first - 1] if first else 0
            beyond = max(first + 1, bisect_right(ends, before + room))
            yield f"{around.before}({_BETWEEN.join(rows[first:beyond])}){around.after}"
            first = beyond


def insert_into(table: str, columns: str, after: str = "") -> Around:
    return Around(f"INSERT INTO {identifier(table)} ({columns}) VALUES\n", f" {after}".rstrip())


def delete_from(table: str, key: str) -> Around:
    # A row value on the left needs a subquery on the right, which VALUES is.
    return Around(f"DELETE FROM {identifier(table)} WHERE ({key}) IN (VALUES\n", ")")
