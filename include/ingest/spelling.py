"""What a source contract says of how values are written, undone in DuckDB SQL.

Text that is not written as the contract says stays recognisably no number, so that a vendor's
1.234 (one thousand) is never read as another's 1.234.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

import duckdb
import pyarrow as pa

from include.contracts import NumberSpelling, SourceContract, Spelling

BLANKS = " \t\r\n\u3000"
_NFKC = "nfkc"
_WIDE = "０１２３４５６７８９．，－＋（）￥　−"
_NARROW = "0123456789.,-+()¥ -"
_MINUTES = r"([+-])([0-9]{2}):?([0-9]{2})$"
_IN_BRACKETS = r"^\(([^-+].*)\)$"
_MINUS_BEHIND = r"^([^-+].*)-$"
# Offsets in use end at +14:00.
OFFSET = r"(Z|[+-](0[0-9]|1[0-3]):?[0-5][0-9]|[+-]14:?00)"


def literal(text: str) -> str:
    """Text as a SQL string literal."""
    return "'" + text.replace("'", "''") + "'"


def register_functions(connection: duckdb.DuckDBPyConnection, contract: SourceContract) -> None:
    """Give DuckDB what it lacks, if the contract needs it."""
    if any(mapping.spelling.is_normalised for mapping in contract.mappings):
        connection.create_function(_NFKC, _nfkc, ["VARCHAR"], "VARCHAR", type="arrow")


def _nfkc(values: pa.Array) -> pa.Array:
    # Arrow's own utf8_normalize takes characters apart and leaves them so.
    texts = values.to_pylist()
    return pa.array([text and unicodedata.normalize("NFKC", text) for text in texts], pa.string())


def plain_text(text: str, spelling: Spelling) -> str:
    """A column's text without what the vendor adds to it; null for a null word."""
    if spelling.is_normalised:
        text = f"{_NFKC}({text})"
    if spelling.removed is not None:
        text = f"regexp_replace({text}, {literal(spelling.removed)}, '', 'g')"
    if spelling.is_trimmed:
        text = f"trim({text}, {literal(BLANKS)})"
    if spelling.is_normalised or spelling.removed is not None or spelling.is_trimmed:
        text = f"nullif({text}, '')"
    if spelling.null_words:
        words = ", ".join(literal(word) for word in spelling.null_words)
        text = f"CASE WHEN {text} NOT IN ({words}) THEN {text} END"
    return text


def filled_template(template: str, texts: dict[str, str]) -> str:
    """A template with the texts of its columns; null if one of them is."""
    parts = re.split(r"\{([^{}]+)\}", template)
    pieces = [
        texts[part] if index % 2 else literal(part)
        for index, part in enumerate(parts)
        if part or index % 2
    ]
    return f"({' || '.join(pieces)})"


def looked_up(text: str, spelling: Spelling) -> str:
    """The dataset's word for the vendor's; a word that the contract does not know stays."""
    if not spelling.lookup:
        return text
    words = " ".join(f"WHEN {literal(k)} THEN {literal(v)}" for k, v in spelling.lookup)
    other = text if spelling.otherwise is None else literal(spelling.otherwise)
    return f"CASE WHEN {text} IS NOT NULL THEN CASE {text} {words} ELSE {other} END END"


def plain_number(text: str, number: NumberSpelling) -> str:
    """A number as 1234.5, or text that is none if it is not written as the contract says."""
    if number.is_full_width:
        text = f"translate({text}, {literal(_WIDE)}, {literal(_NARROW)})"
    if number.currency:
        words = "|".join(re.escape(word) for word in number.currency)
        text = f"regexp_replace({text}, {literal(f'^([-+(△▲]?) *(?:{words}) *')}, '\\1')"
        text = f"regexp_replace({text}, {literal(f' *(?:{words}) *([-)]?)$')}, '\\1')"
    if number.has_brackets:
        text = f"regexp_replace({text}, {literal(_IN_BRACKETS)}, '-\\1')"
    if number.has_trailing_minus:
        text = f"regexp_replace({text}, {literal(_MINUS_BEHIND)}, '-\\1')"
    if number.has_triangle:
        text = f"regexp_replace({text}, '^[△▲]', '-')"
    plain = text
    if number.thousands is not None:
        plain = f"replace({plain}, {literal(number.thousands)}, '')"
    if number.decimal != ".":
        plain = f"replace({plain}, {literal(number.decimal)}, '.')"
    if plain == text:
        return text
    return (
        f"CASE WHEN regexp_full_match({text}, {literal(_number_form(number))}) THEN {plain} "
        f"WHEN {text} IS NOT NULL THEN concat('not as the contract says: ', {text}) END"
    )


def _number_form(number: NumberSpelling) -> str:
    whole, decimal = "[0-9]+", re.escape(number.decimal)
    if number.thousands is not None:
        whole = rf"(?:[0-9]{{1,3}}(?:{re.escape(number.thousands)}[0-9]{{3}})+|[0-9]+)"
    return rf"[+-]?(?:{whole}(?:{decimal}[0-9]*)?|{decimal}[0-9]+)"


def boolean(text: str, spelling: Spelling) -> str:
    """A boolean from the vendor's words, or from true, false, 1 and 0 where it has none."""
    true_words = spelling.true_words or ("true", "1")
    false_words = spelling.false_words or ("false", "0")
    branches = [
        f"WHEN {literal(word.lower())} THEN {value}"
        for value, words in (("TRUE", true_words), ("FALSE", false_words))
        for word in words
    ]
    return f"CASE lower({text}) {' '.join(branches)} END"


def day(text: str, written: str) -> str:
    """A date written so, or null: what strptime reads must be written the same by strftime."""
    return f"CAST({_exact_time(text, written)} AS DATE)"


def local_moment(text: str, written: str) -> str:
    """A time without an offset written so, or null."""
    return _exact_time(text, written)


def instant(text: str, written: str) -> str:
    """A time with its offset at the end (%z), in UTC, or null."""
    local = f"regexp_replace({text}, {literal(f' ?{OFFSET}$')}, '')"
    body = written.removesuffix("%z").rstrip()
    sign, hours, minutes = (
        f"regexp_extract({text}, {literal(_MINUTES)}, {group})" for group in (1, 2, 3)
    )
    size = f"(60 * TRY_CAST({hours} AS INTEGER) + TRY_CAST({minutes} AS INTEGER))"
    offset = (
        f"CASE WHEN ends_with({text}, 'Z') THEN 0 WHEN {sign} = '-' THEN -{size} ELSE {size} END"
    )
    return (
        f"CASE WHEN regexp_matches({text}, {literal(f'{OFFSET}$')}) "
        f"THEN {_exact_time(local, body)} - to_minutes({offset}) END"
    )


def epoch(text: str, written: str) -> str:
    """Seconds or, as epoch_ms, milliseconds since 1970 in UTC, or null."""
    microseconds = 1_000 if written == "epoch_ms" else 1_000_000
    return (
        f"CASE WHEN regexp_full_match({text}, '[0-9]{{1,13}}') "
        f"THEN make_timestamp(CAST({text} AS BIGINT) * {microseconds}) END"
    )


def first_of(values: Sequence[str]) -> str:
    return values[0] if len(values) == 1 else f"coalesce({', '.join(values)})"


def _exact_time(text: str, written: str) -> str:
    form = literal(written)
    value = f"try_strptime({text}, {form})"
    # strptime takes 31 for a day of February's month, 7 for 07 and any weekday for the right one.
    return f"CASE WHEN lower(strftime({value}, {form})) = lower({text}) THEN {value} END"
