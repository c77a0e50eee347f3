"""The tables that ingest writes, as DDL for both warehouses.

The raw tables follow from the dataset contracts; the tables of ``ops`` are declared here, once,
for the loader's DDL and for dbt's sources alike.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace

from include.contracts.model import Column, DatasetContract, Dialect

_SNOWFLAKE_TYPES = {
    # Snowflake's TIMESTAMP is an alias that an account parameter can turn into a zoned type.
    "TIMESTAMP": "TIMESTAMP_NTZ(6)",
    # Its INTEGER and BIGINT are both NUMBER(38,0); the width keeps the Parquet types apart.
    "INTEGER": "NUMBER(10,0)",
    "BIGINT": "NUMBER(19,0)",
}


@dataclass(frozen=True, slots=True)
class Table:
    """A table of the warehouse with its meaning."""

    name: str
    description: str
    columns: tuple[Column, ...]


def raw_table(dataset: DatasetContract) -> Table:
    """The raw table of a dataset: its stored fields, then ``_source``, ``_load_id``, ``_extra``."""
    description = f"{dataset.description} Grain: {dataset.grain} Current loads only."
    return Table(dataset.name, description, dataset.raw_columns)


def create_table(table: Table, dialect: Dialect, schema: str) -> str:
    """``CREATE TABLE IF NOT EXISTS`` for one table.

    Keys are not declared: Snowflake would not enforce them, and a row's uniqueness is tested in
    dbt. NOT NULL is enforced by both.
    """
    columns = ",\n".join(f"    {_column(column, dialect)}" for column in table.columns)
    return f"CREATE TABLE IF NOT EXISTS {schema}.{table.name} (\n{columns}\n)"


def create_raw_tables(
    datasets: Iterable[DatasetContract], dialect: Dialect, schema: str = "raw"
) -> tuple[str, ...]:
    """One statement for each dataset's raw table."""
    return tuple(create_table(raw_table(dataset), dialect, schema) for dataset in datasets)


def create_ops_tables(dialect: Dialect, schema: str = "ops") -> tuple[str, ...]:
    """One statement for each table of ``ops``."""
    return tuple(create_table(table, dialect, schema) for table in OPS_TABLES)


def sql_type(physical_type: str, dialect: Dialect) -> str:
    """A contract's physical type as the dialect writes it."""
    if dialect is Dialect.DUCKDB:
        return physical_type
    decimal = re.fullmatch(r"DECIMAL(\(\d+,\d+\))", physical_type)
    return f"NUMBER{decimal[1]}" if decimal else _SNOWFLAKE_TYPES.get(physical_type, physical_type)


def _column(column: Column, dialect: Dialect) -> str:
    nullability = " NOT NULL" if column.required else ""
    return f"{column.name} {sql_type(column.physical_type, dialect)}{nullability}"


def _optional(name: str, physical_type: str, description: str) -> Column:
    return Column(name, physical_type, False, description)


def _required(name: str, physical_type: str, description: str) -> Column:
    return Column(name, physical_type, True, description)


