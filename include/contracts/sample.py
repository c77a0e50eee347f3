"""The table in a sample file of unknown format: how it is packed, encoded and delimited."""

from __future__ import annotations

import csv
import gzip
import io
import json
import re
import unicodedata
import zipfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa

from include.contracts.model import FieldType
from include.contracts.profile import guess_type

_MOST_BYTES = 8 << 20
_MOST_ROWS = 5_000
_DELIMITERS = ",\t;|"
_ENCODINGS = ("utf-8", "cp932", "latin-1")
_TOTAL = re.compile(r"(grand )?total:?|sum:?|総?合計|総計|小計|計")
_BOMS = ((b"\xef\xbb\xbf", "utf-8"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))


class SampleError(ValueError):
    """No table can be found in a sample file; the message is one sentence with the remedy."""


@dataclass(frozen=True)
class Sample:
    """A sample's columns with their values as text, and the format it was read by.

    ``custom`` are the custom properties of a source contract that the format needs.
    """

    columns: dict[str, list[str]]
    format: str
    encoding: str
    custom: dict[str, Any] = field(default_factory=dict)

    @property
    def rows(self) -> int:
        return max((len(values) for values in self.columns.values()), default=0)

    @property
    def described(self) -> str:
        custom = ", ".join(f"{name} {value!r}" for name, value in self.custom.items())
        return f"{self.format} in {self.encoding}" + (f", {custom}" if custom else "")

    def is_unique(self, names: Sequence[str]) -> bool:
        """Whether no two rows have the same values in these columns."""
        keys = list(zip(*(self.columns[name] for name in names), strict=True))
        return len(set(keys)) == len(keys)


def read_sample(path: Path) -> Sample:
    """The table in the first megabytes of a file. Raises SampleError and OSError."""
    content, custom = _unpacked(path)
    if path.suffix.lower() == ".xlsx":
        return _excel(path)
    encoding, text = _decoded(content, is_cut=len(content) >= _MOST_BYTES)
    stripped = text.lstrip()
    if stripped.startswith(("{", "[")):
        return _json(stripped, custom)
    return _delimited(text, encoding, custom, is_cut=len(content) >= _MOST_BYTES)


def _unpacked(path: Path) -> tuple[bytes, dict[str, Any]]:
    with path.open("rb") as stream:
        head = stream.read(4)
    try:
        if head.startswith(b"\x1f\x8b"):
            with gzip.open(path) as packed:
                return packed.read(_MOST_BYTES), {"compression": "gzip"}
        if head == b"\x28\xb5\x2f\xfd":
            with pa.input_stream(str(path), compression="zstd") as packed:
                return packed.read(_MOST_BYTES), {"compression": "zstd"}
        if head == b"PK\x03\x04" and path.suffix.lower() != ".xlsx":
            with zipfile.ZipFile(path) as archive, archive.open(archive.namelist()[0]) as packed:
                return packed.read(_MOST_BYTES), {"compression": "zip"}
    except (OSError, EOFError, zipfile.BadZipFile, pa.ArrowException) as error:
        raise SampleError(f"{path.name} cannot be unpacked; give a complete file.") from error
    with path.open("rb") as stream:
        return stream.read(_MOST_BYTES), {}


def _decoded(content: bytes, *, is_cut: bool) -> tuple[str, str]:
    for mark, encoding in _BOMS:
        if content.startswith(mark):
            name = "utf-8-sig" if encoding == "utf-8" else encoding
            return encoding, content.decode(name, "replace")
    if is_cut:
        # The last line may be cut within a character.
        content = content[: content.rfind(b"\n") + 1]
    for encoding in _ENCODINGS:
        try:
            return encoding, content.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise SampleError("The file is in no encoding that is known.")


