"""Renders dbt's sources from the contracts: ``python -m include.contracts.dbt_sources [--check]``.

The file is written, never edited; ``--check`` exits 1 if it differs from the contracts.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import yaml

from include.contracts.model import Catalog, Column, DatasetContract, Dialect, Field
from include.contracts.raw_tables import OPS_TABLES, Table, raw_table, sql_type
from include.contracts.reader import load_catalog
from include.privacy.masking_sql import masked_pattern

SOURCES_FILE = Path(__file__).resolve().parents[2] / "dbt/models/staging/_sources.yml"

_HEADER = """\
# Generated from include/contracts by `make contracts`: change a contract, not this file.
"""

# The query runs in the context of the source, where `this` is known and `source()` is not.
_LOADED_AT = (
    "select max(loaded_at) from {{{{ this.incorporate(path={{"
    "'schema': var('ops_schema', 'ops'), 'identifier': 'load_history'}}) }}}} "
    "where dataset = '{dataset}'"
)


# On Snowflake the raw tables share the schema of the staging views, as the design names it.
_RAW_SCHEMA = (
    "{{ env_var('VENDING_SNOWFLAKE_LOAD_SCHEMA', 'staging') "
    "if target.type == 'snowflake' else var('raw_schema', 'raw') }}"
)


def render_sources(catalog: Catalog) -> str:
    """The YAML of the sources ``raw`` and ``ops``, ending with a line end."""
    document = {
        "version": 2,
        "sources": [
            {
                "name": "raw",
                "description": "Conformed rows of the current loads, one table a dataset.",
                "schema": _RAW_SCHEMA,
                "tables": [_raw_source(dataset) for dataset in catalog.datasets],
            },
            {
                "name": "ops",
                "description": "What was loaded, and what was rejected and why.",
                "schema": "{{ var('ops_schema', 'ops') }}",
                "tables": [_table(table) for table in OPS_TABLES],
            },
        ],
    }
    body = yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=96)
    return _HEADER + body


def write_sources(catalog: Catalog, path: Path = SOURCES_FILE) -> None:
    """Write the file, creating its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(render_sources(catalog), encoding="utf-8")


def is_current(catalog: Catalog, path: Path = SOURCES_FILE) -> bool:
    """Whether the file is there and says what the contracts say."""
    return path.is_file() and path.read_text(encoding="utf-8") == render_sources(catalog)


def _raw_source(dataset: DatasetContract) -> dict[str, Any]:
    source = _table(raw_table(dataset))
    source["config"] = {"meta": {"owner": dataset.owner, "contract_version": dataset.version}}
    if dataset.freshness_hours is not None:
        source["config"] |= _freshness(dataset.name, dataset.freshness_hours)
    source["data_tests"] = [
        # The load is part of it: the same key in two files is resolved after staging.
        {
            "unique_combination": {
                "arguments": {"columns": ["_source", *dataset.key, "_load_id"]},
            }
        }
    ]
    for column, field in zip(source["columns"], dataset.fields, strict=False):
        if tests := _field_tests(field):
            column["data_tests"] = tests
    return source


def _field_tests(field: Field) -> list[Any]:
    """Tests of one field. The technical columns and ops have none: their DDL says NOT NULL."""
    tests: list[Any] = ["not_null"] if field.required else []
    if field.allowed_values:
        tests.append({"accepted_values": {"arguments": {"values": [*field.allowed_values]}}})
    return tests


def _freshness(dataset: str, hours: int) -> dict[str, Any]:
    return {
        "loaded_at_query": _LOADED_AT.format(dataset=dataset),
        "freshness": {
            "warn_after": {"count": hours, "period": "hour"},
            "error_after": {"count": 2 * hours, "period": "hour"},
        },
    }


def _table(table: Table) -> dict[str, Any]:
    return {
        "name": table.name,
        "description": table.description,
        "columns": [_column(column) for column in table.columns],
    }


def _column(column: Column) -> dict[str, Any]:
    described: dict[str, Any] = {
        "name": column.name,
        "description": column.description,
        "data_type": sql_type(column.physical_type, Dialect.DUCKDB).lower(),
    }
    if meta := _privacy_meta(column):
        described["config"] = {"meta": meta}
    return described


def _privacy_meta(column: Column) -> dict[str, str]:
    """The class and masking of a column; the pattern is what dbt tests the values of marts by."""
    meta: dict[str, str] = {}
    if column.classification:
        meta["classification"] = column.classification.value
    if column.masking:
        meta["masking"] = column.masking.strategy.value
        if pattern := masked_pattern(column.masking):
            meta["masked_pattern"] = pattern
    return meta


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Write dbt's sources from the contracts.")
    parser.add_argument("--check", action="store_true", help="only say whether they are current")
    options = parser.parse_args(arguments)
    catalog = load_catalog()
    if not options.check:
        write_sources(catalog)
        return 0
    if is_current(catalog):
        return 0
    print(f"{SOURCES_FILE} differs from the contracts; run `make contracts`.", file=sys.stderr)
    return 1


if __name__ == "__main__":
    raise SystemExit(main())
