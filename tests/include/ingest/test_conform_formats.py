"""Formats that the repository's own sources do not use, and the batch in the lake."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from include.contracts import CsvFormat, SourceContract, load_catalog
from include.contracts.raw_tables import QUARANTINE
from include.ingest.conform import ConformError, conform_batch, conform_files
from include.ingest.plan import ConformedFile
from include.ingest.workspace import RawFile
from include.lake import DiskLake, Zone
from tests.include.ingest.conforming import (
    LIMITS,
    SALES_HEADER,
    Outcome,
    conform_with,
    landed_file,
    sales_line,
)


def _with_format(**changes: object) -> SourceContract:
    contract = load_catalog().source("fleet.sales")
    assert isinstance(contract.format, CsvFormat)
    return replace(contract, format=replace(contract.format, **changes))


def _with_local_times(zone: str) -> SourceContract:
    contract = load_catalog().source("fleet.sales")
    mappings = tuple(
        replace(mapping, time_zone=zone) if mapping.field.name == "sold_at" else mapping
        for mapping in contract.mappings
    )
    return replace(contract, mappings=mappings, time_zone=zone)


def _sales(folder: Path, contract: SourceContract, *lines: str) -> Outcome:
    text = "\n".join((SALES_HEADER, *lines, ""))
    return conform_with(folder, contract, {"file.csv": text.encode()})


def test_a_quoted_field_spans_lines_where_the_contract_says_so(tmp_path: Path) -> None:
    multiline = _with_format(is_multiline=True)
    outcome = _sales(
        tmp_path,
        multiline,
        sales_line(product_id='"P\n1"'),
        sales_line(transaction_id="T2", quantity="x"),
    )
    assert outcome.counts == (2, 1, 1, 0)
    assert outcome.rows[0]["product_id"] == "P\n1"
    assert outcome.quarantined[0]["row_number"] == 4


def test_a_quote_that_never_closes_ends_with_the_file(tmp_path: Path) -> None:
    multiline = _with_format(is_multiline=True)
    outcome = _sales(tmp_path, multiline, sales_line(), sales_line(product_id='"P'), "rest")
    assert outcome.counts == (2, 1, 1, 0)


def test_another_delimiter_and_quote_are_read(tmp_path: Path) -> None:
    contract = _with_format(delimiter=";", quote="'")
    text = "\n".join((SALES_HEADER, sales_line(product_id="'P;1'"), "")).replace(",", ";")
    outcome = conform_with(tmp_path, contract, {"file.csv": text.encode()})
    assert [row["product_id"] for row in outcome.rows] == ["P;1"]


def test_local_times_are_stored_in_utc(tmp_path: Path) -> None:
    contract = _with_local_times("America/New_York")
    outcome = _sales(tmp_path, contract, sales_line(sold_at="2026-07-01 20:00:00"))
    assert outcome.rows[0]["sold_at"] == datetime(2026, 7, 2)  # noqa: DTZ001
    assert outcome.rows[0]["business_date"].isoformat() == "2026-07-01"


@pytest.mark.parametrize("text", ["2026-03-08 02:30:00", "2026-11-01 01:30:00"])
def test_a_local_time_that_does_not_exist_or_occurs_twice_is_quarantined(
    tmp_path: Path, text: str
) -> None:
    contract = _with_local_times("America/New_York")
    near = [text.replace("2:30", "3:30").replace("01:30", "00:30")]
    outcome = _sales(
        tmp_path,
        contract,
        sales_line(sold_at=text),
        *(sales_line(transaction_id="T2", sold_at=moment) for moment in near),
    )
    assert [row["transaction_id"] for row in outcome.rows] == ["T2"]
    assert [row["first_reason"] for row in outcome.quarantined] == ["invalid_value"]


def test_a_line_too_long_to_be_a_record_is_one_rejected_row(tmp_path: Path) -> None:
    long = sales_line(transaction_id="T2", product_id="P" * (17 << 20))
    outcome = _sales(tmp_path, _with_format(), sales_line(), long, sales_line(transaction_id="T3"))
    assert outcome.counts == (3, 2, 1, 0)
    assert [(r["row_number"], r["record"]) for r in outcome.quarantined] == [(3, None)]


@pytest.fixture
def lake(tmp_path: Path) -> DiskLake:
    return DiskLake(tmp_path / "lake")


def _land(lake: DiskLake, name: str, text: str, number: int) -> str:
    key = lake.key(Zone.RAW, "files", name, f"version-{number}")
    lake.write_bytes(key, text.encode())
    return key


def test_a_batch_leaves_its_rows_and_its_quarantine_in_the_lake(lake: DiskLake) -> None:
    text = "\n".join((SALES_HEADER, sales_line(), sales_line(transaction_id="T2", amount="x"), ""))
    landed = [
        landed_file(number, _land(lake, "sales.csv", text, number), len(text))
        for number in range(2)
    ]
    contract = load_catalog().source("fleet.sales")
    conformed = conform_batch(lake, contract, "batch-1", landed, LIMITS, "run-1")
    assert [_counts(file) for file in conformed.files] == [(2, 1, 1, 0), (2, 1, 1, 0)]
    assert conformed.parquet_location == "staging/sales/batch-1.parquet"
    assert conformed.quarantine_location == "quarantine/sales/batch-1.parquet"
    with lake.local_paths([conformed.parquet_location, conformed.quarantine_location]) as paths:
        rows, quarantine = (pq.read_table(path) for path in paths)
    columns = [column.name for column in contract.dataset.raw_columns]
    assert rows.column_names == columns
    assert quarantine.column_names == [column.name for column in QUARANTINE.columns]
    assert rows.num_rows == quarantine.num_rows == 2


def test_a_batch_without_rows_leaves_no_object(lake: DiskLake) -> None:
    landed = [landed_file(1, _land(lake, "sales.csv", SALES_HEADER + "\n", 1), 10)]
    contract = load_catalog().source("fleet.sales")
    conformed = conform_batch(lake, contract, "batch-1", landed, LIMITS, "run-1")
    assert (conformed.parquet_location, conformed.quarantine_location) == (None, None)
    assert list(lake.list("staging")) == list(lake.list("quarantine")) == []


def test_rows_that_are_not_accounted_for_fail_the_batch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("include.ingest.exact_read.ExactRead.rows", property(lambda self: {1: 3}))
    path = tmp_path / "file.csv"
    path.write_text(f"{SALES_HEADER}\n\n{sales_line()}\n")
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    file = RawFile(landed_file(1, "raw/file.csv", path.stat().st_size), path)
    contract = load_catalog().source("fleet.sales")
    with pytest.raises(ConformError, match="3 rows were read and 1 accounted for"):
        conform_files(contract, [file], scratch, LIMITS, "run-1")


def _counts(file: ConformedFile) -> tuple[int, int, int, int]:
    return file.rows_read, file.rows_conformed, file.rows_quarantined, file.rows_duplicate
