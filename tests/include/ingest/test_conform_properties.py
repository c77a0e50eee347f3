"""Whatever happens to a file, conform accounts for every row, and both its ways agree.

Each example is a batch of mutated files, so that one call judges many of them.
"""

from __future__ import annotations

import gzip
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from include.contracts import load_catalog
from include.ingest import conform as conform_module
from include.ingest import fast_read
from include.ingest.fast_read import FastResult
from include.ingest.workspace import RawFile, Workspace
from tests.include.ingest.conforming import (
    SALES_HEADER,
    Outcome,
    conform,
    conform_with,
    sales_line,
)
from tests.include.ingest.mutations import mutated_sales, rows_in

_EXAMPLES = settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


_batches = st.lists(mutated_sales(st.integers(0, 6)), min_size=1, max_size=12)


def _conform(contents: Sequence[bytes]) -> Outcome:
    with tempfile.TemporaryDirectory() as folder:
        files = {f"file-{number}.csv": content for number, content in enumerate(contents)}
        return conform(Path(folder), "fleet.sales", files)


def _comparable(outcome: Outcome) -> tuple[object, ...]:
    """Everything about an outcome but the order of rows and the time of quarantine."""
    rows = sorted(repr(sorted(row.items())) for row in outcome.rows)
    quarantined = sorted(
        repr(sorted((name, value) for name, value in row.items() if name != "quarantined_at"))
        for row in outcome.quarantined
    )
    return outcome.files, rows, quarantined


def _read_all_exactly(work: Workspace, files: Sequence[RawFile]) -> FastResult:
    return FastResult(exact=list(files))


@_EXAMPLES
@given(_batches)
def test_every_line_of_a_mutated_file_is_accounted_for(contents: list[bytes]) -> None:
    outcome = _conform(contents)
    for file, content in zip(outcome.files, contents, strict=True):
        assert file.rows_read == rows_in(content)
        accounted = file.rows_conformed + file.rows_quarantined + file.rows_duplicate
        assert accounted == file.rows_read
    assert len(outcome.rows) == outcome.counts[1]


@pytest.mark.parametrize("large_bytes", [fast_read._LARGE_BYTES, 0])
def test_the_fast_way_and_the_exact_way_agree_on_mutated_files(
    monkeypatch: pytest.MonkeyPatch, large_bytes: int
) -> None:
    # With no lower bound, files with bad rows are read in parts, as large ones are.
    monkeypatch.setattr(fast_read, "_LARGE_BYTES", large_bytes)

    @_EXAMPLES
    @given(_batches)
    def agree(contents: list[bytes]) -> None:
        usual = _comparable(_conform(contents))
        with monkeypatch.context() as patched:
            patched.setattr(conform_module, "read_fast", _read_all_exactly)
            assert _comparable(_conform(contents)) == usual

    agree()


def _clean_file(rows: int) -> bytes:
    lines = (sales_line(transaction_id=f"T{number}") for number in range(rows))
    return "\n".join((SALES_HEADER, *lines, "")).encode()


def test_clean_files_take_the_fast_way(monkeypatch: pytest.MonkeyPatch) -> None:
    taken = _watch_fast_read(monkeypatch)
    _conform([_clean_file(10), _clean_file(20)])
    assert [(len(fast.rows), len(fast.partly), len(fast.exact)) for fast in taken] == [(2, 0, 0)]


