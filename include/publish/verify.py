"""Holds the edge to the mart: reads back what was published and compares row by row."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import Any

from include.cloudflare.d1 import D1Database, Statement
from include.cloudflare.kv import KvNamespace
from include.publish.d1 import Publication, published_version
from include.publish.d1_sql import D1Table, d1_table, names
from include.publish.kv import KvSink, read_pointer
from include.publish.marts import MartReader, PublishError, identifier
from include.publish.spec import PublishedMart

PAGE_ROWS = 2_000

_DUCKDB = {"TEXT": "VARCHAR", "INTEGER": "BIGINT", "REAL": "DOUBLE"}


def verify_d1_table(reader: MartReader, mart: PublishedMart, database: D1Database) -> str:
    """Say that the table in D1 holds exactly the mart's rows.

    Raises PublishError with the number of rows that differ, and the key of one of them.
    """
    assert mart.spec.d1 is not None
    table = d1_table(mart, mart.spec.d1)
    before = _require_published(database, mart.name)
    types = {column.name: _DUCKDB[column.d1_type] for column in table.columns}
    reader.load("edge_rows", types, chain.from_iterable(_pages(database, table)))
    if _require_published(database, mart.name) != before:
        raise PublishError(f"{mart.name} was published while it was verified; run the task again.")
    columns = ", ".join(
        f"CAST({column.value} AS {_DUCKDB[column.d1_type]}) AS {identifier(column.name)}"
        for column in table.columns
    )
    reader.connection.execute(
        f"CREATE OR REPLACE VIEW mart_rows AS SELECT {columns} FROM {reader.relation(mart)}"
    )
    missing, example = _differing(reader, table, "mart_rows", "edge_rows")
    surplus, other = _differing(reader, table, "edge_rows", "mart_rows")
    if missing or surplus:
        raise PublishError(
            f"{mart.name} in D1 lacks {missing} rows of the mart and has {surplus} that the mart "
            f"has not, such as {example or other}; run publish_cloudflare, and if that changes "
            "nothing delete the mart's row in the table publications and run it again."
        )
    return f"{mart.name} in D1 holds the mart's {before.row_count} rows."


def verify_kv_pairs(sink: KvSink, mart: PublishedMart, namespace: KvNamespace) -> str:
    """Say that KV shows the mart's version and holds every pair of it.

    A pair's name is made from its content, so that one that is there is right.
    """
    assert mart.spec.kv is not None
    wanted = sink.make_pairs()
    pointer = read_pointer(namespace, mart.name)
    if pointer is None or wanted.version not in (pointer.current.version, pointer.rejected):
        raise PublishError(
            f"{mart.name} in KV is not the mart's present version; run publish_cloudflare."
        )
    if pointer.rejected == wanted.version:
        return f"{mart.name} in KV is rolled back to version {pointer.current.version}."
    static = mart.spec.kv.key.split("{", 1)[0]
    found = {*namespace.keys(static), *namespace.keys(f"{mart.name}/index/")}
    missing = [name for name in sink.pair_names() if name not in found]
    if missing:
        raise PublishError(
            f"{mart.name} in KV lacks {len(missing)} pairs, such as {missing[0]!r}; delete "
            f"{mart.name}/current and the mart's files below published/kv/ and publish again."
        )
    return f"{mart.name} in KV holds the pairs of the mart's {wanted.rows} rows."


def _require_published(database: D1Database, mart: str) -> Publication:
    published = published_version(database, mart)
    if published is None:
        raise PublishError(f"{mart} has never been published to D1; run publish_cloudflare.")
    return published


def _pages(database: D1Database, table: D1Table) -> Iterator[tuple[dict[str, Any], ...]]:
    """All rows by key, a page at a time, each beginning behind the last key of the one before."""
    key = names(table.key)
    select = f"SELECT {table.column_names} FROM {identifier(table.name)}"
    order = f"ORDER BY {key} LIMIT {PAGE_ROWS}"
    marks = ", ".join("?" * len(table.key))
    rows = database.run([Statement(f"{select} {order}")]).rows
    while rows:
        yield rows
        last = tuple(rows[-1][name] for name in table.key)
        behind = Statement(f"{select} WHERE ({key}) > ({marks}) {order}", last)
        rows = database.run([behind]).rows


def _differing(reader: MartReader, table: D1Table, these: str, those: str) -> tuple[int, Any]:
    columns = table.column_names
    found = reader.connection.execute(
        f"SELECT count(*), any_value(({names(table.key)})) FROM "
        f"(SELECT {columns} FROM {these} EXCEPT SELECT {columns} FROM {those})"
    ).fetchone()
    return found or (0, None)
