"""The masking strategies as DuckDB SQL over text.

The keys are variables of the connection, not parts of a statement, because statements are in
plans, messages and logs. HMAC is RFC 2104 written out with DuckDB's sha256, so that a masked value
can be computed anywhere; see `Pepper.masked`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import duckdb

from include.contracts import Masking, MaskingStrategy, SyntheticKind
from include.privacy.marks import WITHHELD_MARK
from include.privacy.pepper import DIGEST_CHARACTERS, Pepper, Purpose
from include.privacy.synthetic import (
    EMAIL_DOMAIN,
    FAMILY_NAMES,
    GIVEN_NAMES,
    PHONE_PREFIX,
    PREFECTURES,
)
from include.privacy.text import masked_sql, register_functions, withheld_sql

_BLOCK_BYTES = 64
_HIDDEN = "****"


def prepare_masking(connection: duckdb.DuckDBPyConnection, pepper: Pepper | None) -> None:
    """Give a connection what `masking_sql` needs; without a pepper nothing keyed can be masked."""
    register_functions(connection)
    if pepper is None:
        return
    for name, value in _variables(pepper):
        connection.execute(f"SET VARIABLE {name} = ?", [value])


def masking_sql(masking: Masking, text: str) -> str:
    """What is stored in place of a text, an SQL expression; null where the text is null."""
    return _STRATEGIES[masking.strategy](masking, text)


def masked_pattern(masking: Masking) -> str | None:
    """The regular expression that each masked value matches as a whole; None for searched text."""
    return _PATTERNS[masking.strategy](masking)


def _variables(pepper: Pepper) -> Iterator[tuple[str, bytes | str]]:
    yield _variable(Purpose.SYNTHETIC, "key"), pepper.key(Purpose.SYNTHETIC)
    for purpose in (Purpose.KEYED_HASH, Purpose.TOKEN):
        key = pepper.key(purpose).ljust(_BLOCK_BYTES, b"\0")
        yield _variable(purpose, "inner"), bytes(byte ^ 0x36 for byte in key)
        yield _variable(purpose, "outer"), bytes(byte ^ 0x5C for byte in key)
        yield _variable(purpose, "mark"), pepper.mark(purpose)


def _variable(purpose: Purpose, name: str) -> str:
    return f"{purpose.name.lower()}_{name}"


def _hmac(purpose: Purpose, text: str) -> str:
    inner, outer = (f"getvariable('{_variable(purpose, name)}')" for name in ("inner", "outer"))
    return f"sha256({outer} || unhex(sha256({inner} || encode({text}))))"


def _seeded(text: str) -> str:
    # Too little of it is shown to need the second pass of HMAC, which is most of its price.
    return f"sha256(getvariable('{_variable(Purpose.SYNTHETIC, 'key')}') || encode({text}))"


def _keyed(purpose: Purpose) -> Callable[[Masking, str], str]:
    def sql(masking: Masking, text: str) -> str:
        mark = f"getvariable('{_variable(purpose, 'mark')}')"
        return f"{mark} || left({_hmac(purpose, text)}, {DIGEST_CHARACTERS})"

    return sql


def _partial(masking: Masking, text: str) -> str:
    # Of a short text the ends would be nearly all of it.
    least = 2 * (masking.first + masking.last)
    ends = f"left({text}, {masking.first}) || '{_HIDDEN}' || right({text}, {masking.last})"
    return (
        f"CASE WHEN length({text}) >= {least} THEN {ends} "
        f"WHEN {text} IS NOT NULL THEN '{_HIDDEN}' END"
    )


def _age_band(masking: Masking, text: str) -> str:
    """An age as 40-49; a date or year of birth as 1980-1989."""
    years = masking.years
    first = f"TRY_CAST(regexp_extract({text}, '^[0-9]{{1,4}}') AS INTEGER) // {years} * {years}"
    return f"CASE WHEN {text} IS NOT NULL THEN {_or_withheld(_band(first, years))} END"


def _band(first: str, years: int) -> str:
    return f"({first}) || '-' || ({first} + {years - 1})"


def _prefecture(masking: Masking, text: str) -> str:
    anywhere = f"nullif(regexp_extract({text}, '{'|'.join(PREFECTURES)}'), '')"
    # Most addresses begin with it, and a look at their beginning takes a tenth of the time.
    begins = " ".join(
        f"WHEN left({text}, {length}) IN ({_names_of(length)}) THEN left({text}, {length})"
        for length in (3, 4)
    )
    return f"CASE {begins} WHEN {text} IS NOT NULL THEN {_or_withheld(anywhere)} END"


def _names_of(length: int) -> str:
    return ", ".join(f"'{name}'" for name in PREFECTURES if len(name) == length)


def _or_withheld(value: str) -> str:
    return f"coalesce({value}, '{WITHHELD_MARK}')"


def _synthetic(masking: Masking, text: str) -> str:
    digest = _seeded(text)
    if masking.kind is SyntheticKind.EMAIL:
        return f"'person-' || left({digest}, 12) || '@{EMAIL_DOMAIN}'"
    number = f"CAST('0x' || left({digest}, 12) AS BIGINT)"
    if masking.kind is SyntheticKind.PHONE:
        digits = f"lpad(CAST({number} % 10000000 AS VARCHAR), 7, '0')"
        return f"regexp_replace({digits}, '(...)(....)', '{PHONE_PREFIX}\\1-\\2')"
    families, count = len(FAMILY_NAMES), len(FAMILY_NAMES) * len(GIVEN_NAMES)
    # The names as one string: a list of them is made again for every value.
    family = _nth(FAMILY_NAMES, f"{number} % {families}")
    given = _nth(GIVEN_NAMES, f"({number} % {count}) // {families}")
    return f"{family} || ' ' || {given}"


def _nth(texts: tuple[str, ...], index: str) -> str:
    return f"split_part('{','.join(texts)}', ',', CAST(1 + {index} AS INTEGER))"


_STRATEGIES: dict[MaskingStrategy, Callable[[Masking, str], str]] = {
    MaskingStrategy.KEYED_HASH: _keyed(Purpose.KEYED_HASH),
    MaskingStrategy.TOKEN: _keyed(Purpose.TOKEN),
    MaskingStrategy.PARTIAL: _partial,
    MaskingStrategy.AGE_BAND: _age_band,
    MaskingStrategy.PREFECTURE: _prefecture,
    MaskingStrategy.SYNTHETIC: _synthetic,
    MaskingStrategy.WITHHOLD: lambda _, text: withheld_sql(text),
    MaskingStrategy.SEARCH: lambda _, text: masked_sql(text),
}

_WITHHELD = re.escape(WITHHELD_MARK)
_DIGEST = f"[0-9]+:[0-9a-f]{{{DIGEST_CHARACTERS}}}"
_SYNTHETIC_PATTERNS = {
    SyntheticKind.NAME: f"({'|'.join(FAMILY_NAMES)}) ({'|'.join(GIVEN_NAMES)})",
    SyntheticKind.PHONE: f"{PHONE_PREFIX}[0-9]{{3}}-[0-9]{{4}}",
    SyntheticKind.EMAIL: f"person-[0-9a-f]{{12}}@{re.escape(EMAIL_DOMAIN)}",
}
_PATTERNS: dict[MaskingStrategy, Callable[[Masking], str | None]] = {
    MaskingStrategy.KEYED_HASH: lambda _: Purpose.KEYED_HASH.value + _DIGEST,
    MaskingStrategy.TOKEN: lambda _: Purpose.TOKEN.value + _DIGEST,
    MaskingStrategy.PARTIAL: lambda m: rf".{{0,{m.first}}}\*{{4}}.{{0,{m.last}}}",
    MaskingStrategy.AGE_BAND: lambda _: f"[0-9]+-[0-9]+|{_WITHHELD}",
    MaskingStrategy.PREFECTURE: lambda _: f"{'|'.join(PREFECTURES)}|{_WITHHELD}",
    MaskingStrategy.SYNTHETIC: lambda m: _SYNTHETIC_PATTERNS[m.kind or SyntheticKind.NAME],
    MaskingStrategy.WITHHOLD: lambda _: rf"{_WITHHELD}( \[masked:[a-z_]+\])*",
    MaskingStrategy.SEARCH: lambda _: None,
}
