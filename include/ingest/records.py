"""Reads a raw file record by record, exactly: nothing is merged, dropped or guessed.

A record is a physical line, unless the contract lets quoted fields span lines. Whatever cannot be
read is a rejected record with its reason, or, where nothing of the file can be trusted, a
`FileRejected`. Slow beside DuckDB's reader, and the authority where that one has doubts.
"""

from __future__ import annotations

import csv
import json
import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from include.contracts import CsvFormat, JsonFormat, JsonShape, SourceContract
from include.ingest.plain import open_plain
from include.ingest.reasons import FileRejected, Reason, ReasonCode
from include.ingest.scan import chunks_of, whole_lines
from include.privacy.text import mask_json

# What one record may be long; longer ones are rejected without being held in memory.
LONGEST_RECORD = 16 << 20
# What the json module writes as it was read.
_PLAIN = (str, int, bool, type(None))
# Deeper JSON is rejected, long before Python's own limit.
_DEEPEST_JSON = 64

# DuckDB slows down with the square of the columns, and no vendor has a thousand.
_MOST_COLUMNS = 2_000
# So many lines at the end may match a footer's pattern.
_LONGEST_FOOTER = 1_000

# The csv module's own limit on a field is lower than that of a record.
csv.field_size_limit(LONGEST_RECORD)


@dataclass(frozen=True, slots=True)
class Record:
    """One record. ``number`` is its (first) line in the file, from 1.

    ``texts`` has one entry for each of the contract's mapped columns, None where the file has an
    empty value or not that column. ``extra`` and ``shown``, the columns that quarantine may show,
    are masked.
    """

    number: int
    texts: tuple[str | None, ...]
    extra: str | None
    shown: Callable[[], str]


@dataclass(frozen=True, slots=True)
class RejectedRecord:
    """A record whose structure cannot be read."""

    number: int
    reason: Reason


@dataclass(frozen=True, slots=True)
class Header:
    """A delimited file's columns and where the contract's mapped columns stand among them.

    ``columns`` are called as in the contract, ``written`` as in the file.
    """

    columns: tuple[str, ...]
    written: tuple[str, ...]
    positions: tuple[int | None, ...]
    extra: tuple[int, ...]
    shown: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class LineChoice:
    """The lines of a regular file without quotes that are to be read exactly, the others being
    known (see `scan`).

    They are those among ``texts``, in which a carriage return before the line end is kept, and,
    where ``delimiters`` is given, those that have another number of delimiters.
    """

    texts: frozenset[bytes]
    delimiter: bytes
    delimiters: int | None


def read_records(
    path: Path,
    contract: SourceContract,
    choice: LineChoice | None = None,
    on_header: Callable[[tuple[str, ...]], None] | None = None,
) -> Iterator[Record | RejectedRecord]:
    """Every record of a raw file in its order, blank lines left out.

    ``on_header`` is told the columns as the file writes them, also where they are refused. Memory
    does not depend on the file's size. Raises FileRejected, also after records have been given,
    and OSError.
    """
    with open_plain(path, contract.format) as stream:
        if isinstance(contract.format, JsonFormat):
            yield from _read_json(stream, contract, contract.format.shape)
        else:
            reader = _Delimited(contract, contract.format, on_header)
            yield from reader.records(stream, choice)


def read_header(text: str, contract: SourceContract, form: CsvFormat) -> Header | Reason:
    """The columns of a header line, or why the file cannot be read with them."""
    written = written_columns(text, form)
    return written if isinstance(written, Reason) else header_of(written, contract)


def written_columns(text: str, form: CsvFormat) -> tuple[str, ...] | Reason:
    """The columns of a header line as it writes them."""
    fields = split_line(text, form)
    if fields is None:
        return _bad_header("is no delimited line")
    if len(fields) > _MOST_COLUMNS:
        return _bad_header(f"has {len(fields)} columns, and {_MOST_COLUMNS} are read at most")
    written = tuple(field.strip() for field in fields)
    return written if all(written) else _bad_header("has a column without a name")


