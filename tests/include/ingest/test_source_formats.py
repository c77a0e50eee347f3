"""Every way in which a contract can say that files are packed, encoded and laid out.

Each is read the fast way and the exact way, with the same result.
"""

from __future__ import annotations

import gzip
import io
import json
import zipfile
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import pyarrow as pa
import pytest
from openpyxl import Workbook

from include.contracts import SourceContract
from include.ingest import conform as conform_module
from include.ingest import fast_read
from include.ingest.fast_read import FastResult
from include.ingest.workspace import RawFile, Workspace
from tests.include.ingest.conforming import Outcome, conform_with
from tests.include.ingest.contract_file import catalog_with, column, source_document

_COLUMNS = (
    column("コード", "product_id"),
    column("商品名", "product_name"),
    column("分類", "category_id"),
    column("価格", "list_price", kind="number"),
)
_HEADER = "コード,商品名,分類,価格"
_ROWS = ("P1,①髙島～,C1,120", "P2,緑茶,C2,130.50")
_TEXT = "\n".join((_HEADER, *_ROWS, ""))


def _contract(
    folder: Path, server: dict[str, str] | None = None, **custom: object
) -> SourceContract:
    document = source_document("vendor.products", _COLUMNS, server, **custom)
    return catalog_with(folder, document).source("vendor.products")


