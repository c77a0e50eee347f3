"""The DDL of what ingest writes, for both engines, apart from loading.

Snowflake commits the open transaction at every DDL statement, so nothing here runs in a load.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from include.contracts import DatasetContract, Dialect
from include.contracts.model import Column
from include.contracts.raw_tables import (
    OPS_TABLES,
    Table,
    create_ops_tables,
    create_raw_tables,
    raw_table,
    sql_type,
)

RAW_SCHEMA = "raw"
OPS_SCHEMA = "ops"

# The lock row exists from the start, so that taking it is an UPDATE that conflicts.
INSERT_LOCK_ROW = (
    f"INSERT INTO {OPS_SCHEMA}.load_lock (ledger_seq) "
    f"SELECT 0 WHERE NOT EXISTS (SELECT 1 FROM {OPS_SCHEMA}.load_lock)"
)


def creation(
    datasets: Iterable[DatasetContract], dialect: Dialect, raw_schema: str = RAW_SCHEMA
) -> tuple[str, ...]:
    """Statements that create every schema and table that is missing; repeating them is harmless."""
    return (
        f"CREATE SCHEMA IF NOT EXISTS {raw_schema}",
        f"CREATE SCHEMA IF NOT EXISTS {OPS_SCHEMA}",
        *create_raw_tables(datasets, dialect, raw_schema),
        *create_ops_tables(dialect, OPS_SCHEMA),
    )


def additions(
    datasets: Iterable[DatasetContract],
    existing: Mapping[tuple[str, str], frozenset[str]],
    dialect: Dialect,
    raw_schema: str = RAW_SCHEMA,
) -> tuple[str, ...]:
    """Statements that add the columns which a newer contract has and a table has not.

    ``existing`` gives the columns of each (schema, table). A column that is added to rows is
    nullable whatever the contract says: the rows that are there have no value for it.
    """
    tables = [
        *((raw_schema, raw_table(dataset)) for dataset in datasets),
        *((OPS_SCHEMA, table) for table in OPS_TABLES),
    ]
    return tuple(
        statement
        for schema, table in tables
        for statement in _missing_columns(schema, table, existing, dialect)
    )


def class_comments(
    datasets: Iterable[DatasetContract],
    existing: Mapping[tuple[str, str], str | None],
    raw_schema: str = RAW_SCHEMA,
) -> tuple[str, ...]:
    """Statements that write the class and masking of each raw column where its comment is another.

    ``existing`` gives the comment of each (table, column).
    """
    return tuple(
        f"COMMENT ON COLUMN {raw_schema}.{dataset.name}.{column.name} IS '{comment}'"
        for dataset in datasets
        for column in dataset.raw_columns
        if existing.get((dataset.name, column.name)) != (comment := _class_of(column))
    )


def _class_of(column: Column) -> str:
    """As in ``personal, masked by keyed_hash``: words of the contract, which need no quoting."""
    name = column.classification.value if column.classification else "unclassified"
    return f"{name}, masked by {column.masking.strategy.value}" if column.masking else name


def _missing_columns(
    schema: str, table: Table, existing: Mapping[tuple[str, str], frozenset[str]], dialect: Dialect
) -> Iterable[str]:
    present = existing[schema, table.name]
    for column in table.columns:
        if column.name not in present:
            type_name = sql_type(column.physical_type, dialect)
            yield f"ALTER TABLE {schema}.{table.name} ADD COLUMN {column.name} {type_name}"
