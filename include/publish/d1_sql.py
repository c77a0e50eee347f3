"""From a mart to SQL of D1: types, literals, tables. Everything about SQLite's dialect is here.

Values become literals inside DuckDB, a vector at a time; Python only joins them to statements.

| contract | D1 | in SQL |
| --- | --- | --- |
| varchar | TEXT | as it is |
| integer types, decimal without places | INTEGER | as it is |
| decimal with places, double | REAL | as it is |
| boolean | INTEGER | 0 or 1 |
| date | TEXT | 2026-11-20 |
| timestamp (UTC) | TEXT | 2026-11-20T09:30:00.000000Z, so that it sorts |

A number that JavaScript, and so a Worker, cannot hold exactly is refused and never rounded.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from include.cloudflare.d1 import COLUMNS
from include.publish.marts import identifier
from include.publish.spec import Column, D1Spec, PublishedMart, PublishSpecError

# Of doubles: integers up to 2^53 and every decimal of 15 digits are exact (IEEE 754 binary64).
SAFE_INTEGER = 2**53 - 1
SAFE_DIGITS = 15

PUBLICATIONS = "publications"
CREATE_PUBLICATIONS = f"""\
CREATE TABLE IF NOT EXISTS {PUBLICATIONS} (
  mart TEXT NOT NULL PRIMARY KEY,
  version TEXT NOT NULL,
  layout TEXT NOT NULL,
  row_count INTEGER NOT NULL,
  published_at TEXT NOT NULL
) STRICT, WITHOUT ROWID"""

_INTEGERS = frozenset({"tinyint", "smallint", "integer", "int", "bigint", "hugeint"})
_REALS = frozenset({"double", "float", "real"})
_TEXTS = frozenset({"varchar", "text", "string"})
_DECIMAL = re.compile(r"^(?:decimal|numeric)\((\d+),\s*(\d+)\)$")
_TIMESTAMPS = frozenset({"timestamp", "timestamp_ntz"})


@dataclass(frozen=True, slots=True)
class D1Column:
    """A column in D1. ``value`` is DuckDB SQL for what D1 stores, typed as ``d1_type``.

    ``unsafe`` is a DuckDB condition for values that a double cannot hold, None where all fit.
    """

    name: str
    d1_type: str
    value: str
    unsafe: str | None

    @property
    def literal(self) -> str:
        """DuckDB SQL for the value as a literal of SQLite."""
        written = f"CAST({self.value} AS VARCHAR)"
        if self.d1_type == "TEXT":
            written = f"'''' || replace({self.value}, '''', '''''') || ''''"
            # A literal of SQLite ends at NUL, so such a text is written in hexadecimal.
            coded = f"'CAST(X''' || hex({self.value}) || ''' AS TEXT)'"
            written = f"CASE WHEN contains({self.value}, chr(0)) THEN {coded} ELSE {written} END"
        return f"coalesce({written}, 'NULL')"


@dataclass(frozen=True, slots=True)
class D1Table:
    """A mart's table in D1."""

    name: str
    columns: tuple[D1Column, ...]
    key: tuple[str, ...]
    indexes: tuple[tuple[str, ...], ...]

    def create(self, name: str) -> str:
        """The table under a name. Rows lie in the order of the key: a row is one write, not two."""
        columns = [
            f"{identifier(c.name)} {c.d1_type}{' NOT NULL' if c.name in self.key else ''}"
            for c in self.columns
        ]
        key = f"PRIMARY KEY ({names(self.key)})"
        return (
            f"CREATE TABLE {identifier(name)} ({', '.join([*columns, key])}) STRICT, WITHOUT ROWID"
        )

    def create_indexes(self, name: str) -> list[str]:
        """Indexes of a table. Their names hold the table's, for they are unique in a database."""
        return [
            f"CREATE INDEX {identifier('__'.join((name, 'by', *columns)))}"
            f" ON {identifier(name)} ({names(columns)})"
            for columns in self.indexes
        ]

    @property
    def layout(self) -> str:
        """Everything but the rows, as text: if it changes the table is made anew."""
        return "; ".join([self.create(self.name), *self.create_indexes(self.name)])

    @property
    def row(self) -> str:
        """DuckDB SQL for a row as SQLite writes it, without parentheses."""
        return _joined(column.literal for column in self.columns)

    @property
    def row_key(self) -> str:
        """DuckDB SQL for a row's key as SQLite writes it, without parentheses."""
        return self._row_of(self.key)

    @property
    def row_indexed(self) -> str:
        """DuckDB SQL for what a row has in the columns of indexes."""
        return self._row_of(self._indexed) if self._indexed else "''"

    @property
    def column_names(self) -> str:
        return names(column.name for column in self.columns)

    def on_conflict(self, *, moves: bool) -> str:
        """The end of an insert that replaces what has the same key.

        SQLite writes the entry of an index again if a column of it is assigned, even the same
        value; so only rows that move in an index have those assigned.
        """
        kept = self.key if moves else (*self.key, *self._indexed)
        assigned = [column.name for column in self.columns if column.name not in kept]
        if not assigned:
            return "ON CONFLICT DO NOTHING"
        assignments = ", ".join(f"{identifier(n)} = excluded.{identifier(n)}" for n in assigned)
        return f"ON CONFLICT DO UPDATE SET {assignments}"

    @property
    def _indexed(self) -> tuple[str, ...]:
        """The columns of indexes that a row of the same key may change."""
        found = dict.fromkeys(name for columns in self.indexes for name in columns)
        return tuple(name for name in found if name not in self.key)

    def _row_of(self, chosen: Iterable[str]) -> str:
        by_name = {column.name: column for column in self.columns}
        return _joined(by_name[name].literal for name in chosen)


