"""Which files of a batch DuckDB may read, and how it reads them as columns of text.

A file is a candidate if its bytes give no reason for doubt; what is counted in them proves
afterwards that no line was lost. Candidates of one layout are read in one statement: small ones
merged into one file, large ones by their own names.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from include.contracts import CsvFormat, JsonFormat, JsonShape
from include.ingest.expressions import EXTRA, LOAD_ID, literal, source_column
from include.ingest.json_lines import IS_PLAIN, LINE, json_columns
from include.ingest.merged import MergedFiles
from include.ingest.plain import is_plain, open_plain, read_plain
from include.ingest.reasons import FileRejected, Reason
from include.ingest.records import (
    Header,
    fixed_header,
    is_page_head,
    read_header,
    without_footer,
    without_line_end,
)
from include.ingest.scan import FileScan, chunks_of, scan_bytes, scan_file, whole_lines
from include.ingest.workspace import RawFile, Workspace
from include.privacy.finder import mask_text
from include.privacy.text import unknown_sql

# JSON has no control characters outside escapes, so this one is in no line.
_SEPARATOR = "\x1f"


# What stands in its place for formats without one.
NO_HEADER = Header((), (), (), (), ())


@dataclass(frozen=True, slots=True)
class Layout:
    """What files must share to be read in one statement. ``columns`` are the header's."""

    columns: tuple[str, ...]
    ends_with_crlf: bool
    is_merged: bool


@dataclass(frozen=True, slots=True)
class Candidate:
    """A file that may be read fast: the path of its plain text, its rows and, of a delimited one,
    its header and scan."""

    file: RawFile
    path: Path
    layout: Layout
    rows: int
    header: Header = NO_HEADER
    scan: FileScan | None = None

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

    def is_plain(self, candidate: Candidate) -> str:
        """A condition, never null, on rows that DuckDB is trusted to understand."""


def fast_files(work: Workspace, large_bytes: int) -> FastFiles | None:
    """How the contract's files are read fast, or None if they cannot be.

    Files of fewer than ``large_bytes`` are merged.
    """
    form = work.contract.format
    if isinstance(form, JsonFormat):
        return _JsonFiles(work, form, large_bytes)
    return _DelimitedFiles(work, form, large_bytes) if form.escape is None else None


