"""Reads what a source contract says of the file itself: how it is packed, encoded and laid out."""

from __future__ import annotations

import codecs
import re
from collections.abc import Mapping
from typing import Any

from open_data_contract_standard.model import Server

from include.contracts.document import Document, one_of, read_pattern
from include.contracts.model import CsvFormat, JsonFormat, JsonShape, Packing

FORMAT_PROPERTIES = frozenset(
    {
        "delimiter",
        "quote",
        "escape",
        "isMultiline",
        "hasHeader",
        "skippedLines",
        "footerLines",
        "footerPattern",
        "compression",
        "encodings",
        "sheet",
        "items",
    }
)
_ONLY_DELIMITED = FORMAT_PROPERTIES - {"compression", "items"}
_JSON_SHAPES = {"json": JsonShape.DOCUMENT, "jsonl": JsonShape.LINES}
_DETECTED = ("utf-8", "cp932")


def read_format(
    document: Document, server: Server, custom: Mapping[str, Any]
) -> CsvFormat | JsonFormat:
    """The format of a source contract's files or pages. Raises ContractError."""
    if server.type == "api":
        return JsonFormat(JsonShape.PAGE, Packing.GZIP)
    if server.format in _JSON_SHAPES:
        return _read_json(document, _JSON_SHAPES[server.format], custom)
    if server.format not in ("csv", "xlsx"):
        raise document.error(
            "servers.format", f"is {server.format!r}; use csv, json, jsonl or xlsx"
        )
    pattern = read_pattern(document, custom.get("footerPattern"), "footerPattern")
    marks = [custom.get("delimiter") or ",", custom.get("quote") or '"']
    escape = custom.get("escape")
    for mark in (*marks, *([] if escape is None else [escape])):
        if not isinstance(mark, str) or len(mark) != 1 or not mark.isascii() or mark in "\r\n":
            raise document.error("delimiter, quote and escape", "must each be one ASCII character")
    if marks[0] == marks[1]:
        raise document.error("delimiter and quote", "must differ")
    is_excel = server.format == "xlsx"
    return CsvFormat(
        encodings=_read_encodings(document, server, custom),
        delimiter=marks[0],
        quote=marks[1],
        escape=None if escape == marks[1] else escape,
        # A cell may hold line ends.
        is_multiline=is_excel or bool(custom.get("isMultiline", False)),
        has_header=bool(custom.get("hasHeader", True)),
        skipped_lines=_count(document, custom, "skippedLines"),
        footer_lines=_count(document, custom, "footerLines"),
        footer_pattern=None if pattern is None else re.compile(pattern),
        packing=Packing.EXCEL if is_excel else _read_packing(document, custom),
        sheet=custom.get("sheet"),
    )


def _read_json(document: Document, shape: JsonShape, custom: Mapping[str, Any]) -> JsonFormat:
    for name in _ONLY_DELIMITED & custom.keys():
        raise document.error(name, "is for delimited files; remove it")
    return JsonFormat(shape, _read_packing(document, custom), custom.get("items"))


def _read_packing(document: Document, custom: Mapping[str, Any]) -> Packing:
    packing = one_of(document, Packing, custom.get("compression", "none"), "compression")
    if packing is Packing.EXCEL:
        raise document.error("compression", "is for gzip, zip and zstd; the format xlsx is Excel")
    return packing


def _read_encodings(
    document: Document, server: Server, custom: Mapping[str, Any]
) -> tuple[str, ...]:
    if server.encoding == "detected":
        return _DETECTED
    names = custom.get("encodings") or [server.encoding or "utf-8"]
    return tuple(_codec(document, str(name)) for name in names)


def _codec(document: Document, name: str) -> str:
    try:
        codec = codecs.lookup(name).name
        "\n".encode(codec)
    except (LookupError, UnicodeError):
        raise document.error(
            "servers.encoding",
            f"is {name!r}; use utf-8, utf-16, cp932, latin-1, detected or another Python codec",
        ) from None
    return "utf-8" if codec == "utf-8-sig" else codec


def _count(document: Document, custom: Mapping[str, Any], name: str) -> int:
    value = custom.get(name, 0)
    if not isinstance(value, int) or not 0 <= value <= 1000:
        raise document.error(name, "must be a number of lines, at most 1000")
    return value