LOAD_HISTORY = Table(
    "load_history",
    "The ledger: one row for each file version that was loaded. "
    "rows_read = rows_conformed + rows_quarantined + rows_duplicate.",
    (
        _required("load_id", "BIGINT", "The load; raw rows carry it as _load_id."),
        _required("source", "VARCHAR", "Vendor."),
        _required("source_contract", "VARCHAR", "Contract the file was read by."),
        _required("dataset", "VARCHAR", "Raw table that the rows went to."),
        _required("contract_version", "VARCHAR", "Version of the source contract."),
        _required("contract_fingerprint", "VARCHAR", "Hash of everything that can change a row."),
        _required("object_key", "VARCHAR", "Path of the file below data/sources, or of the page."),
        _required("size_bytes", "BIGINT", "Size of the file."),
        _required("checksum", "VARCHAR", "SHA-256 of the file, in hexadecimal."),
        _required("etag", "VARCHAR", "What discovery compares to find a changed file."),
        _required("generation", "INTEGER", "Number of earlier loads of this contract and key."),
        _required("landed_at", "TIMESTAMP", "When this version came to raw, in UTC."),
        _required("landed_on", "DATE", "Day of landing in the source's own time zone."),
        _optional("business_date_from", "DATE", "Earliest business date of the conformed rows."),
        _optional("business_date_to", "DATE", "Latest business date of the conformed rows."),
        _required("rows_read", "BIGINT", "Rows in the file."),
        _required("rows_conformed", "BIGINT", "Rows that went to the raw table."),
        _required("rows_quarantined", "BIGINT", "Rows that went to quarantine."),
        _required("rows_duplicate", "BIGINT", "Rows equal to an earlier row of the same file."),
        _required("is_current", "BOOLEAN", "Whether the rows are in the raw table."),
        _required("loaded_seq", "BIGINT", "Ledger commit in which the load appeared."),
        _optional("retired_seq", "BIGINT", "Ledger commit in which it was retired."),
        _optional("replaced_by", "BIGINT", "Load that replaced it."),
        _required("run_id", "VARCHAR", "Run that loaded it."),
        _required("loaded_at", "TIMESTAMP", "When it was loaded, in UTC."),
        _optional("retired_at", "TIMESTAMP", "When it was retired, in UTC."),
        _required("raw_location", "VARCHAR", "Lake key of the file as it came."),
        _optional("parquet_location", "VARCHAR", "Lake key of the conformed rows."),
        _optional("same_as", "BIGINT", "Earlier load of the same content under another name."),
        _optional("note", "VARCHAR", "What is remarkable about the load, in one sentence."),
        _optional("missing_since", "TIMESTAMP", "When the file was found removed, in UTC."),
    ),
)

LOAD_LOCK = Table(
    "load_lock",
    "One row that a load takes before it looks at the ledger, so that loads follow one another.",
    (
        _required("ledger_seq", "BIGINT", "Commits of the ledger so far."),
        _optional("holder", "VARCHAR", "Run that committed last."),
        _optional("locked_at", "TIMESTAMP", "When it took the lock, in UTC."),
    ),
)

# The columns that conform writes; the table has those of `_RESOLUTION` as well.
QUARANTINE = Table(
    "quarantine",
    "One row for each rejected row or file, with every reason.",
    (
        _required("load_id", "BIGINT", "Load that rejected it."),
        _required("source", "VARCHAR", "Vendor."),
        _required("source_contract", "VARCHAR", "Contract the file was read by."),
        _required("dataset", "VARCHAR", "Raw table it was meant for."),
        _required("object_key", "VARCHAR", "Path of the file below data/sources, or of the page."),
        _optional("row_number", "BIGINT", "Line in the file, the header being 1; null: all of it."),
        _required("reasons", "VARCHAR", "JSON array of every reason: code, field, message."),
        _required("first_reason", "VARCHAR", "Code of the first reason."),
        _optional(
            "record",
            "VARCHAR",
            "JSON of the fields that are not personal, masked; null where the line is malformed.",
        ),
        _required("raw_location", "VARCHAR", "Lake key of the file as it came."),
        _required("contract_version", "VARCHAR", "Version of the source contract."),
        _required("run_id", "VARCHAR", "Run that rejected it."),
        _required("quarantined_at", "TIMESTAMP", "When it was rejected, in UTC."),
    ),
)

_RESOLUTION = (
    _optional(
        "resolution",
        "VARCHAR",
        "Null while the rejection stands; accepted or rejected_again by a replay, or replaced by a "
        "later version of the file.",
    ),
    _optional("resolved_by", "BIGINT", "Load that resolved it."),
    _optional("resolved_run_id", "VARCHAR", "Run that resolved it."),
    _optional("resolved_at", "TIMESTAMP", "When it was resolved, in UTC."),
)

SCHEMA_DRIFT = Table(
    "schema_drift",
    "One row for each column of a load in which the file differs from its contract.",
    (
        _required("load_id", "BIGINT", "Load of the file."),
        _required("source", "VARCHAR", "Vendor."),
        _required("source_contract", "VARCHAR", "Contract the file was read by."),
        _required("dataset", "VARCHAR", "Raw table it was meant for."),
        _required("object_key", "VARCHAR", "Path of the file below data/sources, or of the page."),
        _required("kind", "VARCHAR", "added, missing, renamed, reordered or retyped."),
        _required("column_name", "VARCHAR", "Column, as the file or else the contract calls it."),
        _optional("expected", "VARCHAR", "What the contract says: a name, position or type."),
        _optional("found", "VARCHAR", "What the file has instead."),
        _required("contract_version", "VARCHAR", "Version of the source contract."),
        _required("run_id", "VARCHAR", "Run that loaded it."),
        _required("detected_at", "TIMESTAMP", "When it was loaded, in UTC."),
    ),
)

