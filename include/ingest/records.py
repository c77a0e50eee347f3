"""Reads a raw file record by record, exactly: nothing is merged, dropped or guessed.

A record is a physical line, unless the contract lets quoted fields span lines. Whatever cannot be
read is a rejected record with its reason, or, where nothing of the file can be trusted, a
`FileRejected`. Slow beside DuckDB's reader, and the authority where that one has doubts.
"""

from __future__ import annotations

import csv
import gzip
import json
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from include.contracts import CsvFormat, JsonLinesFormat, SourceContract
from include.ingest.expressions import Reason, ReasonCode
from include.ingest.scan import chunks_of, whole_lines

# What one record may be long; longer ones are rejected without being held in memory.
LONGEST_RECORD = 16 << 20
_UTF8_BOM = "\ufeff"
# What the json module writes as it was read.
_PLAIN = (str, int, bool, type(None))
# Deeper JSON is rejected, long before Python's own limit.
_DEEPEST_JSON = 64

# The csv module's own limit on a field is lower than that of a record.
csv.field_size_limit(LONGEST_RECORD)


class FileRejected(Exception):
    """Nothing of the file can be read as rows. ``rows`` are the rows it may have held."""

    def __init__(self, reason: Reason, rows: int) -> None:
        super().__init__(reason.message)
        self.reason = reason
        self.rows = rows


