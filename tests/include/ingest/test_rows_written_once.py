"""A large file with bad lines: the others are written once, and are not taken out of anything."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from include.contracts import load_catalog
from include.ingest.conform import ConformedFiles, conform_files
from include.ingest.workspace import RawFile
from tests.include.ingest.conforming import LIMITS, SALES_HEADER, landed_file, sales_line

# More than a megabyte, from which on only the lines in doubt are read again.
ROWS = 20_000
SALES = tuple(sales_line(transaction_id=f"T{number:06}") for number in range(ROWS))


def conform_sales(folder: Path, lines: Sequence[str]) -> ConformedFiles:
    path, scratch = folder / "sales.csv", folder / "scratch"
    scratch.mkdir()
    path.write_text("\n".join((SALES_HEADER, *lines)) + "\n")
    file = RawFile(landed_file(1, "raw", path.stat().st_size), path)
    return conform_files(load_catalog().source("fleet.sales"), [file], scratch, LIMITS, "run")


def counts(conformed: ConformedFiles) -> tuple[int, int, int, int]:
    (file,) = conformed.files
    return file.rows_read, file.rows_conformed, file.rows_quarantined, file.rows_duplicate


def test_good_rows_beside_bad_ones_are_written_once(tmp_path: Path) -> None:
    bad = [line.replace(",sale,", ",gift,") for line in SALES[::1000]]

    conformed = conform_sales(tmp_path, [*SALES, *bad])

    written = sorted(path.name for path in (tmp_path / "scratch").glob("*.parquet"))
    assert counts(conformed) == (ROWS + 20, ROWS, 20, 0)
    assert written == ["fast-0.parquet", "quarantine.parquet"]
    assert pq.read_metadata(conformed.parquet).num_rows == ROWS


def test_equal_bad_lines_are_quarantined_each_with_its_line(tmp_path: Path) -> None:
    bad = sales_line(quantity="many")

    conformed = conform_sales(tmp_path, [bad, *SALES, bad])

    lines = pq.read_table(conformed.quarantine, columns=["row_number"])["row_number"].to_pylist()
    assert counts(conformed) == (ROWS + 2, ROWS, 2, 0)
    assert sorted(lines) == [2, ROWS + 3]


def test_a_file_of_which_every_line_is_bad_has_no_rows(tmp_path: Path) -> None:
    conformed = conform_sales(tmp_path, [line.replace(",sale,", ",gift,") for line in SALES])

    assert counts(conformed) == (ROWS, 0, ROWS, 0)
    assert conformed.parquet is None


def test_a_repeated_line_beside_a_bad_one_is_skipped_and_nothing_else_is(tmp_path: Path) -> None:
    conformed = conform_sales(tmp_path, [*SALES, SALES[7], sales_line(amount="much")])

    assert counts(conformed) == (ROWS + 2, ROWS, 1, 1)
    keys = pq.read_table(conformed.parquet, columns=["transaction_id"])["transaction_id"]
    assert len(keys) == len(keys.unique()) == ROWS


def test_constants_are_text_in_parquet_like_every_other_text(tmp_path: Path) -> None:
    conformed = conform_sales(tmp_path, SALES)

    table = pq.read_table(conformed.parquet, columns=["currency", "line_id", "_source"])
    assert set(table.schema.types) == {pa.string()}
    assert table.slice(ROWS - 1).to_pylist() == [
        {"currency": "JPY", "line_id": "1", "_source": "fleet"}
    ]
