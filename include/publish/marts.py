"""Reads marts: a DuckDB connection in which each published mart is a relation.

All that a sink computes over rows (literals, digests, what has changed) it computes in this
connection, so memory is bounded by a setting and not by the mart.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import duckdb

from include.publish.spec import PublishedMart
from include.settings import DuckDBSettings, Settings, SnowflakeSettings

# Of DuckDB: the interpreter with Airflow, Arrow and a file's rows are some 300 MB beside it.
MEMORY_MB = 144
THREADS = 2
# Rows in one step from DuckDB to Python.
CHUNK_ROWS = 5_000

_ATTACHED = "warehouse"


class PublishError(RuntimeError):
    """A mart cannot be published; the message says which, why and what to do."""


@dataclass(frozen=True, slots=True)
class MartReader:
    """Marts, read-only and unchanging while the reader is open. ``scratch`` is a local folder."""

    connection: duckdb.DuckDBPyConnection
    database: str
    scratch: Path

    def relation(self, mart: PublishedMart) -> str:
        """The mart's rows in SQL, for a FROM. Raises PublishError if it has not been built."""
        if not self.has_table(self.database, mart.schema, mart.table or mart.name):
            raise PublishError(
                f"The warehouse has no mart {mart.name}; run the DAG transform and try again."
            )
        return f"(FROM {mart.selected(f'{self.database}.{identifier(mart.schema)}')})"

    def has_table(self, database: str, schema: str, name: str) -> bool:
        known = self.connection.execute(
            "SELECT count(*) FROM information_schema.tables"
            " WHERE table_catalog = ? AND table_schema = ? AND table_name = ?",
            [database, schema, name],
        ).fetchone()
        return known == (1,)

    def load(self, table: str, types: Mapping[str, str], rows: Iterable[Mapping[str, Any]]) -> None:
        """Make a table of rows that came from elsewhere. ``types`` are DuckDB's, by column."""
        path = self.scratch / f"{uuid4().hex}.jsonl"
        with path.open("w", encoding="utf-8") as file:
            # Decimals, dates and times travel as text, so that none of them is rounded.
            file.writelines(json.dumps(row, default=str) + "\n" for row in rows)
        columns = ", ".join(f"{text(name)}: {text(kind)}" for name, kind in types.items())
        self.connection.execute(
            f"CREATE OR REPLACE TABLE {table} AS SELECT * FROM read_json("
            f"{text(str(path))}, format = 'newline_delimited', columns = {{{columns}}}, "
            "maximum_object_size = 16777216)"
        )
        path.unlink()


@contextmanager
def open_marts(settings: Settings, scratch: Path) -> Iterator[MartReader]:
    """Open the readers' copy of the warehouse, which no pipeline locks, or Snowflake.

    ``scratch`` takes what does not fit into memory. Raises PublishError or WarehouseError.
    """
    warehouse = settings.warehouse
    opened = (
        open_file(warehouse.snapshot_path, scratch)
        if isinstance(warehouse, DuckDBSettings)
        else open_snowflake(warehouse, scratch)
    )
    with opened as reader:
        yield reader


@contextmanager
def open_file(path: Path, scratch: Path) -> Iterator[MartReader]:
    """Read the marts of a DuckDB file. Raises PublishError if it cannot be opened."""
    with _bounded(scratch) as connection:
        try:
            connection.execute(f"ATTACH {text(str(path))} AS {_ATTACHED} (READ_ONLY)")
        except duckdb.Error as error:
            raise PublishError(
                f"The readers' copy {path.name} cannot be opened "
                f"({str(error).splitlines()[0].rstrip('.')}); run the DAG transform and try again."
            ) from error
        yield MartReader(connection, _ATTACHED, scratch)


@contextmanager
def open_snowflake(settings: SnowflakeSettings, scratch: Path) -> Iterator[MartReader]:
    """Read the marts of Snowflake as the user that builds them. Raises WarehouseError."""
    # Imported here: a laptop needs no connector.
    from include.publish.snowflake_marts import SnowflakeMarts
    from include.warehouse.snowflake_session import session

    builder = settings._replace(connection_id=settings.transform_connection_id)
    with _bounded(scratch) as connection, session(builder) as opened:
        yield SnowflakeMarts(connection, "memory", scratch, opened, builder)


@contextmanager
def _bounded(scratch: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        connection.execute(f"SET memory_limit = '{MEMORY_MB}MB'")
        connection.execute(f"SET threads = {THREADS}")
        connection.execute(f"SET temp_directory = {text(str(scratch / 'spill'))}")
        connection.execute("SET preserve_insertion_order = false")
        yield connection


def identifier(name: str) -> str:
    """A name in double quotes, as DuckDB and SQLite both read it."""
    return '"' + name.replace('"', '""') + '"'


def text(value: str) -> str:
    """A text literal, as DuckDB and SQLite both read it."""
    return "'" + value.replace("'", "''") + "'"
