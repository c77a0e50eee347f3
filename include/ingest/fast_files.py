"""Which files of a batch DuckDB may read, and how it reads them as columns of text.

A file is a candidate if its bytes give no reason for doubt; what is counted in them proves
afterwards that no line was lost. Candidates of one layout are read in one statement: small ones
merged into one file, large ones by their own names.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from include.contracts import CsvFormat, JsonLinesFormat
from include.ingest.expressions import EXTRA, LOAD_ID, literal, source_column
from include.ingest.json_lines import IS_PLAIN, LINE, json_columns
from include.ingest.merged import MergedFiles
from include.ingest.records import Header, is_page_head, read_header
from include.ingest.scan import FileScan, scan_bytes, scan_file
from include.ingest.workspace import RawFile, Workspace

# JSON has no control characters outside escapes, so this one is in no line.
_SEPARATOR = "\x1f"


@dataclass(frozen=True, slots=True)
class Layout:
    """What files must share to be read in one statement. ``columns`` are the header's."""

    columns: tuple[str, ...]
    ends_with_crlf: bool
    is_merged: bool


@dataclass(frozen=True, slots=True)
class Candidate:
    """A file that may be read fast: its rows and, of a delimited one, its scan and header."""

    file: RawFile
    layout: Layout
    rows: int
    scan: FileScan | None = None
    header: Header | None = None

    @property
    def delimiters_in_line(self) -> int:
        return len(self.layout.columns) - 1

    def is_proved_by(self, rows: int) -> bool:
        """Whether so many rows are every line of the file, each with a value for each column."""
        if rows != self.rows:
            return False
        if self.scan is None:
            return True
        return self.scan.delimiters == self.delimiters_in_line * self.scan.lines


class FastFiles(Protocol):
    """One format's way of being read fast."""

    def candidates(self, files: Sequence[RawFile]) -> list[Candidate | None]:
        """For each file its candidate, or None if it is to be read exactly. Raises OSError."""

    def relation(self, candidates: Sequence[Candidate]) -> str:
        """The source columns, ``load_id``, ``extra`` and the `carried` columns of one layout."""

    @property
    def delimiter(self) -> bytes:
        """What stands between the values of a line."""

    def carried(self, layout: Layout) -> tuple[str, ...]:
        """The columns that `line` and `is_plain` need."""

    def line(self, layout: Layout) -> str:
        """The text of a row's line."""

    def is_plain(self) -> str:
        """A condition, never null, on rows that DuckDB is trusted to understand."""


def fast_files(work: Workspace, large_bytes: int) -> FastFiles | None:
    """How the contract's files are read fast, or None if they cannot be.

    Files of fewer than ``large_bytes`` are merged.
    """
    form = work.contract.format
    if isinstance(form, JsonLinesFormat):
        return _JsonFiles(work, large_bytes)
    if form.is_utf8 and not form.is_multiline:
        return _DelimitedFiles(work, form, large_bytes)
    return None


class _DelimitedFiles:
    def __init__(self, work: Workspace, form: CsvFormat, large_bytes: int) -> None:
        self._work = work
        self._form = form
        self._large_bytes = large_bytes
        self._merged = MergedFiles(work.scratch, form.delimiter.encode())
        self._headers: dict[bytes, Header | None] = {}

    def candidates(self, files: Sequence[RawFile]) -> list[Candidate | None]:
        # Most of a large file's scan runs without the interpreter's lock.
        with ThreadPoolExecutor(self._work.threads) as pool:
            large = {
                file.load_id: pool.submit(self._large, file)
                for file in files
                if self._is_large(file)
            }
            found = [
                large[file.load_id].result() if file.load_id in large else self._small(file)
                for file in files
            ]
        self._merged.flush()
        return found

    def relation(self, candidates: Sequence[Candidate]) -> str:
        layout, header = candidates[0].layout, candidates[0].header
        columns = [f"c{n}" for n in range(len(layout.columns))]
        sources = ", ".join(
            f"{'CAST(NULL AS VARCHAR)' if position is None else f'c{position}'} "
            f"AS {source_column(index)}"
            for index, position in enumerate(header.positions if header else ())
        )
        rows = _read_csv(
            self._work.scratch,
            candidates,
            self._merged,
            columns,
            self._form.delimiter,
            self._form.quote,
        )
        return f"(SELECT *, {sources}, CAST(NULL AS VARCHAR) AS {EXTRA} FROM ({rows}))"

    def carried(self, layout: Layout) -> tuple[str, ...]:
        return tuple(f"c{n}" for n in range(len(layout.columns)))

    def line(self, layout: Layout) -> str:
        # Without quotes a line is its values joined by the delimiter.
        values = ", ".join(f"coalesce({column}, '')" for column in self.carried(layout))
        return f"concat_ws({literal(self._form.delimiter)}, {values})"

    @property
    def delimiter(self) -> bytes:
        return self._form.delimiter.encode()

    def is_plain(self) -> str:
        return "TRUE"

    def _is_large(self, file: RawFile) -> bool:
        return file.landed.size_bytes >= self._large_bytes

    def _large(self, file: RawFile) -> Candidate | None:
        scan = scan_file(file.path, self._form.delimiter, self._form.quote)
        return self._judge(file, scan, is_merged=False)

    def _small(self, file: RawFile) -> Candidate | None:
        content = file.path.read_bytes()
        scan = scan_bytes([content], self._form.delimiter, self._form.quote)
        candidate = self._judge(file, scan, is_merged=True)
        if candidate is not None:
            self._merged.add(candidate.layout, file.load_id, content.partition(b"\n")[2])
        return candidate

    def _judge(self, file: RawFile, scan: FileScan, *, is_merged: bool) -> Candidate | None:
        if not scan.is_regular or scan.lines < 2:
            return None
        header = self._header(scan.header)
        if header is None:
            return None
        layout = Layout(header.columns, scan.ends_with_crlf, is_merged)
        return Candidate(file, layout, scan.lines - 1, scan, header)

    def _header(self, line: bytes) -> Header | None:
        if line not in self._headers:
            header = read_header(line.decode("utf-8"), self._work.contract, self._form)
            # Columns that no contract knows are kept as JSON, which only the exact way writes.
            is_known = isinstance(header, Header) and not header.extra
            self._headers[line] = header if is_known else None
        return self._headers[line]


