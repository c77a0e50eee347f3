"""The SQL that the project compiles to for Snowflake, without an account.

It shows that every branch renders and that none of DuckDB's own words is left in it; that
Snowflake accepts the result, only Snowflake can show.
"""

import re
from pathlib import Path
from unittest import mock

import pytest
from dbt.adapters.base import BaseRelation
from dbt.adapters.contracts.connection import Connection, ConnectionState
from dbt.adapters.snowflake import SnowflakeAdapter
from dbt.adapters.snowflake.connections import SnowflakeConnectionManager

from tests.dbt.project import PROJECT, DbtProject
from tests.snowflake.dialect import objections

DUCKDB_ONLY = re.compile(
    r"::|\b(generate_series|isodow|strftime|strptime|list_(?!price)\w+|json_keys|json_extract_string|"
    r"date_diff|interval|lambda|arg_max|epoch)\b",
    re.IGNORECASE,
)
_COMMENT = re.compile(r"--[^\n]*|\{#.*?#\}", re.DOTALL)
_QUOTED = re.compile(r"'[^']*'|\"[^\"]*\"")


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


def test_no_model_divides_without_the_macro_that_both_engines_agree_on() -> None:
    files = sorted((PROJECT / "models").rglob("*.sql"))
    assert files
    assert [path.name for path in files if "/" in _code(path)] == []


def _code(path: Path) -> str:
    return _QUOTED.sub("''", _COMMENT.sub("", path.read_text()))
