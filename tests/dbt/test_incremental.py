"""An incremental run leaves what a full build of the same raw tables would have made."""

import json
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest

from tests.dbt.deliveries import BASELINE, DELIVERIES, Delivery
from tests.dbt.project import DbtProject
from tests.dbt.raw_fixture import RawWarehouse, at

# When a row was computed last is the one thing that may differ; see dbt/models/marts/README.md.
_HOW_IT_WAS_BUILT = "_ledger_seq"
_BUILT_SCHEMAS = ("intermediate", "marts")
# Views stay as the first build made them.
_TABLES_ONLY = ("--exclude", "config.materialized:view")


@dataclass(frozen=True)
class Twin:
    """A raw warehouse and the dbt project over it."""

    raw: RawWarehouse
    project: DbtProject


def _twin(directory: Path) -> Twin:
    directory.mkdir()
    database = directory / "vending.duckdb"
    return Twin(RawWarehouse(database), DbtProject(database, directory / "artifacts"))


@dataclass(frozen=True)
class Twins:
    """The same deliveries twice: built load by load, and built anew each time."""

    incremental: Twin
    full: Twin

    def deliver(self, delivery: Delivery, *selection: str) -> None:
        for twin in (self.incremental, self.full):
            delivery.apply(twin.raw)
        self.incremental.project.invoke("run", *selection)
        self.full.project.invoke("run", "--full-refresh", *selection)


@pytest.fixture(scope="module")
def twins(tmp_path_factory: pytest.TempPathFactory) -> Twins:
    directory = tmp_path_factory.mktemp("twins")
    twins = Twins(_twin(directory / "incremental"), _twin(directory / "full"))
    twins.deliver(BASELINE)
    return twins


def _tables(connection: duckdb.DuckDBPyConnection) -> list[str]:
    return [
        f"{schema}.{table}"
        for schema, table in connection.execute(
            "select table_schema, table_name from information_schema.tables "
            "where table_catalog = 'incremental' and list_contains(?, table_schema) "
            "and table_type = 'BASE TABLE' order by all",
            [list(_BUILT_SCHEMAS)],
        ).fetchall()
    ]


def _rows_only_in(
    connection: duckdb.DuckDBPyConnection, table: str, one: str, other: str
) -> list[tuple[object, ...]]:
    columns = [
        name
        for name, *_ in connection.execute(f"describe {one}.{table}").fetchall()
        if name != _HOW_IT_WAS_BUILT
    ]
    listed = ", ".join(columns)
    return connection.execute(
        f"select {listed} from {one}.{table} except all select {listed} from {other}.{table}"
    ).fetchall()


def _assert_equal_builds(twins: Twins) -> None:
    with duckdb.connect() as connection:
        connection.execute(
            f"attach '{twins.incremental.raw.path}' as incremental (read_only); "
            f"attach '{twins.full.raw.path}' as full_build (read_only)"
        )
        tables = _tables(connection)
        assert "marts.fct_daily_inventory" in tables
        differences = {
            table: {
                "only incremental": _rows_only_in(connection, table, "incremental", "full_build"),
                "only full": _rows_only_in(connection, table, "full_build", "incremental"),
            }
            for table in tables
        }
    assert {table: rows for table, rows in differences.items() if any(rows.values())} == {}


def _query(twin: Twin, sql: str) -> list[tuple[object, ...]]:
    with duckdb.connect(str(twin.raw.path), read_only=True) as connection:
        return connection.execute(sql).fetchall()


def _contents(twin: Twin) -> dict[str, list[tuple[object, ...]]]:
    """Every row of every built table, with the sequence it was computed at."""
    with duckdb.connect() as connection:
        connection.execute(f"attach '{twin.raw.path}' as incremental (read_only)")
        return {
            table: connection.execute(f"select * from incremental.{table} order by all").fetchall()
            for table in _tables(connection)
        }


def test_the_first_build_gives_the_figures_worked_out_by_hand(twins: Twins) -> None:
    _assert_fleet_totals(twins, BASELINE)
    assert _query(
        twins.incremental,
        "select source, currency, revenue, units_sold from marts.fct_monthly_category_sales "
        "order by all",
    ) == [
        ("fleet", "JPY", Decimal("960.00"), 8),
        ("retail", "USD", Decimal("3.50"), 1),
    ]
    # Slot 1 of M1: 3 filled; T1, T2 sold on the first day, T4 on the second.
    assert _query(
        twins.incremental,
        "select business_date, opening_stock, units_added, units_sold, closing_stock, "
        "counted_difference from marts.fct_daily_inventory "
        "where machine_id = 'M1' and slot_number = 1 order by all",
    ) == [
        (date(2025, 3, 1), 0, 3, 2, 1, 0),
        (date(2025, 3, 2), 1, 0, 1, 0, None),
    ]
    assert _query(
        twins.incremental,
        "select machine_id, slot_number, started_at, is_open from marts.fct_stockouts",
    ) == [("M1", 1, at("2025-03-02 01:00"), True)]


def _assert_fleet_totals(twins: Twins, delivery: Delivery) -> None:
    assert _query(
        twins.incremental,
        "select sum(amount), sum(units_sold) from marts.fct_sales where source = 'fleet'",
    ) == [(delivery.revenue, delivery.units_sold)]


@pytest.mark.timeout(900)
def test_after_each_delivery_the_incremental_build_equals_a_full_one(twins: Twins) -> None:
    for delivery in DELIVERIES:
        twins.deliver(delivery, *_TABLES_ONLY)
        try:
            _assert_equal_builds(twins)
            _assert_fleet_totals(twins, delivery)
        except AssertionError as difference:
            difference.add_note(f"after the delivery: {delivery.name}")
            raise


def test_rows_that_no_delivery_touched_are_not_computed_again(twins: Twins) -> None:
    """The retail vendor delivered once: its rows still carry the first run's sequence."""
    assert _query(
        twins.incremental,
        "select source, min(_ledger_seq) < max(_ledger_seq) as was_built_again "
        "from intermediate.int_sales_resolved group by source order by source",
    ) == [("fleet", True), ("retail", False)]


def test_a_run_with_nothing_new_changes_no_row(twins: Twins) -> None:
    before = _contents(twins.incremental)
    twins.incremental.project.invoke("run")
    assert _contents(twins.incremental) == before


def test_every_data_test_and_unit_test_passes_on_what_was_delivered(twins: Twins) -> None:
    twins.incremental.project.invoke("test")


def test_every_column_of_every_model_is_described_and_no_other(twins: Twins) -> None:
    manifest = json.loads((twins.incremental.project.artifacts / "manifest.json").read_text())
    described = {
        (node["schema"], node["name"], column)
        for node in manifest["nodes"].values()
        if node["resource_type"] == "model"
        for column in node["columns"]
    }
    built = set(
        _query(
            twins.incremental,
            "select table_schema, table_name, column_name from information_schema.columns "
            "where table_schema in ('staging', 'intermediate', 'marts')",
        )
    )
    assert described == built
