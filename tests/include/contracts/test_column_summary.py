"""The page that pointblank makes of a sample's columns."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from include.contracts.column_summary import SummaryError, summarise_columns
from include.contracts.draft import main
from include.contracts.profile import profile_column
from include.contracts.sample import read_sample

_FILE = Path(__file__).parent / "vendors" / "nishinihon_statement.csv"


def _cells(page: str) -> dict[str, list[str]]:
    """The texts behind each column's name: type, missing, different, min, quantiles, ..."""
    rows = [
        re.findall(r"<td[^>]*>(.*?)</td>", row) for row in re.findall(r"(?s)<tr>.*?</tr>", page)
    ]
    return {row[0]: row[1:] for row in rows if len(row) > 1}


def _summary(columns: dict[str, list[str]]) -> dict[str, list[str]]:
    profiles = [profile_column(name, values) for name, values in columns.items()]
    return _cells(summarise_columns("sample", profiles))


def test_a_vendors_numbers_and_dates_are_described_by_their_values() -> None:
    columns = read_sample(_FILE).columns
    cells = _summary(columns)
    assert list(cells) == list(columns)
    amount, days = cells["金額"], cells["販売日（曜日）"]
    assert (amount[0], amount[3], amount[9]) == ("Float64", "-130", "1130")
    assert (days[0], days[3], days[9]) == ("Date", "2026-10-04", "2026-10-05")


def test_missing_values_offsets_and_booleans_are_told() -> None:
    cells = _summary(
        {
            "paid": ["1.5", "", "-"],
            "at": ["2026-10-04T09:00:00+09:00", "2026-10-04T10:00:00+09:00", ""],
            "cold": ["yes", "no", "yes"],
            "no date": ["2026-02-30 10:00:00", "2026-02-01 10:00:00", ""],
        }
    )
    assert [row[:2] for row in cells.values()] == [
        ["Float64", "2"], ["Datetime", "1"], ["Boolean", "0"], ["String", "1"],
    ]  # fmt: skip


def test_no_text_of_the_file_is_on_the_page_and_no_other_host_is_asked() -> None:
    columns = {"<script>": ["髙島　花子", "<b>"], "n": ["1", "2"]}
    page = summarise_columns("<i>", [profile_column(*column) for column in columns.items()])
    assert "&lt;script&gt;" in page
    assert not any(text in page for text in ("花子", "<b>", "<i>", "<script>", "http"))


def test_a_file_of_a_header_alone_has_a_page_too() -> None:
    assert _summary({"a": [], "b": []})["b"][:2] == ["String", "0"]


def test_without_pointblank_the_draft_is_written_and_one_sentence_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "pointblank", None)
    with pytest.raises(SummaryError, match="pip install pointblank"):
        summarise_columns("sample", [])
    assert main([str(_FILE), "--source", "nishinihon", "--folder", str(tmp_path)]) == 0
    assert [path.name for path in tmp_path.iterdir()] == ["nishinihon.sales.yaml.draft"]
    assert capsys.readouterr().err.count("\n") == 1