PII_FINDINGS = Table(
    "pii_findings",
    "One row for each load, field and kind of personal data that was found in text and masked.",
    (
        _required("load_id", "BIGINT", "Load of the file."),
        _required("source", "VARCHAR", "Vendor."),
        _required("source_contract", "VARCHAR", "Contract the file was read by."),
        _required("dataset", "VARCHAR", "Raw table it was meant for."),
        _required("object_key", "VARCHAR", "Path of the file below data/sources, or of the page."),
        _required("field", "VARCHAR", "Field of the dataset, _extra, or record in quarantine."),
        _required("kind", "VARCHAR", "email, phone, card, my_number, ssn or address."),
        _required("matches", "BIGINT", "How many were found; never what."),
        _required("contract_version", "VARCHAR", "Version of the source contract."),
        _required("run_id", "VARCHAR", "Run that loaded it."),
        _required("found_at", "TIMESTAMP", "When it was loaded, in UTC."),
    ),
)

LOAD_CHECKS = Table(
    "load_checks",
    "One row for each check of a load: whether the tables hold what the ledger says.",
    (
        _required("load_id", "BIGINT", "Load that was checked."),
        _required("run_id", "VARCHAR", "Run that checked it."),
        _required("checked_at", "TIMESTAMP", "When, in UTC."),
        _required("rows_read", "BIGINT", "Rows in the file, by the ledger."),
        _required("rows_loaded", "BIGINT", "Rows counted in the raw table."),
        _required("rows_quarantined", "BIGINT", "Rows counted in quarantine."),
        _required("rows_duplicate", "BIGINT", "Rows skipped as duplicates, by the ledger."),
        _required("is_balanced", "BOOLEAN", "Whether no row is missing and none too many."),
        _optional("problem", "VARCHAR", "What is wrong; null if it is balanced."),
    ),
)

UNREAD_FILES = Table(
    "unread_files",
    "One row for each file below data/sources that is not read, from first seen to gone or read.",
    (
        _required("object_key", "VARCHAR", "Path of the file; what cannot be shown is escaped."),
        _required("reason", "VARCHAR", "Why it is not read."),
        _required("first_seen_at", "TIMESTAMP", "When a run saw it first, in UTC."),
        _required("last_seen_at", "TIMESTAMP", "When a run saw it last, in UTC."),
        _required("run_id", "VARCHAR", "Run that saw it first."),
        _optional("resolved_at", "TIMESTAMP", "When it was gone, renamed or known, in UTC."),
        _optional("resolved_run_id", "VARCHAR", "Run that found it so."),
    ),
)

PRIVACY_AUDIT = Table(
    "privacy_audit",
    "One row for each act that concerns personal data: who did what, when and why. It is written "
    "before the act and never changed, and holds no personal data itself.",
    (
        _required("happened_at", "TIMESTAMP", "When, in UTC."),
        _required("actor", "VARCHAR", "User of the machine or of Airflow, or schedule."),
        _required("action", "VARCHAR", "detokenised, exported, export_refused or reported."),
        _required("subject", "VARCHAR", "What it was done to: a token, or files by day."),
        _required("reason", "VARCHAR", "Why, in the actor's words."),
        _optional("run_id", "VARCHAR", "Run of Airflow; null for a command."),
        _optional("outcome", "VARCHAR", "What came of it, in one sentence; counts, no values."),
    ),
)

OPS_TABLES = (
    LOAD_HISTORY,
    LOAD_LOCK,
    replace(QUARANTINE, columns=QUARANTINE.columns + _RESOLUTION),
    SCHEMA_DRIFT,
    PII_FINDINGS,
    LOAD_CHECKS,
    UNREAD_FILES,
    PRIVACY_AUDIT,
)