@dataclass(frozen=True, slots=True)
class Record:
    """One record. ``number`` is its (first) line in the file, from 1.

    ``texts`` has one entry for each of the contract's mapped columns, None where the file has an
    empty value or not that column. ``shown`` are all columns that may be shown in quarantine.
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
    """A delimited file's columns and where the contract's mapped columns stand among them."""

    columns: tuple[str, ...]
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
    path: Path, contract: SourceContract, choice: LineChoice | None = None
) -> Iterator[Record | RejectedRecord]:
    """Every record of a raw file in its order, blank lines left out.

    Memory does not depend on the file's size. Raises FileRejected, also after records have been
    given, and OSError.
    """
    if isinstance(contract.format, JsonLinesFormat):
        return _read_page(path, contract)
    return _read_delimited(path, contract, contract.format, choice)


def read_header(text: str, contract: SourceContract, form: CsvFormat) -> Header | Reason:
    """The columns of a header line, or why the file cannot be read with them."""
    fields = _split(text, form)
    if fields is None:
        return _bad_header("is no delimited line")
    columns = tuple(field.strip() for field in fields)
    if not all(columns):
        return _bad_header("has a column without a name")
    if len(set(columns)) < len(columns):
        return _bad_header("names a column twice")
    if missing := contract.missing_columns(frozenset(columns)):
        return _bad_header(f"lacks {', '.join(missing)}")
    where = {name: position for position, name in enumerate(columns)}
    return Header(
        columns=columns,
        positions=tuple(where.get(name) for name in contract.mapped_columns),
        extra=tuple(p for name, p in where.items() if name not in contract.known_columns),
        shown=tuple(p for name, p in where.items() if name not in contract.personal_columns),
    )


def _bad_header(problem: str) -> Reason:
    return Reason(ReasonCode.MALFORMED_HEADER, None, f"the header {problem}")


def _malformed(problem: str) -> Reason:
    return Reason(ReasonCode.MALFORMED_ROW, None, f"the line {problem}")


def _read_delimited(
    path: Path, contract: SourceContract, form: CsvFormat, choice: LineChoice | None
) -> Iterator[Record | RejectedRecord]:
    with path.open("rb") as stream:
        first = stream.readline(LONGEST_RECORD)
        header = _parse_header(first, contract, form)
        if isinstance(header, Reason):
            raise FileRejected(header, sum(1 for _ in _physical_lines(stream, 2)))
        lines: Iterator[tuple[int, bytes | None]] = (
            _physical_lines(stream, 2) if choice is None else _chosen_lines(stream, choice)
        )
        if form.is_multiline:
            lines = _joined_lines(lines, form)
        for number, line in lines:
            yield _read_line(number, line, header, form)


def _parse_header(line: bytes, contract: SourceContract, form: CsvFormat) -> Header | Reason:
    try:
        text = _without_line_end(line).decode(form.encoding).removeprefix(_UTF8_BOM)
    except UnicodeDecodeError:
        return _bad_header(f"is not in {form.encoding}")
    if not text.strip():
        return _bad_header("is missing")
    return read_header(text, contract, form)


def _physical_lines(stream: BinaryIO, first: int) -> Iterator[tuple[int, bytes | None]]:
    """Line numbers and lines without their ends; None for one that is too long to be a record."""
    number = first
    while line := stream.readline(LONGEST_RECORD):
        if len(line) == LONGEST_RECORD and not line.endswith(b"\n"):
            _skip_line(stream)
            yield number, None
        elif content := _without_line_end(line):
            yield number, content
        number += 1


def _chosen_lines(stream: BinaryIO, choice: LineChoice) -> Iterator[tuple[int, bytes]]:
    first = 2
    for block in whole_lines(chunks_of(stream)):
        lines = block.removesuffix(b"\n").split(b"\n")
        # One comprehension over a block of lines is several times faster than a loop over them.
        chosen = [n for n, line in enumerate(lines) if line in choice.texts]
        if choice.delimiters is not None:
            wrong = (n for n, line in enumerate(lines) if _is_uneven(line, choice))
            chosen = sorted({*chosen, *wrong})
        for n in chosen:
            if line := _without_line_end(lines[n]):
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
    quote = form.quote.encode()
    for number, line in lines:
        record = line
        while record is not None and record.count(quote) % 2:
            _, following = next(lines, (0, None))
            too_long = following is not None and len(record) + len(following) > LONGEST_RECORD
            record = None if following is None or too_long else record + b"\n" + following
        yield number, record


def _read_line(
    number: int, line: bytes | None, header: Header, form: CsvFormat
) -> Record | RejectedRecord:
    if line is None:
        return RejectedRecord(number, _malformed("is too long or its quote is never closed"))
    try:
        text = line.decode(form.encoding)
    except UnicodeDecodeError:
        reason = Reason(ReasonCode.INVALID_ENCODING, None, f"the line is not in {form.encoding}")
        return RejectedRecord(number, reason)
    if "\0" in text:
        return RejectedRecord(number, _malformed("holds a NUL character"))
    fields = _split(text, form)
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


def _split(text: str, form: CsvFormat) -> list[str] | None:
    """The fields of one record, or None if its quotes or line ends are wrong."""
    if form.quote not in text:
        return None if "\r" in text else text.split(form.delimiter)
    *whole, last = text.split("\n")
    reader = csv.reader(
        [*(f"{line}\n" for line in whole), last],
        delimiter=form.delimiter,
        quotechar=form.quote,
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
    return json.dumps(content, ensure_ascii=False) if content else None


def _without_line_end(line: bytes) -> bytes:
    return line.removesuffix(b"\n").removesuffix(b"\r")


class _WrittenNumber(str):
    """A JSON number with a fraction as it was written: 1.10 stays 1.10, never becoming binary."""

    __slots__ = ()


def _read_page(path: Path, contract: SourceContract) -> Iterator[Record | RejectedRecord]:
    rows = 0
    try:
        with ExitStack() as stack:
            stream = stack.enter_context(gzip.open(path, "rb"))
            is_page = is_page_head(stream.readline(LONGEST_RECORD))
            for number, line in _physical_lines(stream, 2):
                rows += 1
                if not is_page:
                    continue
                yield _read_item(number, line, contract)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        reason = Reason(
            ReasonCode.UNREADABLE_COMPRESSION, None, "the file is no complete gzip file"
        )
        raise FileRejected(reason, rows) from error
    if not is_page:
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
    if set(item) == {"_malformed"}:
        raise FileRejected(_bad_page("the API's answer was not the JSON it promises"), number - 1)
    if b"\\u" in line and not _is_storable(item):
        return RejectedRecord(number, _malformed("holds a NUL or half a character"))
    extra = {name: v for name, v in item.items() if name not in contract.known_columns}
    return Record(
        number,
        tuple(_item_text(item.get(name)) for name in contract.mapped_columns),
        _canonical_json(extra) if extra else None,
        lambda: _canonical_json(
            {name: v for name, v in item.items() if name not in contract.personal_columns}
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
