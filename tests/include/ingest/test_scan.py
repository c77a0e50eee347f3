"""What one pass over a file's bytes says of it."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from include.ingest import scan

KINDS = (b"a,b", b"", b'"a,",b', b'a"b', b'"open', b"a,b\r", b"\xc3", b"\0", b"long" * 9)
LINES = st.lists(st.sampled_from(KINDS))


@given(lines=LINES, ends_with_line_end=st.booleans(), parts=st.integers(2, 5))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_scan_in_parts_says_what_a_scan_in_one_says(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    lines: list[bytes],
    ends_with_line_end: bool,
    parts: int,
) -> None:
    monkeypatch.setattr(scan, "_CHUNK_BYTES", 7)
    path = tmp_path / "file"
    path.write_bytes(b"\n".join(lines) + b"\n" * ends_with_line_end)

    at_once = scan.scan_file(path, ",", '"')
    in_parts = scan.scan_file(path, ",", '"', threads=parts)

    assert in_parts.is_regular == at_once.is_regular
    assert in_parts.header == at_once.header
    if at_once.is_regular:
        assert in_parts == at_once


def test_a_line_too_long_for_a_record_makes_no_regular_file_however_it_is_cut(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scan, "_LONGEST_LINE", 1_000)
    path = tmp_path / "file"
    path.write_bytes(b"a,b\n" + b"x" * 100_000 + b"\n1,2\n")

    for parts in (1, 2, 3):
        assert not scan.scan_file(path, ",", '"', threads=parts).is_regular