def d1_table(mart: PublishedMart, spec: D1Spec) -> D1Table:
    """The table of a mart. Raises PublishSpecError for what D1 cannot hold."""
    if len(mart.columns) > COLUMNS:
        raise PublishSpecError(
            f"The mart {mart.name} has {len(mart.columns)} columns and D1 takes {COLUMNS}; "
            "publish a narrower mart."
        )
    columns = edge_columns(mart)
    return D1Table(name=mart.name, columns=columns, key=spec.key, indexes=spec.indexes)


def edge_columns(mart: PublishedMart) -> tuple[D1Column, ...]:
    """The columns of a mart as the edge gets them. Raises PublishSpecError for an unknown type."""
    return tuple(_column(mart.name, column) for column in mart.columns)


def names(columns: Iterable[str]) -> str:
    """Column names, quoted and joined."""
    return ", ".join(identifier(name) for name in columns)


def _column(mart: str, column: Column) -> D1Column:
    name, source, kind = column.name, identifier(column.name), column.data_type
    if kind in _TEXTS:
        return D1Column(name, "TEXT", source, None)
    if kind in _INTEGERS:
        return D1Column(name, "INTEGER", source, f"abs({source}::HUGEINT) > {SAFE_INTEGER}")
    if kind in _REALS:
        return D1Column(name, "REAL", f"{source}::DOUBLE", f"NOT isfinite({source})")
    if kind == "boolean":
        return D1Column(name, "INTEGER", f"{source}::INTEGER", None)
    if kind == "date":
        return D1Column(name, "TEXT", f"strftime({source}, '%Y-%m-%d')", None)
    if kind in _TIMESTAMPS:
        return D1Column(name, "TEXT", f"strftime({source}, '%Y-%m-%dT%H:%M:%S.%fZ')", None)
    if decimal := _DECIMAL.match(kind):
        return _decimal(name, source, int(decimal[1]), int(decimal[2]))
    raise PublishSpecError(
        f"D1 has no type for {mart}.{name} ({kind or 'no data_type'}); cast it in the mart."
    )


def _decimal(name: str, source: str, precision: int, scale: int) -> D1Column:
    if scale == 0:
        unsafe = f"abs({source}::HUGEINT) > {SAFE_INTEGER}"
        return D1Column(name, "INTEGER", f"{source}::HUGEINT", unsafe)
    unsafe = None
    if precision > SAFE_DIGITS:
        unsafe = f"abs({source}) >= {10 ** (SAFE_DIGITS - scale)}"
    return D1Column(name, "REAL", f"{source}::DOUBLE", unsafe)


def _joined(literals: Iterable[str]) -> str:
    return f"concat_ws(',', {', '.join(literals)})"