def header_of(written: tuple[str, ...], contract: SourceContract) -> Header | Reason:
    """The columns of a file that are written so, or why it cannot be read with them."""
    columns = contract.declared_names(written)
    if len(set(columns)) < len(columns):
        return _bad_header("names a column twice")
    if missing := contract.missing_columns(frozenset(columns)):
        return _bad_header(f"lacks {', '.join(missing)}")
    where = {name: position for position, name in enumerate(columns)}
    extra = contract.unknown_columns(columns)
    return Header(
        columns=columns,
        written=written,
        positions=tuple(where.get(name) for name in contract.mapped_columns),
        extra=tuple(where[name] for name in extra),
        shown=tuple(p for name, p in where.items() if name not in contract.hidden_columns),
    )


def fixed_header(contract: SourceContract) -> Header | Reason:
    """The columns of a file without a header: those that the contract declares, in its order."""
    return header_of(contract.columns, contract)


def _bad_header(problem: str) -> Reason:
    return Reason(ReasonCode.MALFORMED_HEADER, None, f"the header {problem}")


def _malformed(problem: str) -> Reason:
    return Reason(ReasonCode.MALFORMED_ROW, None, f"the line {problem}")


@dataclass(frozen=True, slots=True)
class _Delimited:
    """Reads delimited files of one contract."""

    contract: SourceContract
    form: CsvFormat
    on_header: Callable[[tuple[str, ...]], None] | None

    def records(
        self, stream: BinaryIO, choice: LineChoice | None
    ) -> Iterator[Record | RejectedRecord]:
        form = self.form
        for _ in range(form.skipped_lines):
            if len(stream.readline(LONGEST_RECORD)) == LONGEST_RECORD:
                _skip_line(stream)
        first = form.skipped_lines + form.has_header + 1
        header = self._header(stream)
        if isinstance(header, Reason):
            rows = sum(1 for _ in without_footer(_physical_lines(stream, first), form))
            raise FileRejected(header, rows)
        lines: Iterator[tuple[int, bytes | None]] = _physical_lines(stream, first)
        if choice is not None:
            lines = _chosen_lines(stream, choice, first)
        lines = without_footer(lines, form)
        if form.is_multiline:
            lines = _joined_lines(lines, form)
        for number, line in lines:
            yield _read_line(number, line, header, form)

    def _header(self, stream: BinaryIO) -> Header | Reason:
        if not self.form.has_header:
            return fixed_header(self.contract)
        text = _header_text(stream, self.form)
        if isinstance(text, Reason):
            return text
        written = written_columns(text, self.form)
        if isinstance(written, Reason):
            return written
        if self.on_header is not None:
            self.on_header(written)
        return header_of(written, self.contract)


def without_footer(
    lines: Iterable[tuple[int, bytes | None]], form: CsvFormat
) -> Iterator[tuple[int, bytes | None]]:
    """The lines without those at the end that the contract says are no rows.

    A line that looks like a footer and has a row behind it is a row.
    """
    if not form.has_footer:
        yield from lines
        return
    held: deque[tuple[int, bytes | None]] = deque()
    for number, line in lines:
        held.append((number, line))
        is_footer = form.footer_pattern is None or _is_footer(line, form.footer_pattern)
        most = form.footer_lines if form.footer_pattern is None else _LONGEST_FOOTER
        while held and (not is_footer or len(held) > most):
            yield held.popleft()


def _is_footer(line: bytes | None, pattern: re.Pattern[str]) -> bool:
    return line is not None and pattern.search(line.decode("utf-8", "replace")) is not None


def _header_text(stream: BinaryIO, form: CsvFormat) -> str | Reason:
    line = stream.readline(LONGEST_RECORD)
    if len(line) == LONGEST_RECORD:
        _skip_line(stream)
        return _bad_header("is too long")
    try:
        text = without_line_end(line).decode("utf-8")
    except UnicodeDecodeError:
        return _bad_header(f"is not in {' or '.join(form.encodings)}")
    return text if text.strip() else _bad_header("is missing")


