"""The SQL that the project compiles to for Snowflake, without an account.

It shows that every branch renders and that none of DuckDB's own words is left in it; that
Snowflake accepts the result, only Snowflake can show.
"""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from dbt.adapters.base import BaseRelation
from dbt.adapters.contracts.connection import Connection, ConnectionState
from dbt.adapters.snowflake import SnowflakeAdapter
from dbt.adapters.snowflake.connections import SnowflakeConnectionManager

from tests.dbt.project import PROJECT, DbtProject
from tests.snowflake.dialect import objections
from tests.snowflake.scans import LAST_SELECT, Scan, whole_scans

DUCKDB_ONLY = re.compile(
    r"::|\b(generate_series|isodow|strftime|strptime|list_(?!price)\w+|json_keys|json_extract_string|"
    r"date_diff|interval|lambda|arg_max|epoch)\b",
    re.IGNORECASE,
)
_COMMENT = re.compile(r"--[^\n]*|\{#.*?#\}", re.DOTALL)
_QUOTED = re.compile(r"'[^']*'|\"[^\"]*\"")

# A key that arrives may stand in any other load, on any day, and one of those may be what won, or
# a void of any later day may cancel it. What a dimension says is compared with all that is stored,
# as a version may also vanish: of a sale with the days between which each member is stored. Which
# machine lost a line with a load that was retired, and where the stock of a machine ends, all of
# its days say; how long a slot has been filled, all of its visits. A stock-out may last.
WHOLE_SCANS = {
    "int_sales_resolved": {
        Scan("candidate_lines", "stg_vending__sales"),
        Scan("originals_of_changed_voids", "int_sales_resolved"),
        Scan("voided_transactions", "int_sales_resolved"),
    },
    "int_replenishments_resolved": {Scan("candidate_rows", "stg_vending__replenishment")},
    "int_telemetry_resolved": {Scan("candidate_rows", "stg_vending__machine_telemetry")},
    "fct_sales": {Scan("stored_members", "fct_sales")},
    "fct_replenishments": {
        Scan("stored_members", "fct_replenishments"),
        Scan("rerouted_visits", "fct_replenishments"),
    },
    "fct_daily_inventory": {
        Scan("stock_changes", "fct_daily_inventory"),
        Scan("touches", "fct_daily_inventory"),
        Scan("touched_machines", "fct_daily_inventory"),
    },
    "fct_stockouts": {
        Scan("stock_changes", "fct_daily_inventory"),
        Scan("slot_touches", "fct_stockouts"),
        Scan("first_fillings", "int_replenishments_resolved"),
        Scan("inventory_seen", "fct_daily_inventory"),
    },
}


def _open_without_account(cls: type, connection: Connection) -> Connection:
    connection.state = ConnectionState.OPEN
    connection.handle = mock.MagicMock()
    return connection


def _table_exists(
    adapter: SnowflakeAdapter, database: str, schema: str, identifier: str
) -> BaseRelation:
    """Every table is already there, so that incremental models render their incremental branch."""
    return adapter.Relation.create(
        database=database, schema=schema, identifier=identifier, type="table"
    )


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("snowflake")
    with (
        mock.patch.object(SnowflakeAdapter, "get_relation", _table_exists),
        mock.patch.object(SnowflakeAdapter, "set_relations_cache"),
        mock.patch.object(SnowflakeConnectionManager, "open", classmethod(_open_without_account)),
    ):
        DbtProject(directory / "unused.duckdb", directory).invoke(
            "compile", "--target", "prod", "--no-introspect"
        )
    return directory / "compiled" / "vending"


@pytest.fixture(scope="module")
def models(compiled: Path) -> dict[str, Any]:
    """dbt's nodes of the models, by name."""
    nodes = json.loads((compiled.parents[1] / "manifest.json").read_text())["nodes"].values()
    return {node["name"]: node for node in nodes if node["resource_type"] == "model"}


def test_every_model_compiles_in_its_incremental_branch(compiled: Path) -> None:
    names = {path.stem for path in (compiled / "models").rglob("*.sql")}
    assert names >= {path.stem for path in (PROJECT / "models").rglob("*.sql")}
    sales = next(compiled.rglob("fct_sales.sql")).read_text()
    assert "VENDING_DATA_PROD.marts.fct_sales" in sales
    assert "touched_sales" in sales


def test_nothing_of_duckdb_is_left_in_what_snowflake_gets(compiled: Path) -> None:
    found = {
        path.name: sorted({match.group() for match in DUCKDB_ONLY.finditer(_code(path))})
        for path in compiled.rglob("*.sql")
    }
    assert found
    assert {name: words for name, words in found.items() if words} == {}


def test_everything_compiled_is_of_snowflakes_grammar_and_functions(compiled: Path) -> None:
    found = {path.name: objections(path.read_text("utf-8")) for path in compiled.rglob("*.sql")}

    assert len(found) > 100
    assert {name: said for name, said in found.items() if said} == {}


def test_an_incremental_model_reads_of_large_tables_what_is_new_and_no_more(
    compiled: Path, models: Mapping[str, Any]
) -> None:
    """Beside the reads that are listed with their reasons."""
    incremental = {n for n, model in models.items() if _is(model, "incremental")}
    views = {n for name in incremental for n in _parents(models[name]) if _is(models[n], "view")}
    assert views >= {"stg_vending__sales", "stg_vending__machine_telemetry"}

    found = {
        name: whole_scans(_sql(compiled, models[name]), incremental | views) for name in incremental
    }
    assert {name: scans for name, scans in found.items() if scans} == WHOLE_SCANS


def test_staging_hands_a_condition_on_to_the_raw_table(
    compiled: Path, models: Mapping[str, Any]
) -> None:
    staging = {n: m for n, m in models.items() if n.startswith("stg_vending__")}
    assert len(staging) > 5
    for name, model in staging.items():
        dataset = name.removeprefix("stg_vending__")
        assert whole_scans(_sql(compiled, model), {dataset}) == {Scan(LAST_SELECT, dataset)}


def test_no_model_divides_without_the_macro_that_both_engines_agree_on() -> None:
    files = sorted((PROJECT / "models").rglob("*.sql"))
    assert files
    assert [path.name for path in files if "/" in _code(path)] == []


def _is(model: Mapping[str, Any], materialized: str) -> bool:
    return bool(model["config"]["materialized"] == materialized)


def _parents(model: Mapping[str, Any]) -> Iterator[str]:
    for unique_id in model["depends_on"]["nodes"]:
        if unique_id.startswith("model."):
            yield unique_id.rpartition(".")[2]


def _sql(compiled: Path, model: Mapping[str, Any]) -> str:
    return (compiled / model["original_file_path"]).read_text("utf-8")


def _code(path: Path) -> str:
    return _QUOTED.sub("''", _COMMENT.sub("", path.read_text()))
