"""Reads and writes the quality tables, on DuckDB and on Snowflake alike.

Statements bind values by ``?``. A write is one statement for all of its rows.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any, Protocol

from include.contracts import Dialect
from include.contracts.raw_tables import Table, create_table
from include.quality.tables import QUALITY_TABLES
from include.settings import DuckDBSettings, SnowflakeSettings, WarehouseSettings
from include.warehouse import WarehouseError
from include.warehouse.schema import OPS_SCHEMA, RAW_SCHEMA

if TYPE_CHECKING:
    import duckdb
    from snowflake.connector import SnowflakeConnection

Value = str | int | float | bool | date | datetime | None
Row = Mapping[str, Value]

WAIT_SECONDS = 600.0


class QualityStore(Protocol):
    """One open warehouse. Every method raises WarehouseError, one sentence."""

    dialect: Dialect
    raw_schema: str

    def ensure_tables(self, tables: Iterable[Table] = QUALITY_TABLES) -> None:
        """Create what is missing of these tables of `ops`."""

    def fetch(self, statement: str, *values: Value) -> list[tuple[Any, ...]]: ...

    def fetch_records(self, query: str, limit: int) -> list[dict[str, Any]]:
        """The first rows of a query, by the names of its columns."""

    def append(self, table: Table, rows: Sequence[Row]) -> None:
        """Insert rows; each has every column of the table."""

    def replace_run(self, table: Table, run_id: str, rows: Sequence[Row]) -> None:
        """Put rows in place of those that the run wrote before, in one transaction."""


@contextmanager
def open_store(settings: WarehouseSettings) -> Iterator[QualityStore]:
    """The warehouse that the settings name. Raises WarehouseError."""
    # Imported here: a laptop needs no connector, and MWAA no DuckDB file.
    if isinstance(settings, DuckDBSettings):
        from include.warehouse.duckdb_file import connect

        connection = connect(settings.path, WAIT_SECONDS)
        try:
            yield DuckDBStore(connection)
        finally:
            connection.close()
    else:
        from include.warehouse.snowflake_session import session

        with session(settings) as connection:
            yield SnowflakeStore(connection, settings)


class DuckDBStore:
    """See `QualityStore`."""

    dialect = Dialect.DUCKDB
    raw_schema = RAW_SCHEMA

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self._connection = connection

    def ensure_tables(self, tables: Iterable[Table] = QUALITY_TABLES) -> None:
        with self._explained("creating the tables of ops"):
            self._connection.execute(f"CREATE SCHEMA IF NOT EXISTS {OPS_SCHEMA}")
            for table in tables:
                self._connection.execute(create_table(table, self.dialect, OPS_SCHEMA))

    def fetch(self, statement: str, *values: Value) -> list[tuple[Any, ...]]:
        with self._explained("reading for quality"):
            return self._connection.execute(statement, list(values)).fetchall()

    def fetch_records(self, query: str, limit: int) -> list[dict[str, Any]]:
        with self._explained("reading for quality"):
            result = self._connection.execute(_first_rows(query, limit))
            names = [column[0] for column in result.description]
            return [dict(zip(names, row, strict=True)) for row in result.fetchall()]

    def append(self, table: Table, rows: Sequence[Row]) -> None:
        if not rows:
            return
        import pyarrow

        names = [column.name for column in table.columns]
        with self._explained(f"writing ops.{table.name}"):
            columns = {name: [row[name] for row in rows] for name in names}
            self._connection.register("new_rows", pyarrow.table(columns))
            listed = ", ".join(names)
            self._connection.execute(
                f"INSERT INTO {OPS_SCHEMA}.{table.name} ({listed}) SELECT {listed} FROM new_rows"
            )
            self._connection.unregister("new_rows")

    def replace_run(self, table: Table, run_id: str, rows: Sequence[Row]) -> None:
        with self._explained(f"writing ops.{table.name}"):
            self._connection.execute("BEGIN")
            try:
                self._connection.execute(
                    f"DELETE FROM {OPS_SCHEMA}.{table.name} WHERE run_id = ?", [run_id]
                )
                self.append(table, rows)
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise
            self._connection.execute("COMMIT")

    @contextmanager
    def _explained(self, doing: str) -> Iterator[None]:
        import duckdb

        try:
            yield
        except duckdb.Error as error:
            raise WarehouseError(_sentence(doing, error)) from error


class SnowflakeStore:
    """See `QualityStore`."""

    dialect = Dialect.SNOWFLAKE

    def __init__(self, connection: SnowflakeConnection, settings: SnowflakeSettings) -> None:
        self._connection = connection
        self._settings = settings
        self.raw_schema = settings.load_schema.lower()

    def ensure_tables(self, tables: Iterable[Table] = QUALITY_TABLES) -> None:
        for table in tables:
            self._execute(create_table(table, self.dialect, OPS_SCHEMA))

    def fetch(self, statement: str, *values: Value) -> list[tuple[Any, ...]]:
        return self._execute(statement, *values)

    def fetch_records(self, query: str, limit: int) -> list[dict[str, Any]]:
        objects = f"SELECT OBJECT_CONSTRUCT_KEEP_NULL(*) FROM ({_first_rows(query, limit)})"
        return [json.loads(row[0]) for row in self._execute(objects)]

    def append(self, table: Table, rows: Sequence[Row]) -> None:
        from include.warehouse.snowflake_queries import insert_rows

        if rows:
            name = f"{OPS_SCHEMA}.{table.name}"
            document = json.dumps([dict(row) for row in rows], default=str, ensure_ascii=False)
            self._execute(insert_rows(name, table.columns), document)

    def replace_run(self, table: Table, run_id: str, rows: Sequence[Row]) -> None:
        self._execute("BEGIN TRANSACTION")
        try:
            self._execute(f"DELETE FROM {OPS_SCHEMA}.{table.name} WHERE run_id = ?", run_id)
            self.append(table, rows)
        except BaseException:
            self._execute("ROLLBACK")
            raise
        self._execute("COMMIT")

    def _execute(self, statement: str, *values: Value) -> list[tuple[Any, ...]]:
        from snowflake.connector.errors import Error

        from include.warehouse.snowflake_session import explain_failure

        bound = [None if value is None else str(value) for value in values]
        try:
            with self._connection.cursor() as cursor:
                return cursor.execute(statement, bound).fetchall()
        except Error as error:
            doing = "reading or writing for quality"
            raise WarehouseError(explain_failure(self._settings, doing, error)) from error


def _first_rows(query: str, limit: int) -> str:
    # On a line of its own: a query may end with a comment.
    return f"SELECT * FROM (\n{query}\n) AS failing LIMIT {limit}"


def utc_now() -> datetime:
    """Now in UTC without its zone, as TIMESTAMP columns hold it."""
    return datetime.now(UTC).replace(tzinfo=None)


def _sentence(doing: str, error: Exception) -> str:
    first = str(error).splitlines()[0].rstrip(".")
    return f"The warehouse failed while {doing} ({first}); mend the cause and clear the task."
