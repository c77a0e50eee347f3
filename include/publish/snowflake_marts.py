"""Marts of Snowflake, as tables of the DuckDB connection in which sinks work out what to send.

A mart's rows are fetched once, when a sink first asks for it, and no later statement sees others.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from snowflake.connector.errors import Error

from include.publish.marts import CHUNK_ROWS, MartReader, PublishError, identifier
from include.publish.spec import PublishedMart
from include.settings import SnowflakeSettings
from include.warehouse.snowflake_session import explain_failure

if TYPE_CHECKING:
    from snowflake.connector import SnowflakeConnection

# Snowflake's names that DuckDB has not.
_DUCKDB = {"timestamp_ntz": "timestamp"}


@dataclass(frozen=True, slots=True)
class SnowflakeMarts(MartReader):
    """See `MartReader`. The role reads marts and `ops`, as TRANSFORMER does."""

    session: SnowflakeConnection
    settings: SnowflakeSettings

    def relation(self, mart: PublishedMart) -> str:
        name = identifier(mart.name)
        if not self.has_table(self.database, "main", mart.name):
            types = {c.name: _DUCKDB.get(c.data_type, c.data_type) for c in mart.columns}
            self.load(name, types, self._rows(mart))
        return name

    def _rows(self, mart: PublishedMart) -> Iterator[dict[str, Any]]:
        """The mart's rows by column. Raises PublishError."""
        names = [column.name for column in mart.columns]
        query = f"SELECT {', '.join(names)} FROM {mart.selected(mart.schema)}"
        try:
            with self.session.cursor() as cursor:
                cursor.execute(query)
                while rows := cursor.fetchmany(CHUNK_ROWS):
                    yield from (dict(zip(names, row, strict=True)) for row in rows)
        except Error as error:
            doing = f"reading the mart {mart.name}"
            raise PublishError(explain_failure(self.settings, doing, error)) from None
