"""What the values of a column look like: types, date formats, number formats.

Used to draft a contract from a sample and to say what a column that was retyped has become.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from include.contracts.model import FieldType

_INTEGER = re.compile(r"[+-]?\d{1,18}", re.ASCII)
_DECIMAL = re.compile(r"[+-]?(\d+\.\d*|\.\d+)", re.ASCII)
_ISO_DATE = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_ISO_TIME = re.compile(r"\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}:\d{2}(\.\d{1,6})?", re.ASCII)
_OFFSET = re.compile(r"(Z|[+-]\d{2}:?\d{2})$", re.ASCII)
_WORDS = frozenset({"true", "false"})

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