class _JsonFiles:
    def __init__(self, work: Workspace, large_bytes: int) -> None:
        self._work = work
        self._large_bytes = large_bytes
        self._merged = MergedFiles(work.scratch, _SEPARATOR.encode())
        self._layout = Layout((LINE,), ends_with_crlf=False, is_merged=True)

    def candidates(self, files: Sequence[RawFile]) -> list[Candidate | None]:
        found = [self._candidate(file) for file in files]
        self._merged.flush()
        return found

    def relation(self, candidates: Sequence[Candidate]) -> str:
        rows = _read_csv(self._work.scratch, candidates, self._merged, [LINE], _SEPARATOR, "")
        return json_columns(self._work.contract, rows)

    def carried(self, layout: Layout) -> tuple[str, ...]:
        return (LINE, IS_PLAIN)

    def line(self, layout: Layout) -> str:
        return LINE

    @property
    def delimiter(self) -> bytes:
        return b","

    def is_plain(self) -> str:
        return IS_PLAIN

    def _candidate(self, file: RawFile) -> Candidate | None:
        content = _unpacked(file.path.read_bytes(), self._large_bytes)
        if content is None:
            return None
        head, _, lines = content.partition(b"\n")
        if not lines or not is_page_head(head) or not _is_regular_json(lines):
            return None
        self._merged.add(self._layout, file.load_id, lines)
        return Candidate(file, self._layout, lines.count(b"\n") + (not lines.endswith(b"\n")))


def _unpacked(content: bytes, most_bytes: int) -> bytes | None:
    """The content of a whole gzip file, or None if it is none or larger than so many bytes."""
    unpacking = zlib.decompressobj(wbits=31)
    try:
        plain = unpacking.decompress(content, most_bytes)
    except zlib.error:
        return None
    is_whole = unpacking.eof and not unpacking.unconsumed_tail and not unpacking.unused_data
    return plain if is_whole else None


def _is_regular_json(lines: bytes) -> bool:
    if b"\r" in lines or b"\0" in lines or _SEPARATOR.encode() in lines:
        return False
    if lines.isascii():
        return True
    try:
        lines.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _read_csv(
    scratch: Path,
    candidates: Sequence[Candidate],
    merged: MergedFiles,
    columns: Sequence[str],
    delimiter: str,
    quote: str,
) -> str:
    """A SELECT of ``load_id`` and the columns as text over files of one layout."""
    layout = candidates[0].layout
    kinds = dict.fromkeys(columns, "VARCHAR")
    if layout.is_merged:
        kinds = {LOAD_ID: "BIGINT"} | kinds
        paths, rest = literal(str(merged.path(layout))), "header = false"
        selected = "*"
    else:
        folder = scratch / "links"
        folder.mkdir(exist_ok=True)
        # A vendor's file name may hold glob characters, and the name is how a row knows its load.
        paths = ", ".join(_links(folder, candidates))
        rest = "header = true, filename = true"
        prefix = len(str(folder)) + 2
        selected = f"* EXCLUDE filename, CAST(substr(filename, {prefix}) AS BIGINT) AS {LOAD_ID}"
    types = ", ".join(f"{literal(name)}: {literal(kind)}" for name, kind in kinds.items())
    line_end = r"\r\n" if layout.ends_with_crlf else r"\n"
    return (
        f"SELECT {selected} FROM read_csv([{paths}], columns = {{{types}}}, auto_detect = false, "
        f"delim = {literal(delimiter)}, quote = {literal(quote)}, escape = {literal(quote)}, "
        f"new_line = {literal(line_end)}, {rest}, "
        # Bad lines are left out without a word; the count of lines is what finds them.
        "nullstr = '', compression = 'none', strict_mode = true, ignore_errors = true)"
    )


def _links(folder: Path, candidates: Sequence[Candidate]) -> Iterator[str]:
    for candidate in candidates:
        link = folder / str(candidate.file.load_id)
        if not link.is_symlink():
            link.symlink_to(candidate.file.path.resolve())
        yield literal(str(link))