def test_of_a_large_file_only_the_lines_in_doubt_are_read_exactly(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(fast_read, "_LARGE_BYTES", 0)
    taken = _watch_fast_read(monkeypatch)
    lines = [sales_line(transaction_id=f"T{number}") for number in range(1000)]
    lines[10] = sales_line(transaction_id="T10", quantity="x")
    lines[20] = lines[30]
    lines[40] = sales_line(transaction_id="T50", amount="1")
    lines[60] += ",extra"
    outcome = _conform(["\n".join((SALES_HEADER, *lines, "")).encode()])
    (partly,) = taken[0].partly
    # The bad row, one text for the two equal rows, and the two rows of one key; the long line is
    # found by its delimiters.
    assert len(partly.choice.texts) == 4
    assert outcome.counts == (1000, 995, 4, 1)
    assert {(row["row_number"], row["first_reason"]) for row in outcome.quarantined} == {
        (12, "invalid_value"),
        (42, "conflicting_key"),
        (52, "conflicting_key"),
        (62, "malformed_row"),
    }


def _watch_fast_read(monkeypatch: pytest.MonkeyPatch) -> list[FastResult]:
    taken: list[FastResult] = []
    read: Callable[[Workspace, Sequence[RawFile]], FastResult] = fast_read.read_fast

    def watch(work: Workspace, files: Sequence[RawFile]) -> FastResult:
        taken.append(read(work, files))
        return taken[-1]

    monkeypatch.setattr(conform_module, "read_fast", watch)
    return taken


_cells = st.one_of(
    st.sampled_from(('"a"', '"a,b"', '""', '"a""b"', "a", "")),
    st.text(alphabet='",a \t', max_size=4),
)
_quoted_files = st.lists(st.lists(st.tuples(_cells, _cells), min_size=1, max_size=3), max_size=60)


@_EXAMPLES
@given(_quoted_files)
def test_the_two_ways_agree_on_quotes(files: list[list[tuple[str, str]]]) -> None:
    # DuckDB takes blanks around quotes, Python's csv does not: such files are read exactly.
    header = "category_id,category_name,parent_category_id,effective_on\n"
    contents = {
        f"file-{number}.csv": header
        + "".join(f"C{line},{name},{parent},\n" for line, (name, parent) in enumerate(rows))
        for number, rows in enumerate(files)
    }
    encoded = {name: text.encode() for name, text in contents.items()}
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patched:
        usual = _comparable(conform(Path(folder), "fleet.product_categories", encoded))
        patched.setattr(conform_module, "read_fast", _read_all_exactly)
        assert _comparable(conform(Path(folder), "fleet.product_categories", encoded)) == usual


_EVENT = (
    '{"event_id":"E%d","machine_id":"VM0001","measured_at":"2026-08-01T00:00:00+09:00",'
    '"temperature_c":4.5,"door_open":false,"error_code":null,"stock":{"10":2,"1":12}}'
)
_JSON_PIECES = (
    *("{", "}", "[", "]", ",", ":", '"', "\\", "\\u0000", "\\ud83d", "\\u6771", "\\n", "\n", "\r"),
    *(" ", "\t", "\x1f", "\0", "null", "true", "NaN", "-Infinity", "1.50", "1e2", "-0", "-0.0"),
    *("12345678901234567890.5", '""', "{}", "[]", '{"a":[1]}', '"a":1,', '"event_id":"x",', "髙"),
    *('"extra":1.50,', '"{', '"[', "\ufeff", "//", "'", '"stock":{"b":"x,","a":" "},', "\x7f"),
)


@st.composite
def _mutated_page(draw: st.DrawFn) -> bytes:
    """A page of a few events with some text inserted, replaced or cut."""
    lines = [_EVENT % number for number in range(draw(st.integers(0, 5)))]
    text = "".join(f"{line}\n" for line in lines)
    for _ in range(draw(st.integers(0, 3))):
        start = draw(st.integers(0, len(text)))
        cut = draw(st.integers(0, 4))
        piece = draw(st.one_of(st.sampled_from(_JSON_PIECES), st.text(max_size=2)))
        text = text[:start] + piece + text[start + cut :]
    return gzip.compress(b'{"_page":{}}\n' + text.encode("utf-8", "replace"), mtime=0)


@settings(_EXAMPLES, max_examples=40)
@given(st.lists(_mutated_page(), min_size=1, max_size=12))
def test_the_two_ways_agree_on_mutated_pages(pages: list[bytes]) -> None:
    contents = {f"page-{number}.jsonl.gz": content for number, content in enumerate(pages)}
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patched:
        usual = _comparable(conform(Path(folder), "fleet.machine_telemetry", contents))
        patched.setattr(conform_module, "read_fast", _read_all_exactly)
        assert _comparable(conform(Path(folder), "fleet.machine_telemetry", contents)) == usual


def test_clean_pages_take_the_fast_way(monkeypatch: pytest.MonkeyPatch) -> None:
    taken = _watch_fast_read(monkeypatch)
    lines = "".join(f"{_EVENT % number}\n" for number in range(20))
    page = gzip.compress(b'{"_page":{}}\n' + lines.encode(), mtime=0)
    with tempfile.TemporaryDirectory() as folder:
        conform(Path(folder), "fleet.machine_telemetry", {"page.jsonl.gz": page})
    assert [(len(fast.rows), len(fast.exact)) for fast in taken] == [(1, 0)]


_texts = st.text(alphabet='a,"\\\n\r\t\0\x01\x7f髙①= \u2028', max_size=4)
_extra_files = st.lists(st.lists(st.tuples(_cells, _texts), max_size=4), min_size=1, max_size=20)


@_EXAMPLES
@given(_extra_files)
def test_the_two_ways_agree_on_columns_that_no_contract_knows(
    files: list[list[tuple[str, str]]],
) -> None:
    header = "category_id,category_name,parent_category_id,effective_on,備考,note\n"
    contents = {
        f"file-{number}.csv": (
            header
            + "".join(f"C{line},Tea,,,{cell},{text}\n" for line, (cell, text) in enumerate(rows))
        ).encode()
        for number, rows in enumerate(files)
    }
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patched:
        usual = _comparable(conform(Path(folder), "fleet.product_categories", contents))
        patched.setattr(conform_module, "read_fast", _read_all_exactly)
        assert _comparable(conform(Path(folder), "fleet.product_categories", contents)) == usual


@_EXAMPLES
@given(_batches, st.sampled_from(("cp932", "utf-16", "utf-16-le", "utf-8")))
def test_the_two_ways_agree_on_other_encodings_and_footers(
    contents: list[bytes], encoding: str
) -> None:
    contract = load_catalog().source("fleet.sales")
    form = replace(contract.format, encodings=(encoding,), skipped_lines=1, footer_lines=1)
    other = replace(contract, format=form)
    files = {
        f"file-{number}.csv": f"title\n{content.decode('utf-8', 'ignore')}total\n".encode(
            encoding, "ignore"
        )
        + contents[0][-3:]
        for number, content in enumerate(contents)
    }
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patched:
        usual = _comparable(conform_with(Path(folder), other, files))
        patched.setattr(conform_module, "read_fast", _read_all_exactly)
        assert _comparable(conform_with(Path(folder), other, files)) == usual


def test_every_one_of_many_rejected_rows_is_kept() -> None:
    lines = [sales_line(transaction_id=f"T{n}", quantity="x") for n in range(5_000)]
    outcome = _conform(["\n".join((SALES_HEADER, *lines, "")).encode()])
    assert outcome.counts == (5_000, 0, 5_000, 0)
    assert [row["row_number"] for row in outcome.quarantined] == list(range(2, 5_002))
