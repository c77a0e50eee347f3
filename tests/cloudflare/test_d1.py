"""D1: what readers of a published mart see, and what publishing it costs."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deploy.cloudflare.local_cloudflare import LocalCloudflare
from include.cloudflare.d1 import STATEMENT_BYTES
from include.cloudflare.errors import CloudflareError
from include.publish import d1 as d1_sink
from include.publish.d1_sql import d1_table
from include.publish.marts import PublishError
from include.publish.spec import Column, D1Spec, PublishedMart, PublishSpec, PublishSpecError, Sink
from include.publish.statements import insert_into, joined
from tests.cloudflare.published import (
    CONTRACT,
    Warehouse,
    answer_next_with,
    journal,
    publish_d1,
    query_d1,
    warehouse,
)


def test_a_mart_becomes_a_table_with_the_types_keys_and_indexes_of_its_contract(
    cloudflare: LocalCloudflare, tmp_path: Path
) -> None:
    made = warehouse(tmp_path, "typed", 10)
    publish_d1(made, cloudflare)
    columns = query_d1(cloudflare, "SELECT name, type, pk FROM pragma_table_info('typed')")
    assert [(c["name"], c["type"], c["pk"]) for c in columns] == [
        ("source", "TEXT", 1),
        ("machine_id", "TEXT", 2),
        ("business_date", "TEXT", 0),
        ("units", "INTEGER", 0),
        ("amount", "REAL", 0),
        ("is_open", "INTEGER", 0),
        ("seen_at", "TEXT", 0),
        ("note", "TEXT", 0),
    ]
    assert query_d1(cloudflare, "SELECT * FROM typed WHERE machine_id = 'M000003'") == [
        {
            "source": "fleet",
            "machine_id": "M000003",
            "business_date": "2026-01-01",
            "units": 3,
            "amount": 4.5,
            "is_open": 0,
            "seen_at": "2026-01-01T09:00:00.000000Z",
            "note": "it's; 3",
        }
    ]
    plan = query_d1(
        cloudflare, "EXPLAIN QUERY PLAN SELECT * FROM typed WHERE business_date = '2026-01-01'"
    )
    assert "business_date" in plan[0]["detail"]


def test_an_unchanged_mart_costs_one_read_and_no_write(
    cloudflare: LocalCloudflare, tmp_path: Path
) -> None:
    made = warehouse(tmp_path, "unchanged", 100)
    first = publish_d1(made, cloudflare)
    before = len(journal(cloudflare))
    second = publish_d1(made, cloudflare)
    assert (second.how, second.written, second.version) == ("unchanged", 0, first.version)
    assert journal(cloudflare)[before:] == ["POST d1/database/marts/query"]


def test_only_rows_that_changed_are_written_and_those_that_went_are_deleted(
    cloudflare: LocalCloudflare, tmp_path: Path
) -> None:
    made = warehouse(tmp_path, "changed", 1_000)
    publish_d1(made, cloudflare)
    made.execute(
        "UPDATE MART SET amount = 7 WHERE units < 10",
        "DELETE FROM MART WHERE units >= 995",
        "INSERT INTO MART VALUES"
        " ('fleet', 'NEW', '2026-01-02', 1, 2, true, '2026-01-02 00:00:00', null)",
    )
    outcome = publish_d1(made, cloudflare)
    assert (outcome.how, outcome.upserted, outcome.deleted) == ("changed", 11, 5)
    # A row that stays where it is in the index is one write, a new one two; a deleted one is one,
    # and so is the version.
    assert outcome.written == 10 + 2 * 1 + 5 + 1
    assert_same_rows(cloudflare, made)


def test_a_large_change_is_applied_in_one_transaction_too(
    cloudflare: LocalCloudflare, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(d1_sink, "REQUEST_BYTES", 2_000)
    made = warehouse(tmp_path, "large_change", 500)
    publish_d1(made, cloudflare)
    made.execute(
        "UPDATE MART SET amount = amount + 1 WHERE units % 2 = 0",
        "DELETE FROM MART WHERE units % 5 = 0",
        "UPDATE MART SET note = repeat('日本', 40000) WHERE units = 2",
    )
    assert publish_d1(made, cloudflare).how == "changed"
    assert_same_rows(cloudflare, made)
    assert tables(cloudflare, "large_change") == ["large_change"]


def test_another_contract_replaces_the_table(cloudflare: LocalCloudflare, tmp_path: Path) -> None:
    made = warehouse(tmp_path, "relaid", 20)
    publish_d1(made, cloudflare)
    columns = tuple(column for column in made.mart.columns if column.name != "note")
    narrower = Warehouse(
        made.folder, PublishedMart(made.mart.name, "marts", columns, made.mart.spec)
    )
    assert publish_d1(narrower, cloudflare).how == "replaced"
    assert "note" not in query_d1(cloudflare, "SELECT * FROM relaid")[0]


def test_rows_longer_than_a_statement_may_be_are_published(
    cloudflare: LocalCloudflare, tmp_path: Path
) -> None:
    made = warehouse(tmp_path, "wide", 5)
    made.execute("UPDATE MART SET note = repeat('長い', 150000) WHERE units = 3")
    assert publish_d1(made, cloudflare).how == "replaced"
    made.execute("UPDATE MART SET note = repeat('長い', 149999) WHERE units = 3")
    assert publish_d1(made, cloudflare).how == "changed"
    assert_same_rows(cloudflare, made)


def test_a_lost_version_file_costs_a_full_load_and_nothing_else(
    cloudflare: LocalCloudflare, tmp_path: Path
) -> None:
    made = warehouse(tmp_path, "lost_state", 20)
    publish_d1(made, cloudflare)
    made.versions(Sink.D1).drop_all_but(())
    made.execute("UPDATE MART SET units = 0")
    assert publish_d1(made, cloudflare).how == "replaced"
    assert_same_rows(cloudflare, made)


def test_a_change_against_a_version_that_is_no_longer_published_fails_whole(
    cloudflare: LocalCloudflare, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = warehouse(tmp_path, "overtaken", 20)
    publish_d1(made, cloudflare)
    made.execute("UPDATE MART SET units = 0 WHERE units = 3")
    seen = query_d1(cloudflare, "SELECT * FROM overtaken ORDER BY machine_id")

    def overtaken(sink: d1_sink.D1Sink) -> Any:
        statements = list(sink._change_statements())
        query_d1(cloudflare, "UPDATE publications SET version = 'x' WHERE mart = 'overtaken'")
        return statements

    monkeypatch.setattr(d1_sink.D1Sink, "_small_change", overtaken)
    with pytest.raises(CloudflareError, match="NOT NULL"):
        publish_d1(made, cloudflare)
    assert query_d1(cloudflare, "SELECT * FROM overtaken ORDER BY machine_id") == seen


def test_a_lost_answer_to_a_commit_is_no_failure(
    cloudflare: LocalCloudflare, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = warehouse(tmp_path, "lost_answer", 20)
    publish_d1(made, cloudflare)
    made.execute("UPDATE MART SET units = 0 WHERE units = 3")
    run = d1_sink.D1Database.run

    def twice(database: Any, statements: Any) -> Any:
        batch = list(statements)
        if batch[0].sql.startswith("UPDATE publications"):
            run(database, batch)
        return run(database, batch)

    monkeypatch.setattr(d1_sink.D1Database, "run", twice)
    assert publish_d1(made, cloudflare).how == "changed"
    assert_same_rows(cloudflare, made)


def test_a_key_that_two_rows_share_is_refused(cloudflare: LocalCloudflare, tmp_path: Path) -> None:
    made = warehouse(tmp_path, "ambiguous", 5)
    made.execute("INSERT INTO MART SELECT * FROM MART WHERE units = 3")
    with pytest.raises(PublishError, match=r"two rows of the key .*M000003"):
        publish_d1(made, cloudflare)


@pytest.mark.parametrize(
    ("column", "value"),
    [("units", "9007199254740993"), ("amount", "12345678901234.25"), ("machine_id", "NULL")],
)
def test_a_value_that_the_edge_would_not_get_exactly_is_refused(
    cloudflare: LocalCloudflare, tmp_path: Path, column: str, value: str
) -> None:
    made = warehouse(tmp_path, "inexact", 5)
    made.execute(f"UPDATE MART SET {column} = {value} WHERE units = 3")
    with pytest.raises(PublishError, match=rf"inexact\.{column} is (null|\d)"):
        publish_d1(made, cloudflare)


def test_a_row_of_more_than_two_megabytes_is_refused(
    cloudflare: LocalCloudflare, tmp_path: Path
) -> None:
    made = warehouse(tmp_path, "heavy", 2)
    made.execute("UPDATE MART SET note = repeat('x', 2000001) WHERE units = 1")
    with pytest.raises(PublishError, match="2000000"):
        publish_d1(made, cloudflare)


def test_growth_is_warned_of_at_80_per_cent(
    cloudflare: LocalCloudflare, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    made = warehouse(tmp_path, "growing", 10)
    with caplog.at_level(logging.WARNING, logger="include.publish.d1"):
        publish_d1(made, cloudflare, size_limit=1_000)
    assert "of what it may" in caplog.text


def test_an_empty_mart_is_an_empty_table(cloudflare: LocalCloudflare, tmp_path: Path) -> None:
    made = warehouse(tmp_path, "empty", 0)
    publish_d1(made, cloudflare)
    assert query_d1(cloudflare, "SELECT * FROM empty") == []


def test_an_import_that_d1_refuses_leaves_what_readers_saw(
    cloudflare: LocalCloudflare, tmp_path: Path
) -> None:
    made = warehouse(tmp_path, "refused", 10)
    publish_d1(made, cloudflare)
    made.versions(Sink.D1).drop_all_but(())
    made.execute("UPDATE MART SET units = 0")
    # The version is read, then what lies beside, then the import begins.
    passes = {"status": 503, "headers": {"retry-after": "0"}}
    answer_next_with(cloudflare, passes, passes)
    assert publish_d1(made, cloudflare).how == "replaced"
    answer_next_with(cloudflare, {"status": 400, "code": 7500, "message": "no such thing"})
    with pytest.raises(CloudflareError, match=r"400, code 7500 \(no such thing\)"):
        publish_d1(made, cloudflare)


def test_a_mart_wider_than_d1_is_refused_before_anything_is_sent() -> None:
    columns = tuple(Column(f"c{number}", "bigint") for number in range(101))
    with pytest.raises(PublishSpecError, match="101 columns"):
        d1_table(PublishedMart("m", "marts", columns, PublishSpec()), D1Spec(key=("c0",)))


@given(
    rows=st.lists(
        st.text(min_size=1, max_size=3_000).map(lambda text: text * 20), min_size=1, max_size=60
    )
)
@settings(max_examples=50, deadline=None)
def test_statements_stay_below_the_limit_and_hold_every_row_once(rows: list[str]) -> None:
    around = insert_into("a_table", '"a"', "ON CONFLICT DO NOTHING")
    rows = [row for row in rows if len(row.encode()) < 79_000]
    half = len(rows) // 2
    chunks = [[(row, len(row.encode())) for row in each] for each in (rows[:half], rows[half:])]
    made = list(joined((chunk for chunk in chunks if chunk), around))
    assert all(len(statement.encode()) <= STATEMENT_BYTES for statement in made)
    bodies = [s.removeprefix(around.before).removesuffix(around.after) for s in made]
    assert "),\n(".join(body[1:-1] for body in bodies) == "),\n(".join(rows)


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
VALUES = st.tuples(
    st.none() | TEXTS,
    st.none() | st.integers(-(2**53) + 1, 2**53 - 1),
    st.none() | st.floats(allow_nan=False, allow_infinity=False),
    st.none() | st.booleans(),
)


@given(rows=st.lists(VALUES, min_size=1, max_size=20))
@settings(
    max_examples=15,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_any_value_arrives_as_it_is(
    cloudflare: LocalCloudflare, tmp_path_factory: pytest.TempPathFactory, rows: list[tuple]
) -> None:
    contract = {"id": "integer", "t": "varchar", "n": "bigint", "r": "double", "b": "boolean"}
    folder = tmp_path_factory.mktemp("any")
    made = warehouse(folder, "any_value", 0, contract=contract, d1=D1Spec(key=("id",)))
    with duckdb.connect(str(made.file)) as connection:
        for number, row in enumerate(rows):
            connection.execute("INSERT INTO marts.any_value VALUES (?, ?, ?, ?, ?)", [number, *row])
    publish_d1(made, cloudflare)
    found = query_d1(cloudflare, "SELECT * FROM any_value ORDER BY id")
    # JSON has one kind of number, and Python reads a whole one as an integer.
    whole = [row | {"r": row["r"] if row["r"] is None else float(row["r"])} for row in found]
    assert [tuple(row.values())[1:] for row in whole] == rows


def assert_same_rows(cloudflare: LocalCloudflare, made: Warehouse) -> None:
    name = made.mart.name
    order = " ORDER BY machine_id"
    edge = query_d1(cloudflare, f"SELECT machine_id, units, amount, note FROM {name}{order}")
    with duckdb.connect(str(made.file), read_only=True) as connection:
        mart = connection.execute(
            f"SELECT machine_id, units, amount::DOUBLE, note FROM marts.{name}{order}"
        ).fetchall()
    assert [tuple(row.values()) for row in edge] == mart
    assert set(CONTRACT) >= {"machine_id", "units", "amount", "note"}


def tables(cloudflare: LocalCloudflare, prefix: str) -> list[str]:
    found = query_d1(
        cloudflare,
        "SELECT name FROM sqlite_master WHERE type = 'table' AND name GLOB ? ORDER BY name",
        f"{prefix}*",
    )
    return [row["name"] for row in found]