def _physical_lines(stream: BinaryIO, first: int) -> Iterator[tuple[int, bytes | None]]:
    """Line numbers and lines without their ends; None for one that is too long to be a record."""
    number = first
    while line := stream.readline(LONGEST_RECORD):
        if len(line) == LONGEST_RECORD and not line.endswith(b"\n"):
            _skip_line(stream)
            yield number, None
        elif content := without_line_end(line):
            yield number, content
        number += 1


def _chosen_lines(stream: BinaryIO, choice: LineChoice, first: int) -> Iterator[tuple[int, bytes]]:
    for block in whole_lines(chunks_of(stream)):
        lines = block.removesuffix(b"\n").split(b"\n")
        # One comprehension over a block of lines is several times faster than a loop over them.
        chosen = [n for n, line in enumerate(lines) if line in choice.texts]
        if choice.delimiters is not None:
            wrong = (n for n, line in enumerate(lines) if _is_uneven(line, choice))
            chosen = sorted({*chosen, *wrong})
        for n in chosen:
            if line := without_line_end(lines[n]):
                yield first + n, line
        first += len(lines)


def _is_uneven(line: bytes, choice: LineChoice) -> bool:
    return line.count(choice.delimiter) != choice.delimiters


def _skip_line(stream: BinaryIO) -> None:
    while (piece := stream.readline(LONGEST_RECORD)) and not piece.endswith(b"\n"):
        pass


def _joined_lines(
    lines: Iterator[tuple[int, bytes | None]], form: CsvFormat
) -> Iterator[tuple[int, bytes | None]]:
    """Records that may span lines: lines are joined while a quote is open."""
    for number, line in lines:
        record = line
        while record is not None and _has_open_quote(record, form):
            _, following = next(lines, (0, None))
            too_long = following is not None and len(record) + len(following) > LONGEST_RECORD
            record = None if following is None or too_long else record + b"\n" + following
        yield number, record


def _has_open_quote(record: bytes, form: CsvFormat) -> bool:
    if form.escape is not None:
        record = re.sub(re.escape(form.escape.encode()) + b".", b"", record, flags=re.DOTALL)
    return record.count(form.quote.encode()) % 2 == 1


def _read_line(
    number: int, line: bytes | None, header: Header, form: CsvFormat
) -> Record | RejectedRecord:
    if line is None:
        return RejectedRecord(number, _malformed("is too long or its quote is never closed"))
    try:
        text = line.decode("utf-8")
    except UnicodeDecodeError:
        names = " or ".join(form.encodings)
        reason = Reason(ReasonCode.INVALID_ENCODING, None, f"the line is not in {names}")
        return RejectedRecord(number, reason)
    if "\0" in text:
        return RejectedRecord(number, _malformed("holds a NUL character"))
    fields = split_line(text, form)
    if fields is None:
        return RejectedRecord(number, _malformed("has a quote or a line end where none may be"))
    if len(fields) != len(header.columns):
        problem = f"has {len(fields)} fields where the header has {len(header.columns)}"
        return RejectedRecord(number, _malformed(problem))
    return Record(
        number,
        tuple(None if p is None else fields[p] or None for p in header.positions),
        _to_json(header, fields, header.extra, keep_empty=False),
        lambda: _to_json(header, fields, header.shown, keep_empty=True) or "{}",
    )


def split_line(text: str, form: CsvFormat) -> list[str] | None:
    """The fields of one record, or None if its quotes or line ends are wrong."""
    if form.quote not in text and (form.escape is None or form.escape not in text):
        return None if "\r" in text else text.split(form.delimiter)
    *whole, last = text.split("\n")
    reader = csv.reader(
        [*(f"{line}\n" for line in whole), last],
        delimiter=form.delimiter,
        quotechar=form.quote,
        escapechar=form.escape,
        doublequote=form.escape is None,
        strict=True,
    )
    try:
        rows = list(reader)
    except csv.Error:
        return None
    return rows[0] if len(rows) == 1 else None


def _to_json(
    header: Header, fields: list[str], positions: tuple[int, ...], *, keep_empty: bool
) -> str | None:
    content = {
        header.columns[position]: fields[position] or None
        for position in positions
        if keep_empty or fields[position]
    }
    return json.dumps(mask_json(content), ensure_ascii=False) if content else None


