"""Which names of delivered files are refused.

A file's name becomes a key in raw, a folder on disk, a pattern that DuckDB reads by, and text in
logs and alerts. What no vendor needs and one of these would take for something else is refused, so
that nothing has to be escaped on the way.
"""

from __future__ import annotations

import re
import unicodedata

# Of Japanese names everything is a letter but the marks of `_WIDE`.
_HARMLESS = re.compile(r"[\w .,+=@()#~/・（）【】「」、。&-]*")
# What nearly every key is: the other rules have nothing to say of it, unless it is long.
_PLAIN_SEGMENT = r"[A-Za-z0-9_][A-Za-z0-9_.,+=@()#~&-]*"
_PLAIN = re.compile(f"{_PLAIN_SEGMENT}(?:/{_PLAIN_SEGMENT})*")
# On disk the name becomes a folder in raw, and folder and version together have a bound.
_SEGMENT_BYTES = 255
_KEY_BYTES = 900
_KINDS = {
    "Cc": "a control character",
    "Cf": "an invisible character",
    "Cs": "bytes that are not UTF-8",
    "Co": "a character of no meaning",
    "Cn": "a character of no meaning",
    "Zl": "a line end",
    "Zp": "a line end",
}


def refusal(object_key: str) -> str | None:
    """Why nothing may be made of a file of that key, as the end of a sentence; None if it may."""
    if len(object_key) <= _SEGMENT_BYTES and _PLAIN.fullmatch(object_key):
        return None
    segments = object_key.split("/")
    if any(segment in ("", ".", "..") for segment in segments):
        return "its path has an empty, . or .. part"
    if not _HARMLESS.fullmatch(object_key):
        return f"its name has {_first_offence(object_key)}"
    if any(segment != segment.strip() for segment in segments):
        return "its name begins or ends with a blank"
    too_long = any(len(segment.encode()) > _SEGMENT_BYTES for segment in segments)
    if too_long or len(object_key.encode()) > _KEY_BYTES:
        return f"its name is longer than {_SEGMENT_BYTES} bytes, or its path than {_KEY_BYTES}"
    return None


def printable(name: str) -> str:
    """A name for logs and documents: what cannot be shown or stored is escaped."""
    return "".join(
        char if unicodedata.category(char) not in _KINDS else repr(char)[1:-1] for char in name
    )


def _first_offence(object_key: str) -> str:
    char = next(char for char in object_key if not _HARMLESS.fullmatch(char))
    return _KINDS.get(unicodedata.category(char), f"the character {char}")
