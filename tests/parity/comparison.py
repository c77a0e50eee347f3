"""Holds two tables against each other: columns, types, and every row as often as it is there."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Table:
    """What a table holds. ``types`` are spelled as `common_type` does, in the order of columns."""

    columns: tuple[str, ...]
    types: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]


@dataclass(frozen=True)
class Verdict:
    """What comparing a mart found; ``differences`` is empty where both are equal."""

    mart: str
    rows: int
    columns: int
    differences: tuple[str, ...]

    @property
    def is_equal(self) -> bool:
        return not self.differences


def common_type(engine_type: str) -> str:
    """A type of either engine in words that both share.

    Integers of any width are one type, because Snowflake has one; decimals keep precision and
    scale. A floating-point type stays what it is: no mart should have one.
    """
    name = engine_type.upper().strip()
    if decimal := re.fullmatch(r"(?:DECIMAL|NUMBER)\((\d+), ?(\d+)\)", name):
        return "integer" if decimal[2] == "0" else f"decimal({decimal[1]},{decimal[2]})"
    families = {
        "text": r"VARCHAR(\(\d+\))?|TEXT",
        "integer": r"TINYINT|SMALLINT|INTEGER|BIGINT|HUGEINT|NUMBER",
        "timestamp": r"TIMESTAMP(_NTZ)?(\(\d\))?",
    }
    for family, pattern in families.items():
        if re.fullmatch(pattern, name):
            return family
    return name.lower()


def compare(mart: str, left: Table, right: Table) -> Verdict:
    """Every difference between two tables, in one sentence each."""
    differences = [*_structure(left, right)]
    if not differences:
        differences = [*_content(left, right)]
    return Verdict(mart, len(left.rows), len(left.columns), tuple(differences))


def _structure(left: Table, right: Table) -> list[str]:
    if left.columns != right.columns:
        return [f"columns are {', '.join(left.columns)} and {', '.join(right.columns)}"]
    return [
        f"{column} is {one} and {other}"
        for column, one, other in zip(left.columns, left.types, right.types, strict=True)
        if one != other
    ]


def _content(left: Table, right: Table) -> list[str]:
    if Counter(left.rows) == Counter(right.rows):
        return _values_of_other_types(left, right)
    found = [
        f"{column} differs, as in {_examples(one, other)}"
        for index, column in enumerate(left.columns)
        if (one := _values(left, index)) != (other := _values(right, index))
    ]
    counts = f"{len(left.rows)} and {len(right.rows)} rows"
    return found or [f"{counts} hold the same values in other combinations"]


def _values_of_other_types(left: Table, right: Table) -> list[str]:
    """1 and Decimal("1") and True are equal in Python, and are not the same value here."""
    return [
        f"{column} holds {sorted(one)} and {sorted(other)}"
        for index, column in enumerate(left.columns)
        if (one := _types(left, index)) != (other := _types(right, index))
    ]


def _types(table: Table, index: int) -> set[str]:
    return {type(row[index]).__name__ for row in table.rows} - {"NoneType"}


def _values(table: Table, index: int) -> Counter[Any]:
    return Counter(row[index] for row in table.rows)


def _examples(one: Counter[Any], other: Counter[Any]) -> str:
    return f"{_shown(one - other)} and {_shown(other - one)}"


def _shown(values: Counter[Any]) -> str:
    shown: Sequence[Any] = list(values)[:3]
    return ", ".join(repr(value) for value in shown) or "nothing"


def as_table(verdicts: Sequence[Verdict]) -> str:
    """What a person reads: one line a mart."""
    width = max(len(verdict.mart) for verdict in verdicts)
    lines = [f"{'mart':<{width}}  {'rows':>7}  columns  equal"]
    for verdict in verdicts:
        equal = "yes" if verdict.is_equal else "NO: " + "; ".join(verdict.differences)
        lines.append(f"{verdict.mart:<{width}}  {verdict.rows:>7}  {verdict.columns:>7}  {equal}")
    return "\n".join(lines)