def without_line_end(line: bytes) -> bytes:
    return line.removesuffix(b"\n").removesuffix(b"\r")


class _WrittenNumber(str):
    """A JSON number with a fraction as it was written: 1.10 stays 1.10, never becoming binary."""

    __slots__ = ()


def _read_json(
    stream: BinaryIO, contract: SourceContract, shape: JsonShape
) -> Iterator[Record | RejectedRecord]:
    rows, first = 0, 1
    is_readable = True
    if shape is JsonShape.PAGE:
        is_readable, first = is_page_head(stream.readline(LONGEST_RECORD)), 2
    for number, line in _physical_lines(stream, first):
        rows += 1
        if is_readable:
            yield _read_item(number, line, contract)
    if not is_readable:
        raise FileRejected(_bad_page("the page has no first line that describes it"), rows)


def is_page_head(line: bytes) -> bool:
    """Whether a page's first line describes it."""
    head = _parse_object(line.decode("utf-8", "replace"))
    return head is not None and "_page" in head


def _read_item(
    number: int, line: bytes | None, contract: SourceContract
) -> Record | RejectedRecord:
    try:
        item = None if line is None else _parse_object(line.decode("utf-8"))
    except UnicodeDecodeError:
        reason = Reason(ReasonCode.INVALID_ENCODING, None, "the line is not in utf-8")
        return RejectedRecord(number, reason)
    if item is None or line is None:
        return RejectedRecord(number, _malformed("is no JSON object"))
    if set(item) == {"_malformed"} and contract.api is not None:
        raise FileRejected(_bad_page("the API's answer was not the JSON it promises"), number - 1)
    if b"\\u" in line and not _is_storable(item):
        return RejectedRecord(number, _malformed("holds a NUL or half a character"))
    extra = {name: item[name] for name in contract.unknown_columns(item)}
    return Record(
        number,
        tuple(_item_text(item.get(name)) for name in contract.mapped_columns),
        _canonical_json(mask_json(extra)) if extra else None,
        lambda: _canonical_json(
            mask_json({n: v for n, v in item.items() if n not in contract.hidden_columns})
        ),
    )


def _is_storable(item: dict[str, Any]) -> bool:
    """Whether all text is whole characters: JSON can escape NUL and halves of a surrogate pair."""
    text = _canonical_json(item)
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return "\\u0000" not in text


def _bad_page(problem: str) -> Reason:
    return Reason(ReasonCode.MALFORMED_PAGE, None, problem)


def _parse_object(text: str) -> dict[str, Any] | None:
    """A JSON object with its numbers as written, or None if the text is none."""
    try:
        value = json.loads(
            text,
            parse_float=_WrittenNumber,
            parse_constant=_refuse_constant,
            object_pairs_hook=_unique_names,
        )
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) and _depth(value) <= _DEEPEST_JSON else None


def _depth(value: Any) -> int:
    """How deep objects and arrays are nested; counted without recursion."""
    depth, level = 0, [value]
    while level and depth <= _DEEPEST_JSON:
        nested = [part for part in level if isinstance(part, dict | list)]
        level = [
            child
            for part in nested
            for child in (part.values() if isinstance(part, dict) else part)
        ]
        depth += bool(nested)
    return depth


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _unique_names(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) < len(pairs):
        raise ValueError("a name occurs twice")
    return content


def _item_text(value: Any) -> str | None:
    """A value as text: what is written, without quotes; objects and arrays as canonical JSON."""
    if value is None or value == "":
        return None
    if isinstance(value, str):
        return str(value)
    return str(value) if type(value) is int else _canonical_json(value)


def _canonical_json(value: Any) -> str:
    """JSON with sorted names and without blanks, numbers as they were written."""
    if isinstance(value, _WrittenNumber):
        return str(value)
    if isinstance(value, dict) and not all(type(part) in _PLAIN for part in value.values()):
        items = (
            f"{_canonical_json(name)}:{_canonical_json(value[name])}" for name in sorted(value)
        )
        return "{" + ",".join(items) + "}"
    if isinstance(value, list):
        return "[" + ",".join(_canonical_json(part) for part in value) + "]"
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
