"""Reads marts: a DuckDB connection in which each published mart is a relation.

All that a sink computes over rows (literals, digests, what has changed) it computes in this
connection, so memory is bounded by a setting and not by the mart.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import duckdb

from include.publish.spec import PublishedMart
from include.settings import DuckDBSettings, Settings

# Of DuckDB: the interpreter with Airflow, Arrow and a file's rows are some 300 MB beside it.
MEMORY_MB = 192
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
        name = mart.table or mart.name
        known = self.connection.execute(
            "SELECT count(*) FROM information_schema.tables"
            " WHERE table_catalog = ? AND table_schema = ? AND table_name = ?",
            [self.database, mart.schema, name],
        ).fetchone()
        if known != (1,):
            raise PublishError(
                f"The warehouse has no mart {mart.name}; run the DAG transform and try again."
            )
        schema = f"{self.database}.{identifier(mart.schema)}"
        table = f"{schema}.{identifier(name)}"
        if mart.rows is None:
            return table
        return f"(SELECT * FROM {table} WHERE {mart.rows.format(table=table, schema=schema)})"


@contextmanager
def open_marts(settings: Settings, scratch: Path) -> Iterator[MartReader]:
    """Open the readers' copy of the warehouse, which no pipeline locks.

    ``scratch`` takes what does not fit into memory. Raises PublishError.
    """
    warehouse = settings.warehouse
    if not isinstance(warehouse, DuckDBSettings):
        raise PublishError(
            f"Marts of Snowflake's {warehouse.database} cannot be published by this release; "
            "run with VENDING_ENV=dev."
        )
    with open_file(warehouse.snapshot_path, scratch) as reader:
        yield reader


@contextmanager
def open_file(path: Path, scratch: Path) -> Iterator[MartReader]:
    """Read the marts of a DuckDB file. Raises PublishError if it cannot be opened."""
    with duckdb.connect() as connection:
        connection.execute(f"SET memory_limit = '{MEMORY_MB}MB'")
        connection.execute(f"SET threads = {THREADS}")
        connection.execute(f"SET temp_directory = {text(str(scratch / 'spill'))}")
        connection.execute("SET preserve_insertion_order = false")
        try:
            connection.execute(f"ATTACH {text(str(path))} AS {_ATTACHED} (READ_ONLY)")
        except duckdb.Error as error:
            raise PublishError(
                f"The readers' copy {path.name} cannot be opened "
                f"({str(error).splitlines()[0].rstrip('.')}); run the DAG transform and try again."
            ) from error
        yield MartReader(connection, _ATTACHED, scratch)


def identifier(name: str) -> str:
    """A name in double quotes, as DuckDB and SQLite both read it."""
    return '"' + name.replace('"', '""') + '"'


def text(value: str) -> str:
    """A text literal, as DuckDB and SQLite both read it."""
    return "'" + value.replace("'", "''") + "'"
