"""The oracle itself, on files small enough to work out by hand."""

import os
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest

from tests.oracle.marts import differences, read_figures
from tests.oracle.oracle import DaySales, Figures, StockOut, compute

SALES_HEADER = (
    "machine_id,transaction_id,slot_number,product_id,sold_at,quantity,unit_price,amount,"
    "payment_method,transaction_type,original_transaction_id"
)
VISITS_HEADER = (
    "machine_id,replenishment_id,slot_number,product_id,replenished_at,quantity_added,"
    "quantity_removed,counted_stock,staff_id"
)
DAY = date(2026, 3, 2)


class Sources:
    """A folder of source files of machine M1; each file is a second younger than the one before."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._written = 0

    def sales(self, *lines: str, folder: str = "1", day: str = "20260302") -> None:
        self._write(f"{folder}/sales_M1_{day}.csv", SALES_HEADER, *lines)

    def visits(self, *lines: str) -> None:
        self._write("1/replenishment_records_M1_20260302.csv", VISITS_HEADER, *lines)

    def _write(self, name: str, *lines: str) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        self._written += 1
        os.utime(path, (self._written, self._written))


@pytest.fixture
def sources(tmp_path: Path) -> Sources:
    return Sources(tmp_path)


def sale(
    number: str,
    at: str = "10:00:00+09:00",
    *,
    quantity: str = "1",
    amount: str = "150",
    kind: str = "sale",
    original: str = "",
) -> str:
    return f"M1,{number},7,P1,2026-03-02T{at},{quantity},150,{amount},cash,{kind},{original}"


def visit(number: str, at: str, added: int, removed: int = 0) -> str:
    return f"M1,{number},7,P1,2026-03-02T{at},{added},{removed},,S1"


def test_a_refund_gives_money_back_and_leaves_units_and_stock_alone(sources: Sources) -> None:
    sources.visits(visit("R1", "08:00:00+09:00", 5))
    sources.sales(sale("T1"), sale("T2", amount="-150", kind="refund", original="T1"))
    figures = compute(sources.folder)
    assert figures.sales == {("M1", DAY): DaySales(Decimal(0), 1)}
    assert figures.closing_stock == {("M1", 7, DAY): 4}


def test_a_void_and_the_sale_it_names_never_happened(sources: Sources) -> None:
    sources.visits(visit("R1", "08:00:00+09:00", 5))
    sources.sales(sale("T1"), sale("T2"), sale("T3", amount="0", kind="void", original="T1"))
    figures = compute(sources.folder)
    assert figures.sales == {("M1", DAY): DaySales(Decimal(150), 1)}
    assert figures.closing_stock == {("M1", 7, DAY): 4}


def test_the_business_date_is_tokyos_whatever_the_offset(sources: Sources) -> None:
    sources.sales(sale("T1", "15:30:00+00:00"), sale("T2", "14:59:59Z"))
    days = [day for _, day in compute(sources.folder).sales]
    assert sorted(days) == [DAY, date(2026, 3, 3)]


@pytest.mark.parametrize(
    "line",
    [
        sale("X", quantity="two"),
        sale("X", quantity="0x1F"),
        sale("X", quantity="1_000"),
        sale("X", quantity="1.5"),
        sale("X", quantity="-3"),
        sale("X", amount="1.239"),
        sale("X", at="10:00:00"),
        sale("X", at="10:00:00+99:00"),
        sale("X", kind="gift"),
        sale(""),
        sale("X") + ",9",
        '"' + sale("X"),
        "",
    ],
)
def test_a_line_that_is_not_a_row_counts_for_nothing_and_stops_no_other(
    sources: Sources, line: str
) -> None:
    sources.sales(sale("T1"), line, sale("T2"))
    assert compute(sources.folder).sales == {("M1", DAY): DaySales(Decimal(300), 2)}


def test_a_line_with_invalid_bytes_counts_for_nothing(sources: Sources) -> None:
    sources.sales(sale("T1"))
    path = next(sources.folder.rglob("*.csv"))
    path.write_bytes(path.read_bytes() + sale("X").encode() + b"\xff\n")
    assert compute(sources.folder).sales == {("M1", DAY): DaySales(Decimal(150), 1)}


def test_a_file_without_its_header_counts_for_nothing(sources: Sources) -> None:
    sources.sales(sale("T1"))
    path = next(sources.folder.rglob("*.csv"))
    path.write_bytes(b"machine_id,,??\n" + path.read_bytes())
    assert compute(sources.folder).sales == {}


def test_a_repeated_line_counts_once_and_contradicting_lines_not_at_all(sources: Sources) -> None:
    sources.sales(sale("T1"), sale("T1"), sale("T2", amount="150"), sale("T2", amount="160"))
    assert compute(sources.folder).sales == {("M1", DAY): DaySales(Decimal(150), 1)}


def test_of_a_line_in_several_files_the_youngest_file_has_the_say(sources: Sources) -> None:
    sources.sales(sale("T1", amount="150"), folder="2")
    sources.sales(sale("T1", amount="140"), folder="1")
    assert compute(sources.folder).sales == {("M1", DAY): DaySales(Decimal(140), 1)}


def test_stock_is_carried_to_days_without_events(sources: Sources) -> None:
    sources.visits(visit("R1", "08:00:00+09:00", 10, removed=2))
    sources.sales(sale("T1", quantity="3"))
    sources.sales("M1,T9,8,P1,2026-03-04T10:00:00+09:00,1,150,150,cash,sale,", day="20260304")
    stock = compute(sources.folder).closing_stock
    assert stock == {("M1", 7, date(2026, 3, number)): 5 for number in (2, 3, 4)}


def test_a_stock_out_lasts_from_the_sale_that_emptied_the_slot_to_the_next_filling(
    sources: Sources,
) -> None:
    sources.visits(visit("R1", "08:00:00+09:00", 2), visit("R2", "12:00:00+09:00", 1))
    sources.sales(sale("T1"), sale("T2", "11:00:00+09:00"), sale("T3", "13:00:00+09:00"))
    assert compute(sources.folder).stock_outs == {
        StockOut("M1", 7, datetime(2026, 3, 2, 2, tzinfo=UTC), datetime(2026, 3, 2, 3, tzinfo=UTC)),
        StockOut("M1", 7, datetime(2026, 3, 2, 4, tzinfo=UTC), None),
    }


def test_a_slot_that_a_visit_emptied_is_not_a_stock_out(sources: Sources) -> None:
    sources.visits(visit("R1", "08:00:00+09:00", 2), visit("R2", "12:00:00+09:00", 0, removed=2))
    sources.sales(sale("T9", "13:00:00+09:00", quantity="0"))
    assert compute(sources.folder).stock_outs == frozenset()


def test_marts_that_agree_have_no_differences_and_a_yen_is_found(
    sources: Sources, tmp_path: Path
) -> None:
    sources.visits(visit("R1", "08:00:00+09:00", 1))
    sources.sales(sale("T1"))
    expected = compute(sources.folder)
    warehouse = tmp_path / "warehouse.duckdb"
    with duckdb.connect(str(warehouse)) as connection:
        connection.execute(
            """
            CREATE SCHEMA marts;
            CREATE TABLE marts.fct_daily_machine_sales AS
                SELECT 'fleet' AS source, 'M1' AS machine_id, DATE '2026-03-02' AS business_date,
                    150.00::DECIMAL(18, 2) AS revenue, 1::BIGINT AS units_sold;
            CREATE TABLE marts.fct_daily_inventory AS
                SELECT 'fleet' AS source, 'M1' AS machine_id, 7 AS slot_number,
                    DATE '2026-03-02' AS business_date, 0::BIGINT AS closing_stock;
            CREATE TABLE marts.fct_stockouts AS
                SELECT 'fleet' AS source, 'M1' AS machine_id, 7 AS slot_number,
                    TIMESTAMP '2026-03-02 01:00:00' AS started_at,
                    CAST(NULL AS TIMESTAMP) AS ended_at;
            """
        )
    assert differences(expected, read_figures(warehouse)) == []

    with duckdb.connect(str(warehouse)) as connection:
        connection.execute("UPDATE marts.fct_daily_machine_sales SET revenue = 151")
        connection.execute("DELETE FROM marts.fct_stockouts")
    found = differences(expected, read_figures(warehouse))
    assert len(found) == 2
    assert "found DaySales(revenue=Decimal('151.00'), units_sold=1)" in found[0]
    assert found[1].startswith("missing StockOut(machine_id='M1', slot_number=7")


def test_nothing_in_an_empty_folder(tmp_path: Path) -> None:
    assert compute(tmp_path) == Figures({}, {}, frozenset())
