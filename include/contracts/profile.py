"""What the values of a column look like: types, date formats, number formats.

Used to draft a contract from a sample and to say what a column that was retyped has become.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from include.contracts.model import FieldType

_INTEGER = re.compile(r"[+-]?\d{1,18}", re.ASCII)
_DECIMAL = re.compile(r"[+-]?(\d+\.\d*|\.\d+)", re.ASCII)
_ISO_DATE = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_ISO_TIME = re.compile(r"\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}:\d{2}(\.\d{1,6})?", re.ASCII)
_OFFSET = re.compile(r"(Z|[+-]\d{2}:?\d{2})$", re.ASCII)
_WORDS = frozenset({"true", "false"})

_NULL_WORDS = frozenset(
    {"-", "--", "n/a", "na", "null", "none", "nan", "nil", "なし", "無し", "－", "?"}
)
_BOOLEANS = (("true", "false"), ("yes", "no"), ("y", "n"), ("はい", "いいえ"), ("○", "×"))
_CURRENCY = ("¥", "￥", "円", "$", "€", "£")
_GROUPED = re.compile(r"[+-]?\d{1,3}([,. ])\d{3}(\1\d{3})*(?:[.,]\d+)?", re.ASCII)
_COMMA = re.compile(r"[+-]?\d+,\d{1,2}|[+-]?\d+,\d{4,}", re.ASCII)
_FULL_WIDTH = re.compile(r"[！-～]")
# Behind a date, as in 2026/10/04(日).
_WEEKDAY = r"\([月火水木金土日]\)"

_DAYS = (
    *("%Y/%m/%d", "%Y/%-m/%-d", "%Y.%m.%d", "%Y%m%d", "%Y年%m月%d日", "%Y年%-m月%-d日"),
    *("%d.%m.%Y", "%d/%m/%Y", "%m/%d/%Y", "%-m/%-d/%Y", "%-d/%-m/%Y", "%d-%b-%Y", "%d %b %Y"),
    *("%B %d, %Y", "%B %-d, %Y", "%A, %B %d, %Y", "%A, %B %-d, %Y", "%d-%m-%Y", "%m-%d-%Y"),
    *("%y/%m/%d", "%a %d %b %Y", "%a, %d %b %Y"),
)
_CLOCKS = ("%H:%M:%S", "%H:%M", "%-H:%M:%S", "%-H:%M", "%I:%M:%S %p", "%I:%M %p", "%-I:%M %p")
_JOINTS = (" ", "T", ", ")


@dataclass(frozen=True, slots=True)
class TimeForm:
    """A type of date or time, the format of strptime (None is ISO 8601) and whether an offset is
    written."""

    type: FieldType
    format: str | None
    has_offset: bool = False


@dataclass(frozen=True, slots=True)
class ColumnProfile:
    """What the values of one column look like.

    ``plain`` are those that are filled, without what ``properties`` say of how they are written;
    dates and times are as they were, in the format of ``properties``.
    """

    name: str
    type: FieldType
    properties: dict[str, Any]
    options: dict[str, Any]
    rows: int
    plain: tuple[str, ...]

    @property
    def filled(self) -> int:
        return len(self.plain)

    @property
    def found(self) -> str:
        distinct = len(set(self.plain))
        return f"{self.type.value}, {self.filled} of {self.rows} filled, {distinct} different"


def guess_type(values: Sequence[str]) -> FieldType:
    """The narrowest type that all values have; text where there are none."""
    if not values:
        return FieldType.TEXT
    if all(value.lower() in _WORDS for value in values):
        return FieldType.BOOLEAN
    if all(_INTEGER.fullmatch(value) for value in values):
        return FieldType.INTEGER
    if all(_INTEGER.fullmatch(value) or _DECIMAL.fullmatch(value) for value in values):
        return FieldType.DECIMAL
    form = guess_time(values)
    return FieldType.TEXT if form is None else form.type


def guess_time(values: Sequence[str]) -> TimeForm | None:
    """How all values write a date or a time, or None. Of several that fit the first is taken."""
    if not values:
        return None
    if all(_ISO_DATE.fullmatch(value) and _is_written(value, "%Y-%m-%d") for value in values):
        return TimeForm(FieldType.DATE, None)
    has_offset = all(_OFFSET.search(value) and ":" in value for value in values)
    local = [_OFFSET.sub("", value).rstrip() if has_offset else value for value in values]
    if all(_ISO_TIME.fullmatch(value) for value in local):
        return TimeForm(FieldType.TIMESTAMP, None, has_offset)
    end = "%z" if has_offset else ""
    for day in ("%Y-%m-%d", *_DAYS):
        if not has_offset and all(_is_written(value, day) for value in local):
            return TimeForm(FieldType.DATE, day)
        for joint in _JOINTS:
            for clock in _CLOCKS:
                form = f"{day}{joint}{clock}"
                if _is_written(local[0], form) and all(_is_written(v, form) for v in local):
                    return TimeForm(FieldType.TIMESTAMP, form + end, has_offset)
    return None


def _is_written(value: str, form: str) -> bool:
    # Python's strptime takes padded and unpadded numbers alike, so what it reads is written again.
    try:
        moment = datetime.strptime(value, form.replace("%-", "%"))  # noqa: DTZ007
    except ValueError:
        return False
    return moment.strftime(form).lower() == value.lower()


def profile_column(name: str, values: Sequence[str]) -> ColumnProfile:
    """What the values of a column look like; empty text is no value."""
    properties: dict[str, Any] = {}
    filled = [value for value in values if value]
    if any(value != value.strip(" \t　") for value in filled):
        properties["trim"] = True
        filled = [text for value in filled if (text := value.strip(" \t　"))]
    words = sorted({value for value in filled if value.casefold() in _NULL_WORDS})
    if words and len(words) < len(set(filled)):
        properties["nullWords"] = words
        filled = [value for value in filled if value not in words]
    filled = _plainly_written(filled, properties)
    kind, options = guess_type(filled), {}
    if kind is FieldType.TEXT and (number := _guess_number(filled)):
        kind = FieldType.DECIMAL
        properties["number"], filled = number
    if kind in (FieldType.DATE, FieldType.TIMESTAMP):
        form = guess_time(filled)
        if form is not None and form.format is not None:
            properties["formats"] = [form.format]
        if kind is FieldType.TIMESTAMP:
            options = {"timezone": form is not None and form.has_offset}
    if kind is FieldType.TEXT and (pair := _guess_boolean(filled)):
        kind = FieldType.BOOLEAN
        properties |= {"trueWords": [pair[0]], "falseWords": [pair[1]]}
    return ColumnProfile(name, kind, properties, options, len(values), tuple(filled))


def _plainly_written(values: list[str], properties: dict[str, Any]) -> list[str]:
    """The values in half width and without weekdays, as the properties that are added say."""
    if any(_FULL_WIDTH.search(value) for value in values):
        properties["normalize"] = "NFKC"
        values = [unicodedata.normalize("NFKC", value) for value in values]
        if words := properties.get("nullWords"):
            properties["nullWords"] = sorted({unicodedata.normalize("NFKC", w) for w in words})
    if values and all(re.search(_WEEKDAY, value) for value in values):
        properties["remove"] = _WEEKDAY
        values = [re.sub(_WEEKDAY, "", value) for value in values]
    return values


def _guess_number(values: Sequence[str]) -> tuple[dict[str, Any], list[str]] | None:
    """How numbers are written that are no plain ones, and they as plain ones; or None."""
    if not values:
        return None
    number: dict[str, Any] = {}
    plain = list(values)
    if marks := [mark for mark in _CURRENCY if any(mark in value for value in plain)]:
        number["currency"] = marks
        plain = [re.sub("|".join(map(re.escape, marks)), "", v).strip() for v in plain]
    if any(value.startswith("(") and value.endswith(")") for value in plain):
        number["negatives"] = ["brackets"]
        plain = [f"-{v[1:-1]}" if v.startswith("(") and v.endswith(")") else v for v in plain]
    if any(value.startswith(("△", "▲")) for value in plain):
        number.setdefault("negatives", []).append("triangle")
        plain = [re.sub("^[△▲]", "-", value) for value in plain]
    grouped = {match[1] for value in plain if (match := _GROUPED.fullmatch(value))}
    if len(grouped) == 1:
        mark = grouped.pop()
        number["thousands"] = mark
        plain = [value.replace(mark, "") for value in plain]
    if any(_COMMA.fullmatch(value) for value in plain):
        number["decimal"] = ","
        plain = [value.replace(",", ".") for value in plain]
    is_number = guess_type(plain) in (FieldType.INTEGER, FieldType.DECIMAL)
    return (number, plain) if number and is_number else None


def _guess_boolean(values: Sequence[str]) -> tuple[str, str] | None:
    words = {value.casefold() for value in values}
    return next((pair for pair in _BOOLEANS if words and words <= set(pair)), None)
