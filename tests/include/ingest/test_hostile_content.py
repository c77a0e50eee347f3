"""Content that is meant to break what reads it: refused or quarantined, and never executed."""

from __future__ import annotations

import resource
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from include.contracts import Packing, load_catalog
from tests.include.ingest.conforming import SALES_HEADER, conform, conform_with, sales_line

_MEGABYTE = 1 << 20


def _sales(*lines: str, header: str = SALES_HEADER) -> bytes:
    return "\n".join((header, *lines, "")).encode()


@pytest.mark.parametrize("quote", ["", '"'])
def test_a_field_of_100_mb_is_one_rejected_row(tmp_path: Path, quote: str) -> None:
    huge = sales_line(transaction_id="T2", product_id=f"{quote}{'P' * (100 * _MEGABYTE)}{quote}")
    content = _sales(sales_line(), huge, sales_line(transaction_id="T3"))
    outcome = conform(tmp_path, "fleet.sales", {"file.csv": content})
    assert outcome.counts == (3, 2, 1, 0)
    (rejected,) = outcome.quarantined
    assert (rejected["row_number"], rejected["first_reason"]) == (3, "malformed_row")
    assert rejected["record"] is None


def test_a_header_of_100_mb_is_refused(tmp_path: Path) -> None:
    content = _sales(sales_line(), header=SALES_HEADER + "x" * (100 * _MEGABYTE))
    outcome = conform(tmp_path, "fleet.sales", {"file.csv": content})
    assert outcome.counts == (1, 0, 1, 0)
    assert "the header is too long" in outcome.quarantined[0]["reasons"]


def test_100_000_columns_are_refused_in_a_sentence(tmp_path: Path) -> None:
    more = "".join(f",c{number}" for number in range(100_000))
    content = _sales(sales_line() + "," * 100_000, header=SALES_HEADER + more)
    outcome = conform(tmp_path, "fleet.sales", {"file.csv": content})
    assert outcome.counts == (1, 0, 1, 0)
    (rejected,) = outcome.quarantined
    assert rejected["first_reason"] == "malformed_header"
    assert "has 100011 columns, and 2000 are read at most" in rejected["reasons"]


_HOSTILE_TEXT = (
    '=HYPERLINK("http://127.0.0.1/"&A1)',
    "+cmd|' /C calc'!A0",
    "@SUM(1+1)*cmd|' /C calc'!A0",
    "'; DROP TABLE raw.sales; --",
    "'); ATTACH '/tmp/x.db'; --",
    "$1 {0} %s %(a)s ${HOME} `id` $(id)",
    "../../../etc/passwd",
    "<script>alert(1)</script>",
    "\x1b[2J\x07",
)


@pytest.mark.parametrize("text", _HOSTILE_TEXT)
@pytest.mark.parametrize("way", ["fast", "exact"])
def test_formulas_and_sql_are_text_like_any_other(tmp_path: Path, text: str, way: str) -> None:
    quoted = '"' + text.replace('"', '""') + '"'
    # A blank line is read exactly only.
    lines = [sales_line(product_id=quoted), *([""] if way == "exact" else [])]
    outcome = conform(tmp_path, "fleet.sales", {"file.csv": _sales(*lines)})
    assert [row["product_id"] for row in outcome.rows] == [text]


@pytest.mark.parametrize("text", _HOSTILE_TEXT)
def test_hostile_text_in_quarantine_and_in_unknown_columns_is_kept_as_data(
    tmp_path: Path, text: str
) -> None:
    quoted = '"' + text.replace('"', '""') + '"'
    content = _sales(
        sales_line() + f",{quoted}",
        sales_line(transaction_id="T2", quantity=quoted) + ",",
        header=f"{SALES_HEADER},{quoted}",
    )
    outcome = conform(tmp_path, "fleet.sales", {"file.csv": content})
    assert outcome.counts == (2, 1, 1, 0)
    header = text.strip()
    assert [(d.kind.value, d.column) for d in outcome.files[0].drift] == [("added", header)]
    # A message never repeats a value.
    assert text not in outcome.quarantined[0]["reasons"]


def test_a_zip_bomb_is_refused_before_it_fills_memory_or_disk(tmp_path: Path) -> None:
    bomb = tmp_path / "bomb.zip"
    with (
        zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("sales.csv", "w", force_zip64=True) as member,
    ):
        for _ in range(300):
            member.write(b"0" * _MEGABYTE)
    contract = load_catalog().source("fleet.sales")
    zipped = replace(contract, format=replace(contract.format, packing=Packing.ZIP))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    outcome = conform_with(tmp_path, zipped, {"file.zip": bomb.read_bytes()})
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert outcome.quarantined[0]["first_reason"] == "unreadable_compression"
    assert outcome.rows == []
    unit = _MEGABYTE if sys.platform == "darwin" else 1 << 10
    assert grown / unit < 200
