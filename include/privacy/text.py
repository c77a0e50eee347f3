"""Text as it may be shown: what is found in it masked, or withheld as a whole.

The same rules as DuckDB functions and SQL, for the rows of a file, and in Python, for what is read
record by record.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import duckdb
import pyarrow as pa

from include.privacy.finder import PREFILTER, find, mask_text
from include.privacy.marks import WITHHELD_MARK

# Numbers, dates and codes in one case: what nobody is called. All else in a column that no
# contract knows, or in a row that breaks its contract, may be a name in the wrong place.
_CODE = (
    "[-0-9０-９ ,.:/+%¥￥年月日時分秒TZ]*|[-a-z0-9_.:/]{1,32}|[-A-Z0-9_.:/]{1,32}|True|False|Yes|No"
)
_CODE_PATTERN = re.compile(_CODE)
_MASK, _WITHHOLD = "mask_text", "withhold_text"


def withhold_text(text: str) -> str:
    """A mark in place of the text, and one for each thing found in it."""
    return " ".join((WITHHELD_MARK, *(found.kind.mark for found in find(text))))


def mask_unknown(text: str) -> str:
    """A value of which no contract says what it is: withheld unless it is a number or a code."""
    return mask_text(text) if _CODE_PATTERN.fullmatch(text) else withhold_text(text)


def mask_json(value: Any) -> Any:
    """`mask_unknown` of all in a parsed JSON value; numbers that are found become text."""
    if isinstance(value, dict):
        return {mask_text(name): mask_json(member) for name, member in value.items()}
    if isinstance(value, list):
        return [mask_json(member) for member in value]
    if value is None or isinstance(value, bool):
        return value
    text = str(value)
    masked = mask_unknown(text)
    return value if masked == text else masked


def register_functions(connection: duckdb.DuckDBPyConnection) -> None:
    """Give a connection the functions of `masked_sql`, `withheld_sql` and `unknown_sql`."""
    for name, function in ((_MASK, mask_text), (_WITHHOLD, withhold_text)):
        connection.create_function(
            name, _over_arrow(function), ["VARCHAR"], "VARCHAR", type="arrow"
        )


def masked_sql(text: str) -> str:
    """`mask_text` of an SQL expression; what the prefilter clears costs no call of Python."""
    return f"CASE WHEN {_may_hold_some(text)} THEN {_MASK}({text}) ELSE {text} END"


def withheld_sql(text: str) -> str:
    """`withhold_text` of an SQL expression."""
    return (
        f"CASE WHEN {_may_hold_some(text)} THEN {_WITHHOLD}({text}) "
        f"WHEN {text} IS NOT NULL THEN '{WITHHELD_MARK}' END"
    )


def unknown_sql(text: str) -> str:
    """`mask_unknown` of an SQL expression."""
    is_code = f"regexp_full_match({text}, '{_CODE}')"
    return f"CASE WHEN {is_code} THEN {masked_sql(text)} ELSE {withheld_sql(text)} END"


def _may_hold_some(text: str) -> str:
    return f"regexp_matches({text}, '{PREFILTER}')"


def _over_arrow(function: Callable[[str], str]) -> Callable[[pa.Array], pa.Array]:
    def apply(texts: pa.Array) -> pa.Array:
        return pa.array([text and function(text) for text in texts.to_pylist()], pa.string())

    return apply
