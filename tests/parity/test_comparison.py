"""The comparison finds what it must find: each of these would be a wrong mart."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest

from tests.parity.comparison import Table, as_table, common_type, compare

MART = Table(
    columns=("machine_id", "business_date", "revenue", "units"),
    types=("text", "date", "decimal(18,2)", "integer"),
    rows=(
        ("VM1", date(2026, 1, 1), Decimal("120.00"), 1),
        ("VM1", date(2026, 1, 2), Decimal("240.00"), 2),
        ("VM2", date(2026, 1, 1), None, 0),
    ),
)


def with_rows(*rows: tuple) -> Table:
    return replace(MART, rows=rows)


def test_the_same_rows_in_another_order_are_equal() -> None:
    assert compare("fct", MART, with_rows(*reversed(MART.rows))).is_equal


@pytest.mark.parametrize(
    ("other", "told"),
    [
        (with_rows(("VM1", date(2026, 1, 1), Decimal("120.01"), 1), *MART.rows[1:]), "revenue"),
        (with_rows(("VM1", date(2026, 1, 1), None, 1), *MART.rows[1:]), "revenue"),
        (with_rows(*MART.rows[1:]), "machine_id differs"),
        (with_rows(*MART.rows, MART.rows[0]), "machine_id differs"),
        (
            with_rows(
                ("VM1", date(2026, 1, 1), Decimal("240.00"), 2),
                ("VM1", date(2026, 1, 2), Decimal("120.00"), 1),
                MART.rows[2],
            ),
            "other combinations",
        ),
        (with_rows(("VM1", date(2026, 1, 1), 120, 1), *MART.rows[1:]), "revenue holds"),
        (replace(MART, types=("text", "date", "decimal(18,4)", "integer")), "revenue is"),
        (replace(MART, types=("text", "date", "double", "integer")), "revenue is"),
        (replace(MART, columns=("machine_id", "business_date", "amount", "units")), "columns are"),
    ],
    ids=[
        "a hundredth more",
        "null for a value",
        "a row missing",
        "a row twice",
        "values of two rows exchanged",
        "another type of value",
        "another scale",
        "a float",
        "another column",
    ],
)
def test_a_difference_is_found_and_named(other: Table, told: str) -> None:
    verdict = compare("fct", MART, other)

    assert not verdict.is_equal
    assert told in " ".join(verdict.differences)
    assert "NO: " in as_table([verdict])


@pytest.mark.parametrize(
    ("duckdb", "snowflake"),
    [
        ("VARCHAR", "TEXT"),
        ("INTEGER", "NUMBER(38,0)"),
        ("BIGINT", "NUMBER(19,0)"),
        ("DECIMAL(18,2)", "NUMBER(18,2)"),
        ("TIMESTAMP", "TIMESTAMP_NTZ(6)"),
        ("BOOLEAN", "BOOLEAN"),
        ("DATE", "DATE"),
    ],
)
def test_types_of_both_engines_have_one_spelling(duckdb: str, snowflake: str) -> None:
    assert common_type(duckdb) == common_type(snowflake)


@pytest.mark.parametrize(
    ("one", "other"),
    [("DECIMAL(18,2)", "NUMBER(18,4)"), ("DOUBLE", "NUMBER(18,2)"), ("DATE", "TIMESTAMP_NTZ(6)")],
)
def test_types_that_differ_are_not_taken_for_one(one: str, other: str) -> None:
    assert common_type(one) != common_type(other)