@pytest.fixture(params=["fast", "large", "exact"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    def nothing_fast(work: Workspace, files: Sequence[RawFile]) -> FastResult:
        return FastResult(exact=list(files))

    if request.param == "exact":
        monkeypatch.setattr(conform_module, "read_fast", nothing_fast)
    if request.param == "large":
        # Files that are read by themselves, not merged.
        monkeypatch.setattr(fast_read, "_LARGE_BYTES", 0)
    return request.param


def _names(outcome: Outcome) -> dict[str, str]:
    return {row["product_id"]: row["product_name"] for row in outcome.rows}


def _zip(content: bytes, *more: tuple[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, member in (("products.csv", content), *more):
            archive.writestr(name, member)
    return buffer.getvalue()


def _zstd(content: bytes) -> bytes:
    return pa.compress(content, codec="zstd", asbytes=True)


@pytest.mark.parametrize(
    ("encoding", "content"),
    [
        ("utf-8", _TEXT.encode()),
        ("utf-8", _TEXT.encode("utf-8-sig")),
        ("utf-16", _TEXT.encode("utf-16")),
        ("utf-16-le", _TEXT.encode("utf-16-le")),
        ("cp932", _TEXT.encode("cp932")),
        ("detected", _TEXT.encode()),
        ("detected", _TEXT.encode("cp932")),
        ("detected", _TEXT.encode("utf-16")),
        ("detected", _TEXT.encode("utf-8-sig")),
    ],
)
def test_text_is_read_in_the_encoding_that_the_contract_names(
    tmp_path: Path, way: str, encoding: str, content: bytes
) -> None:
    contract = _contract(tmp_path, {"encoding": encoding})
    outcome = conform_with(tmp_path, contract, {"p.csv": content})
    assert _names(outcome) == {"P1": "①髙島～", "P2": "緑茶"}
    assert outcome.counts == (2, 2, 0, 0)


def test_of_several_encodings_the_first_that_reads_the_whole_file_is_taken(
    tmp_path: Path, way: str
) -> None:
    contract = _contract(tmp_path, encodings=["utf-8", "latin-1"])
    contents = {
        "a.csv": _TEXT.replace("緑茶", "Thé").encode(),
        "b.csv": "コード,商品名\n".encode() + "P1,Thé\n".encode("latin-1"),
    }
    outcome = conform_with(tmp_path, contract, {"a.csv": contents["a.csv"]})
    assert _names(outcome)["P2"] == "Thé"
    # Its header is no Latin-1 that the contract knows.
    assert conform_with(tmp_path, contract, {"b.csv": contents["b.csv"]}).counts == (1, 0, 1, 0)


def test_a_character_that_does_not_decode_rejects_its_line_only(tmp_path: Path, way: str) -> None:
    for encoding, bad in (("cp932", b"\x81\x20"), ("utf-16-le", b"\x00\xd8")):
        contract = _contract(tmp_path / encoding, {"encoding": encoding})
        content = _TEXT.encode(encoding).replace("緑茶".encode(encoding), bad)
        outcome = conform_with(tmp_path, contract, {"p.csv": content})
        assert outcome.counts == (2, 1, 1, 0)
        assert [(r["row_number"], r["first_reason"]) for r in outcome.quarantined] == [
            (3, "invalid_encoding")
        ]


@pytest.mark.parametrize(
    ("compression", "pack"), [("gzip", gzip.compress), ("zip", _zip), ("zstd", _zstd)]
)
def test_a_packed_file_is_read(tmp_path: Path, way: str, compression: str, pack) -> None:
    contract = _contract(tmp_path, {"encoding": "cp932"}, compression=compression)
    outcome = conform_with(tmp_path, contract, {"p.csv": pack(_TEXT.encode("cp932"))})
    assert _names(outcome) == {"P1": "①髙島～", "P2": "緑茶"}


@pytest.mark.parametrize(
    ("compression", "content", "problem"),
    [
        ("gzip", b"nothing packed", "no complete gzip"),
        ("gzip", gzip.compress(_TEXT.encode())[:-9], "no complete gzip"),
        ("gzip", gzip.compress(gzip.compress(_TEXT.encode())), "another packed file"),
        ("zip", b"nothing packed", "no complete zip"),
        ("zip", _zip(_TEXT.encode())[:60], "no complete zip"),
        ("zip", _zip(_TEXT.encode(), ("b.csv", b"x")), "holds 2 files"),
        ("zip", _zip(_zip(_TEXT.encode())), "another packed file"),
        ("zstd", b"nothing packed", "no complete zstd"),
        ("zstd", _zstd(_TEXT.encode())[:-5], "no complete zstd"),
        ("gzip", gzip.compress(b"0" * (80 << 20)), "more than 250 times"),
        ("zip", _zip(b"0" * (80 << 20)), "more than 250 times"),
    ],
    # Packed content holds the time of packing, and the processes of a run compare the names.
    ids=lambda value: value if isinstance(value, str) else "content",
)
def test_what_cannot_be_unpacked_is_quarantined_whole(
    tmp_path: Path, compression: str, content: bytes, problem: str
) -> None:
    contract = _contract(tmp_path, compression=compression)
    outcome = conform_with(tmp_path, contract, {"p.csv": content})
    assert outcome.rows == []
    (rejected,) = outcome.quarantined
    assert (rejected["row_number"], rejected["first_reason"]) == (None, "unreadable_compression")
    assert problem in rejected["reasons"]


def test_lines_before_the_header_and_behind_the_rows_are_no_rows(tmp_path: Path, way: str) -> None:
    text = "\n".join(("売上表", "2026年8月", _TEXT.rstrip("\n"), "合計,2", "以上", ""))
    for footer in ({"footerLines": 2}, {"footerPattern": "^(合計|以上)"}):
        contract = _contract(
            tmp_path / str(len(footer)) / next(iter(footer)), skippedLines=2, **footer
        )
        outcome = conform_with(tmp_path, contract, {"p.csv": text.encode()})
        assert outcome.counts == (2, 2, 0, 0)


def test_a_line_that_looks_like_a_footer_amid_rows_is_a_row(tmp_path: Path, way: str) -> None:
    contract = _contract(tmp_path, footerPattern="^合計")
    text = "\n".join((_HEADER, _ROWS[0], "合計,2", _ROWS[1], "合計,3", ""))
    outcome = conform_with(tmp_path, contract, {"p.csv": text.encode()})
    assert outcome.counts == (3, 2, 1, 0)
    assert outcome.quarantined[0]["row_number"] == 3


def test_a_file_without_a_header_has_the_contracts_columns_in_its_order(
    tmp_path: Path, way: str
) -> None:
    contract = _contract(tmp_path, hasHeader=False)
    outcome = conform_with(tmp_path, contract, {"p.csv": "\n".join(_ROWS).encode("utf-8-sig")})
    assert _names(outcome) == {"P1": "①髙島～", "P2": "緑茶"}
    assert outcome.counts == (2, 2, 0, 0)


def test_another_delimiter_quote_and_escape_are_read(tmp_path: Path, way: str) -> None:
    contract = _contract(tmp_path, delimiter="\t", quote="'", escape="\\")
    text = _HEADER.replace(",", "\t") + "\nP1\t'a\\'b\tc'\tC1\t1\n"
    outcome = conform_with(tmp_path, contract, {"p.csv": text.encode()})
    assert _names(outcome) == {"P1": "a'b\tc"}


def test_header_names_match_in_another_case_width_and_with_other_blanks(
    tmp_path: Path, way: str
) -> None:
    columns = (column("Product Code", "product_id"), column("Name", "product_name"))
    document = source_document("vendor.products", columns, headerMatching="loose")
    contract = catalog_with(tmp_path, document).source("vendor.products")
    text = "PRODUCT  code,ｎａｍｅ\nP1,Tea\n"
    outcome = conform_with(tmp_path, contract, {"p.csv": text.encode()})
    assert _names(outcome) == {"P1": "Tea"}
    drift = [(d.kind.value, d.expected, d.found) for d in outcome.files[0].drift]
    assert drift == [("renamed", "Product Code", "PRODUCT  code"), ("renamed", "Name", "ｎａｍｅ")]


def test_other_columns_can_be_left_out(tmp_path: Path, way: str) -> None:
    contract = _contract(tmp_path, otherColumns="ignore")
    text = f"{_HEADER},在庫\n{_ROWS[0]},5\n"
    outcome = conform_with(tmp_path, contract, {"p.csv": text.encode()})
    assert [row["_extra"] for row in outcome.rows] == [None]
    assert outcome.files[0].drift == ()


_ITEMS = [
    {"コード": "P1", "商品名": "①髙島～", "分類": "C1", "価格": 120},
    {"コード": "P2", "商品名": "緑茶", "分類": None, "価格": 130.5},
    {"コード": "P3", "商品名": "水", "価格": "x"},
]


@pytest.mark.parametrize(
    ("server", "custom", "content"),
    [
        ("jsonl", {}, "".join(f"{json.dumps(i)}\n" for i in _ITEMS).encode()),
        ("jsonl", {"compression": "zstd"}, _zstd("\n".join(map(json.dumps, _ITEMS)).encode())),
        ("json", {}, json.dumps(_ITEMS, indent=2, ensure_ascii=False).encode()),
        ("json", {"items": "data"}, json.dumps({"n": 1, "data": _ITEMS}).encode("utf-8-sig")),
    ],
)
def test_json_goes_the_same_way(
    tmp_path: Path, way: str, server: str, custom: dict[str, str], content: bytes
) -> None:
    contract = _contract(tmp_path, {"format": server}, **custom)
    outcome = conform_with(tmp_path, contract, {"p.json": content})
    assert _names(outcome) == {"P1": "①髙島～", "P2": "緑茶"}
    assert [(r["row_number"], r["first_reason"]) for r in outcome.quarantined] == [
        (3, "invalid_value")
    ]
    assert outcome.counts == (3, 2, 1, 0)


@pytest.mark.parametrize("content", [b"{}", b"[1,", b"<html>", b'{"data":{}}', b"[" * 100_000])
def test_a_document_without_the_array_is_quarantined_whole(tmp_path: Path, content: bytes) -> None:
    outcome = conform_with(tmp_path, _contract(tmp_path, {"format": "json"}), {"p.json": content})
    assert [r["first_reason"] for r in outcome.quarantined] == ["malformed_page"]


def _excel(rows: Sequence[Sequence[object]], sheet: str = "商品") -> bytes:
    workbook = Workbook()
    workbook.active.title = "表紙"
    page = workbook.create_sheet(sheet)
    for row in rows:
        page.append(list(row))
    buffer = io.BytesIO()
    workbook.save(buffer)
    return buffer.getvalue()


def test_a_sheet_of_an_excel_file_goes_the_same_way(tmp_path: Path, way: str) -> None:
    rows = [
        ["月報"],
        _HEADER.split(","),
        ["P1", "①髙島\n～", "C1", 120],
        [],
        ["P2", 'a"b,c', None, 0.1],
        ["P3", "水", None, datetime(2026, 8, 1)],  # noqa: DTZ001 - Excel has no zones
    ]
    contract = _contract(tmp_path, {"format": "xlsx"}, sheet="商品", skippedLines=1)
    outcome = conform_with(
        tmp_path, contract, {"20260801T000000000000Z-0123456789abcdef": _excel(rows)}
    )
    assert _names(outcome) == {"P1": "①髙島\n～", "P2": 'a"b,c'}
    assert [str(row["list_price"]) for row in outcome.rows] == ["120.00", "0.10"]
    assert [r["first_reason"] for r in outcome.quarantined] == ["invalid_value"]


@pytest.mark.parametrize("content", [b"no excel", _zip(b"x"), _excel([["a"]], sheet="other")])
def test_what_is_no_such_sheet_is_quarantined_whole(tmp_path: Path, content: bytes) -> None:
    contract = _contract(tmp_path, {"format": "xlsx"}, sheet="商品")
    outcome = conform_with(tmp_path, contract, {"20260801T000000000000Z-0123456789abcdef": content})
    assert [r["row_number"] for r in outcome.quarantined] == [None]
    assert outcome.rows == []
