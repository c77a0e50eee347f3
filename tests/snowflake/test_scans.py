"""A read that is not bounded by what is new is found; one that is bounded is not."""

from __future__ import annotations

import pytest

from tests.snowflake.scans import LAST_SELECT, Scan, whole_scans

WATERMARK = "(SELECT coalesce(max(built._ledger_seq), 0) FROM db.marts.days AS built)"
NEW = f"new_loads AS (SELECT load_id, day FROM db.ops.loads WHERE loaded_seq > {WATERMARK})"


@pytest.mark.parametrize(
    "sql",
    [
        f"SELECT max(amount) FROM db.raw.sales WHERE _ledger_seq > {WATERMARK}",
        f"WITH {NEW} SELECT max(amount) FROM db.raw.sales JOIN new_loads ON "
        "sales._load_id = new_loads.load_id",
        f"WITH {NEW}, lines AS (SELECT * FROM db.raw.sales) SELECT count(*) FROM new_loads "
        "LEFT JOIN lines ON lines.business_date BETWEEN new_loads.day AND new_loads.day",
    ],
)
def test_a_read_held_to_the_watermark_or_to_new_rows_is_bounded(sql: str) -> None:
    assert whole_scans(sql, {"sales"}) == set()


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT max(amount) FROM db.raw.sales",
        "SELECT max(amount) FROM db.raw.sales WHERE _ledger_seq > 5",
        f"SELECT max(amount) FROM db.raw.sales WHERE _ledger_seq > {WATERMARK} OR amount = 0",
        f"WITH {NEW} SELECT max(amount) FROM db.raw.sales JOIN new_loads ON "
        "sales.machine_id = new_loads.machine_id",
        f"WITH {NEW} SELECT max(amount) FROM db.raw.sales LEFT JOIN new_loads ON "
        "sales._load_id = new_loads.load_id",
        "WITH loads AS (SELECT load_id FROM db.ops.loads) SELECT max(amount) FROM db.raw.sales "
        "JOIN loads ON sales._load_id = loads.load_id",
    ],
)
def test_a_read_without_such_a_condition_is_of_the_whole_table(sql: str) -> None:
    assert whole_scans(sql, {"sales"}) == {Scan(LAST_SELECT, "sales")}


def test_a_whole_read_is_told_where_it_happens_and_not_where_the_table_is_handed_on() -> None:
    sql = "WITH lines AS (SELECT * FROM db.raw.sales), days AS (SELECT max(day) FROM lines)"
    assert whole_scans(f"{sql} SELECT * FROM days", {"sales"}) == {Scan("days", "sales")}
