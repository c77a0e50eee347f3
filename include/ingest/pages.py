"""The format of an API page in raw: gzipped JSON lines, the first of which describes the page.

{"_page":{"cursor":null,"next_cursor":"c2","has_more":true,"fetched_at":"2026-01-01T00:00:00Z"}}
{"event_id":"e1","temperature_c":1.10}

An item is the text that the API sent, except that line ends between its tokens become blanks: a
number is never parsed and written again, so 1.10 stays 1.10. A body that is no page has one line
after the first, {"_malformed":"<the text>"}, and is conform's to reject.
"""

from __future__ import annotations

import gzip
import json
import re
import zlib
from dataclasses import dataclass
from datetime import datetime
from json import JSONDecoder

import msgspec
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from include.contracts import SourceContract
from include.lake import Lake, Zone

# JSON forbids raw line ends inside strings, so each one stands between two tokens.
_LINE_ENDS = re.compile(r"[\r\n]+")
_BLANKS = re.compile(r"[ \t\r\n]*")
_HEAD_BYTES = 1 << 16
# The highest takes three times as long for a fifth less.
_COMPRESSION_LEVEL = 6

PAGE_NAME = re.compile(r"page-(?P<number>\d{8})\.jsonl\.gz")


class PageHead(BaseModel):
    """The first line of a page. ``fetched_at`` is in UTC; ``cursor`` None asked for the start."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    cursor: str | None
    next_cursor: str | None
    has_more: bool
    fetched_at: datetime


class _HeadLine(BaseModel):
    page: PageHead = Field(alias="_page")


@dataclass(frozen=True, slots=True)
class PageBody:
    """The items of a page, each as the text it came in; or the text that is no page."""

    items: tuple[str, ...] = ()
    malformed: str | None = None

    @property
    def is_empty(self) -> bool:
        return self.malformed is None and not self.items


@dataclass(frozen=True, slots=True)
class Page:
    """One answer of an API."""

    head: PageHead
    body: PageBody


def page_folder(lake: Lake, contract: SourceContract) -> str:
    """The folder in raw that holds the pages of an API source contract."""
    return lake.key(Zone.RAW, "api", contract.source, contract.dataset.name)


def parse_body(content: bytes, items_field: str) -> PageBody:
    """Take the items out of a body: an object that holds them as an array in one field."""
    try:
        return PageBody(items=tuple(cut_items(content, items_field)))
    except (ValueError, RecursionError):
        # Also nesting that Python does not follow.
        return PageBody(malformed=content.decode("utf-8", errors="backslashreplace"))


def cut_items(content: bytes, items_field: str | None) -> list[str]:
    """The text of each item of an array: that in a field of an object, or all of the content.

    Raises ValueError if there is no such array, RecursionError if it is nested too deep.
    """
    text = content.decode("utf-8-sig")
    items = _cut_strictly(text, items_field)
    return _cut_patiently(text, items_field) if items is None else items


def _cut_strictly(text: str, items_field: str | None) -> list[str] | None:
    """The text of each item, thirty times as fast as `_cut_patiently`.

    None if msgspec refuses the text: it does so for half a character, which is one item's fault.
    """
    try:
        array: str | msgspec.Raw = text
        if items_field is not None:
            fields = msgspec.json.decode(text, type=dict[str, msgspec.Raw])
            array = fields.get(items_field, msgspec.Raw(b""))
        items = msgspec.json.decode(array, type=list[msgspec.Raw])
    except (msgspec.DecodeError, RecursionError):
        return None
    return [_LINE_ENDS.sub(" ", bytes(item).decode()) for item in items]


def encode_page(page: Page) -> bytes:
    """The page as it lies in raw; the same page is always the same bytes."""
    lines = [_HeadLine(_page=page.head).model_dump_json(by_alias=True), *page.body.items]
    if page.body.malformed is not None:
        lines.append(json.dumps({"_malformed": page.body.malformed}, ensure_ascii=False))
    content = "".join(f"{line}\n" for line in lines).encode()
    return gzip.compress(content, _COMPRESSION_LEVEL, mtime=0)


def read_head(lake: Lake, location: str) -> PageHead | None:
    """The first line of a page in raw, or None if it cannot be understood. Raises LakeError."""
    with lake.open(location) as stream:
        try:
            with gzip.open(stream) as lines:
                return _HeadLine.model_validate_json(lines.readline(_HEAD_BYTES)).page
        except (OSError, EOFError, zlib.error, ValidationError):
            return None


def fetched_at(lake: Lake, location: str) -> datetime | None:
    """When a page was fetched, in UTC, or None if it does not say."""
    head = read_head(lake, location)
    return head.fetched_at if head else None


def _cut_patiently(text: str, items_field: str | None) -> list[str]:
    """The text of each item. Raises ValueError if the text is no page."""
    decoder = JSONDecoder(parse_constant=_refuse_constant)
    body = decoder.decode(text)
    if items_field is None:
        if not isinstance(body, list):
            raise ValueError("the text is no array")
        return _cut_array(decoder, text, _skip_blanks(text, 0))
    if not isinstance(body, dict) or not isinstance(body.get(items_field), list):
        raise ValueError(f"the body has no array {items_field}")
    return _cut_array(decoder, text, _field_start(decoder, text, items_field))


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _field_start(decoder: JSONDecoder, text: str, name: str) -> int:
    """Where the value of an object's field begins; of a repeated field the last counts, as usual.

    The text is known to be a JSON object that has the field.
    """
    start = 0
    position = _skip_blanks(text, _skip_blanks(text, 0) + 1)
    while text[position] != "}":
        key, position = decoder.raw_decode(text, position)
        position = _skip_blanks(text, _skip_blanks(text, position) + 1)
        if key == name:
            start = position
        _, position = decoder.raw_decode(text, position)
        position = _next_element(text, position)
    return start


def _cut_array(decoder: JSONDecoder, text: str, start: int) -> list[str]:
    """The text of each element of the array that begins at ``start``, on one line each."""
    elements = []
    position = _skip_blanks(text, start + 1)
    while text[position] != "]":
        _, end = decoder.raw_decode(text, position)
        elements.append(_LINE_ENDS.sub(" ", text[position:end]))
        position = _next_element(text, end)
    return elements


def _next_element(text: str, position: int) -> int:
    position = _skip_blanks(text, position)
    return _skip_blanks(text, position + 1) if text[position] == "," else position


def _skip_blanks(text: str, position: int) -> int:
    return _BLANKS.match(text, position).end()