class _DelimitedFiles:
    def __init__(self, work: Workspace, form: CsvFormat, large_bytes: int) -> None:
        self._work = work
        self._form = form
        self._large_bytes = large_bytes
        self._merged = MergedFiles(work.scratch, form.delimiter.encode())
        self._headers: dict[bytes, Header | Reason] = {}

    def candidates(self, files: Sequence[RawFile]) -> list[Candidate | None]:
        large = [file for file in files if self._is_large(file)]
        # Most of making a large file plain and of its scan runs without the interpreter's lock.
        threads = max(1, self._work.threads // max(1, len(large)))
        with ThreadPoolExecutor(self._work.threads) as pool:
            judged = {file.load_id: pool.submit(self._large, file, threads) for file in large}
            found = [
                judged[file.load_id].result() if file.load_id in judged else self._small(file)
                for file in files
            ]
        self._merged.flush()
        return found

    def relation(self, candidates: Sequence[Candidate]) -> str:
        layout, header = candidates[0].layout, candidates[0].header
        sources = ", ".join(
            f"{'CAST(NULL AS VARCHAR)' if position is None else f'c{position}'} "
            f"AS {source_column(index)}"
            for index, position in enumerate(header.positions)
        )
        rows = _read_csv(self._work.scratch, candidates, self._merged, self._reading(layout))
        extra = _extra_json(header)
        return f"(SELECT *, {sources}, {extra} AS {EXTRA} FROM ({rows}))"

    def _reading(self, layout: Layout) -> _Reading:
        form = self._form
        return _Reading(self.carried(layout), form.delimiter, form.quote, form.has_header)

    def carried(self, layout: Layout) -> tuple[str, ...]:
        return tuple(f"c{n}" for n in range(len(layout.columns)))

    def line(self, layout: Layout) -> str:
        # Without quotes a line is its values joined by the delimiter.
        values = ", ".join(f"coalesce({column}, '')" for column in self.carried(layout))
        return f"concat_ws({literal(self._form.delimiter)}, {values})"

    @property
    def delimiter(self) -> bytes:
        return self._form.delimiter.encode()

    def is_plain(self, candidate: Candidate) -> str:
        return "TRUE"

    def _is_large(self, file: RawFile) -> bool:
        return file.landed.size_bytes >= self._large_bytes

    def _large(self, file: RawFile, threads: int = 1) -> Candidate | None:
        path, form = file.path, self._form
        if form.skipped_lines or form.has_footer:
            return None
        if not is_plain(form):
            path = self._work.scratch / f"plain-{file.load_id}"
            try:
                _copy_plain(file.path, form, path)
            except FileRejected:
                return None
        scan = scan_file(path, form.delimiter, form.quote, threads)
        return self._judge(file, path, scan, is_merged=False)

    def _small(self, file: RawFile) -> Candidate | None:
        form = self._form
        try:
            content = read_plain(file.path, form, self._large_bytes)
        except FileRejected:
            return None
        if content is None:
            return self._large(file)
        if b"\n\n" in content or b"\n\r\n" in content:
            # Behind a load_id a blank line would be a row of one empty value.
            return None
        content = _without_surroundings(content, form)
        scan = scan_bytes([content], form.delimiter, form.quote)
        candidate = self._judge(file, file.path, scan, is_merged=True)
        if candidate is not None:
            rows = content.partition(b"\n")[2] if form.has_header else content
            self._merged.add(candidate.layout, file.load_id, rows)
        return candidate

    def _judge(
        self, file: RawFile, path: Path, scan: FileScan, *, is_merged: bool
    ) -> Candidate | None:
        rows = scan.lines - self._form.has_header
        if not scan.is_regular or rows < 1:
            return None
        header = self._header(scan.header)
        if not isinstance(header, Header):
            return None
        layout = Layout(header.columns, scan.ends_with_crlf, is_merged)
        return Candidate(file, path, layout, rows, header, scan)

    def _header(self, line: bytes) -> Header | Reason:
        if not self._form.has_header:
            line = b""
        if line not in self._headers:
            contract = self._work.contract
            self._headers[line] = (
                read_header(line.decode("utf-8"), contract, self._form)
                if self._form.has_header
                else fixed_header(contract)
            )
        return self._headers[line]


def _without_surroundings(content: bytes, form: CsvFormat) -> bytes:
    """The header and the rows of a file without blank lines."""
    for _ in range(form.skipped_lines):
        content = content.partition(b"\n")[2]
    if not form.has_footer:
        return content
    lines = content.split(b"\n")
    first = int(form.has_header)
    numbered = ((n, line) for n, line in enumerate(lines[first:]) if without_line_end(line))
    rows = sum(1 for _ in without_footer(numbered, form))
    return b"".join(b"%s\n" % line for line in lines[: first + rows])


def _copy_plain(path: Path, form: CsvFormat, target: Path) -> None:
    with open_plain(path, form) as stream, target.open("wb") as copy:
        shutil.copyfileobj(stream, copy, 1 << 20)


def _extra_json(header: Header) -> str:
    """The JSON that `records` makes of the columns that no contract knows, masked."""
    members = ", ".join(
        f"{literal(f'{_json_name(header.columns[n])}: ')} || to_json({unknown_sql(f'c{n}')})"
        for n in header.extra
    )
    if not members:
        return "CAST(NULL AS VARCHAR)"
    return f"'{{' || nullif(concat_ws(', ', {members}), '') || '}}'"


def _json_name(column: str) -> str:
    return json.dumps(mask_text(column), ensure_ascii=False)


class _JsonFiles:
    def __init__(self, work: Workspace, form: JsonFormat, large_bytes: int) -> None:
        self._work = work
        self._form = form
        self._large_bytes = large_bytes
        self._merged = MergedFiles(work.scratch, _SEPARATOR.encode())
        self._layout = Layout((LINE,), ends_with_crlf=False, is_merged=True)

    def candidates(self, files: Sequence[RawFile]) -> list[Candidate | None]:
        found = [self._candidate(file) for file in files]
        self._merged.flush()
        return found

    def relation(self, candidates: Sequence[Candidate]) -> str:
        reading = _Reading((LINE,), _SEPARATOR, "", has_header=False)
        rows = _read_csv(self._work.scratch, candidates, self._merged, reading)
        return json_columns(self._work.contract, rows)

    def carried(self, layout: Layout) -> tuple[str, ...]:
        return (LINE, IS_PLAIN)

    def line(self, layout: Layout) -> str:
        return LINE

    @property
    def delimiter(self) -> bytes:
        return b","

    def is_plain(self, candidate: Candidate) -> str:
        return IS_PLAIN

    def _candidate(self, file: RawFile) -> Candidate | None:
        try:
            lines = read_plain(file.path, self._form, self._large_bytes)
        except FileRejected:
            return None
        if lines is None:
            return self._large(file)
        if self._form.shape is JsonShape.PAGE:
            head, _, lines = lines.partition(b"\n")
            if not is_page_head(head):
                return None
        if not lines or not _is_regular_json(lines):
            return None
        self._merged.add(self._layout, file.load_id, lines)
        rows = lines.count(b"\n") + (not lines.endswith(b"\n"))
        return Candidate(file, file.path, self._layout, rows)

    def _large(self, file: RawFile) -> Candidate | None:
        """Lines go to the merged file too, piece by piece; a page or document is never so large."""
        if self._form.shape is JsonShape.PAGE:
            return None
        rows = 0
        try:
            with open_plain(file.path, self._form) as stream:
                for block in whole_lines(chunks_of(stream)):
                    if not _is_regular_json(block):
                        return None
                    rows += block.count(b"\n") + (not block.endswith(b"\n"))
        except FileRejected:
            return None
        if rows == 0:
            return None
        with open_plain(file.path, self._form) as stream:
            for block in whole_lines(chunks_of(stream)):
                self._merged.add(self._layout, file.load_id, block)
        return Candidate(file, file.path, self._layout, rows)


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


@dataclass(frozen=True, slots=True)
class _Reading:
    """How DuckDB is to read the text of one layout."""

    columns: tuple[str, ...]
    delimiter: str
    quote: str
    has_header: bool


def _read_csv(
    scratch: Path, candidates: Sequence[Candidate], merged: MergedFiles, reading: _Reading
) -> str:
    """A SELECT of ``load_id`` and the columns as text over files of one layout."""
    layout = candidates[0].layout
    kinds = dict.fromkeys(reading.columns, "VARCHAR")
    if layout.is_merged:
        kinds = {LOAD_ID: "BIGINT"} | kinds
        paths, rest = literal(str(merged.path(layout))), "header = false"
        selected = "*"
    else:
        folder = scratch / "links"
        folder.mkdir(exist_ok=True)
        # A vendor's file name may hold glob characters, and the name is how a row knows its load.
        paths = ", ".join(_links(folder, candidates))
        rest = f"header = {reading.has_header}, filename = true"
        prefix = len(str(folder)) + 2
        selected = f"* EXCLUDE filename, CAST(substr(filename, {prefix}) AS BIGINT) AS {LOAD_ID}"
    types = ", ".join(f"{literal(name)}: {literal(kind)}" for name, kind in kinds.items())
    line_end = r"\r\n" if layout.ends_with_crlf else r"\n"
    return (
        f"SELECT {selected} FROM read_csv([{paths}], columns = {{{types}}}, auto_detect = false, "
        f"delim = {literal(reading.delimiter)}, quote = {literal(reading.quote)}, "
        f"escape = {literal(reading.quote)}, new_line = {literal(line_end)}, {rest}, "
        # Bad lines are left out without a word; the count of lines is what finds them.
        "nullstr = '', compression = 'none', strict_mode = true, ignore_errors = true)"
    )


def _links(folder: Path, candidates: Sequence[Candidate]) -> Iterator[str]:
    for candidate in candidates:
        link = folder / str(candidate.file.load_id)
        if not link.is_symlink():
            link.symlink_to(candidate.path.resolve())
        yield literal(str(link))