def _delimited(text: str, encoding: str, custom: dict[str, Any], *, is_cut: bool) -> Sample:
    lines = text.splitlines()
    if is_cut:
        lines = lines[:-1]
    delimiter, width = _layout(lines)
    rows = list(csv.reader(io.StringIO("\n".join(lines)), delimiter=delimiter))
    first = next(n for n, row in enumerate(rows) if len(row) == width)
    table = [row for row in rows[first:] if row]
    footer = 0
    while not is_cut and len(table) > 1 and (len(table[-1]) != width or _is_total(table[-1])):
        table.pop()
        footer += 1
    header = [name.strip() for name in table[0]]
    has_header = len(set(header)) == width and all(header) and _is_header(header, table[1:])
    names = header if has_header else [f"column_{n}" for n in range(1, width + 1)]
    body = [row for row in table[has_header:] if len(row) == width][:_MOST_ROWS]
    if delimiter != ",":
        custom = custom | {"delimiter": delimiter}
    if first:
        custom = custom | {"skippedLines": first}
    if footer:
        custom = custom | {"footerLines": footer}
    if not has_header:
        custom = custom | {"hasHeader": False}
    columns = {name: [row[n] for row in body] for n, name in enumerate(names)}
    return Sample(columns, "csv", encoding, custom)


def _is_total(row: Sequence[str]) -> bool:
    """Whether a last row sums up those before it."""
    label = unicodedata.normalize("NFKC", next((value for value in row if value), "")).casefold()
    return _TOTAL.fullmatch(label.strip()) is not None


def _layout(lines: Sequence[str]) -> tuple[str, int]:
    """The delimiter and the number of columns that most lines agree on."""
    best = (0, 0, ",")
    for delimiter in _DELIMITERS:
        widths = Counter(
            len(row) for row in csv.reader(lines[:500], delimiter=delimiter) if len(row) > 1
        )
        if widths:
            width, count = widths.most_common(1)[0]
            best = max(best, (count * width, width, delimiter))
    if best[1] < 2:
        raise SampleError(
            "No delimited table with two columns or more is in the file; say what the format is."
        )
    return best[2], best[1]


def _is_header(first: Sequence[str], rows: Sequence[Sequence[str]]) -> bool:
    """Whether the first line is of text where the rows hold something else, or just text."""
    kinds = [guess_type([value]) for value in first if value]
    if any(kind is not FieldType.TEXT for kind in kinds):
        return False
    return not rows or not any(row == list(first) for row in rows)


def _json(text: str, custom: dict[str, Any]) -> Sample:
    lines = [line for line in text.splitlines() if line.strip()]
    try:
        items = [json.loads(line) for line in lines[:_MOST_ROWS]]
        kind = "jsonl"
        if len(items) == 1 and not _is_flat(items[0]):
            raise ValueError("a document on one line")
    except ValueError:
        items, kind = _document_items(text, custom)
    names = list(dict.fromkeys(name for item in items for name in item))
    columns = {name: [_text(item.get(name)) for item in items] for name in names}
    return Sample(columns, kind, "utf-8", custom)


def _is_flat(item: Any) -> bool:
    return isinstance(item, dict) and not any(isinstance(value, list) for value in item.values())


def _document_items(text: str, custom: dict[str, Any]) -> tuple[list[dict[str, Any]], str]:
    try:
        document = json.loads(text)
    except ValueError as error:
        raise SampleError("The file looks like JSON and is none; give a complete one.") from error
    if isinstance(document, dict):
        arrays = {name: value for name, value in document.items() if isinstance(value, list)}
        if not arrays:
            raise SampleError("The JSON document holds no array of objects.")
        name = max(arrays, key=lambda key: len(arrays[key]))
        custom["items"], document = name, arrays[name]
    items = [item for item in document[:_MOST_ROWS] if isinstance(item, dict)]
    if not items:
        raise SampleError("The JSON document holds no array of objects.")
    return items, "json"


def _text(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _excel(path: Path) -> Sample:
    from openpyxl import load_workbook

    try:
        sheet = load_workbook(path, read_only=True, data_only=True).worksheets[0]
    except (zipfile.BadZipFile, KeyError, ValueError) as error:
        raise SampleError(f"{path.name} is no Excel file that can be read.") from error
    text = io.StringIO()
    writer = csv.writer(text)
    for row in sheet.iter_rows(values_only=True, max_row=_MOST_ROWS):
        writer.writerow(["" if value is None else str(value) for value in row])
    sample = _delimited(text.getvalue(), "utf-8", {"sheet": sheet.title}, is_cut=False)
    return Sample(sample.columns, "xlsx", "utf-8", sample.custom)
