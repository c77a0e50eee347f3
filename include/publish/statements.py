"""Joins rows to SQL statements of D1 that are within its limits by construction."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from include.cloudflare.d1 import STATEMENT_BYTES
from include.publish.marts import identifier

# Of a statement's limit, what is left to the text around the rows.
_AROUND_BYTES = 20_000


@dataclass(frozen=True, slots=True)
class Around:
    """The text before and after the rows of a statement."""

    before: str
    after: str = ""


def widest_row(around: Around) -> int:
    """The bytes of the longest row that fits into a statement as a literal."""
    return STATEMENT_BYTES - max(_AROUND_BYTES, len((around.before + around.after).encode()) + 100)


def joined(rows: Iterable[str], around: Around) -> Iterator[str]:
    """Statements with as many rows each as fit. A row is SQL without its parentheses."""
    room = widest_row(around)
    taken: list[str] = []
    size = 0
    for row in rows:
        row_size = len(row.encode()) + 4
        if taken and size + row_size > room:
            yield _statement(taken, around)
            taken, size = [], 0
        taken.append(row)
        size += row_size
    if taken:
        yield _statement(taken, around)


def insert_into(table: str, columns: str, after: str = "") -> Around:
    return Around(f"INSERT INTO {identifier(table)} ({columns}) VALUES\n", f" {after}".rstrip())


def delete_from(table: str, key: str) -> Around:
    # A row value on the left needs a subquery on the right, which VALUES is.
    return Around(f"DELETE FROM {identifier(table)} WHERE ({key}) IN (VALUES\n", ")")


def _statement(rows: list[str], around: Around) -> str:
    return around.before + "(" + "),\n(".join(rows) + ")" + around.after
