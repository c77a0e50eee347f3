"""The gate refuses what Snowflake has not; what is written for Snowflake passes it."""

from __future__ import annotations

import pytest

from include.contracts import Dialect, load_catalog
from include.contracts.raw_tables import QUARANTINE
from include.warehouse import schema
from include.warehouse import snowflake_queries as queries
from tests.snowflake.dialect import FUNCTIONS, objections, snowflake_functions

SALES = load_catalog().dataset("sales")


@pytest.mark.parametrize(
    ("sql", "told"),
    [
        ("SELECT strftime(sold_at, '%Y') FROM sales", "STRFTIME is no function"),
        ("SELECT list_aggregate(a, 'sum') FROM sales", "LIST_AGGREGATE is no function"),
        ("SELECT json_extract_string(a, '$.b') FROM sales", "JSON_EXTRACT_STRING is no function"),
        ("SELECT epoch(sold_at) FROM sales", "EPOCH is no function"),
        ("SELECT * FROM generate_series(1, 3)", "GENERATE_SERIES is no function"),
        ("SELECT sum(a) FILTER (WHERE b) FROM sales", "FILTER is not part"),
        ("SELECT * FROM sales SEMI JOIN loads USING (load_id)", "SEMI JOIN is not part"),
        ("SELECT FROM WHERE", "Expected"),
        ("SELECT (1", "Expecting )"),
    ],
)
def test_what_snowflake_has_not_is_refused(sql: str, told: str) -> None:
    assert told in " ".join(objections(sql))


def test_what_snowflake_has_passes() -> None:
    assert objections(
        "SELECT IFF(a, 1, 2), value:x::NUMBER(18,2), DAYOFWEEKISO(d) "
        "FROM t, TABLE(FLATTEN(INPUT => PARSE_JSON(?))) "
        "QUALIFY ROW_NUMBER() OVER (PARTITION BY a ORDER BY b) = 1"
    ) == []  # fmt: skip


def test_the_list_of_functions_names_its_source_and_is_sorted() -> None:
    lines = FUNCTIONS.read_text("utf-8").splitlines()
    names = [line for line in lines if not line.startswith("#")]

    assert "https://docs.snowflake.com/en/sql-reference/functions/" in "\n".join(lines[:3])
    assert names == sorted(set(names))
    assert len(snowflake_functions()) > 500


def loader_statements() -> dict[str, str]:
    named = {
        name: text
        for name, text in vars(queries).items()
        if name.isupper() and isinstance(text, str) and name not in ("MOMENT", "CHECK")
    }
    table = f"STAGING.{SALES.name}"
    staged = (table, SALES.raw_columns, "ops.processed_data", "sales/a.parquet", "ops.parquet_rows")
    return named | {
        "CHECK": queries.CHECK.format(
            dataset="sales", raw_schema="STAGING", load_ids=queries.LOAD_IDS
        ),
        "insert_rows": queries.insert_rows("ops.quarantine", QUARANTINE.columns),
        "copy_file": queries.copy_file(*staged),
        "schema": ";\n".join(schema.creation([SALES], Dialect.SNOWFLAKE, "STAGING")),
        "lock": schema.INSERT_LOCK_ROW,
    }


@pytest.mark.parametrize("name", sorted(loader_statements()))
def test_the_loaders_statements_are_snowflakes_sql(name: str) -> None:
    assert objections(loader_statements()[name]) == []
