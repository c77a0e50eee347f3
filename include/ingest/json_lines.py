"""JSON lines as columns of text in DuckDB, exactly as `records` reads them in Python.

DuckDB's JSON is more generous than the standard (NaN, trailing commas, repeated names) and reads
fractions as binary numbers. A line in which that could matter is not plain, and is read exactly.
"""

from __future__ import annotations

from collections.abc import Iterator

from include.contracts import FieldType, SourceContract
from include.ingest.expressions import EXTRA, LOAD_ID, literal, source_column

LINE = "line"
IS_PLAIN = "is_plain"

_BEFORE_VALUE = r"[:,\[][ \t]*-?"
_AFTER_VALUE = r"[ \t]*[,}\]]"
_DOUBTFUL = "|".join(
    (
        rf"{_BEFORE_VALUE}(?i:nan|inf)",
        r",[ \t]*[}\]]",
        # More digits than a binary number keeps, exponents, and minus zero.
        rf"{_BEFORE_VALUE}[0-9.]{{16,}}",
        rf"{_BEFORE_VALUE}[0-9.]+[eE]",
        rf"[:,\[][ \t]*-0(\.0*)?{_AFTER_VALUE}",
        # NUL and other control characters, and halves of a surrogate pair.
        r"\\u(?i:00[01]|d[89a-f])",
    )
)
_TRAILING_ZERO = rf"{_BEFORE_VALUE}[0-9]+\.[0-9]+0{_AFTER_VALUE}"
# Numbers and words only, and names that sort the same with their closing quote.
_SIMPLE_OBJECT = r'\{(?:"[^"\\ !]+":[-0-9.a-z]+(?:,|\}))+'
_FRACTION = r"-?[0-9]+\.[0-9]+"


def json_columns(contract: SourceContract, lines: str) -> str:
    """A relation of source columns from a SELECT of ``load_id`` and ``line``.

    It carries ``line`` and ``is_plain``, which is never null.
    """
    names = contract.mapped_columns
    objects = _columns_of(contract, FieldType.JSON)
    paths = ", ".join(literal(_pointer(name)) for name in names)
    nested = {index: f"y{index}" for index, name in enumerate(names) if name in objects}
    pieces = [
        f"CAST(json_extract(j, {literal(_pointer(names[index]))}) AS VARCHAR) AS {piece}"
        for index, piece in nested.items()
    ]
    parsed = f"SELECT {LOAD_ID}, {LINE}, TRY_CAST({LINE} AS JSON) AS j FROM ({lines})"
    taken = ", ".join((f"json_extract_string(j, [{paths}]) AS x", "json_keys(j) AS k", *pieces))
    texts = ", ".join(
        f"{_text(index, nested)} AS {source_column(index)}" for index in range(len(names))
    )
    conditions = " AND ".join(
        (_is_known_object(contract, bool(objects)), *_are_plain(contract, names, nested))
    )
    return (
        f"(SELECT *, coalesce({conditions}, FALSE) AS {IS_PLAIN}, "
        f"CAST(NULL AS VARCHAR) AS {EXTRA} "
        f"FROM (SELECT *, {texts} FROM (SELECT *, {taken} FROM ({parsed}))))"
    )


def _columns_of(contract: SourceContract, kind: FieldType) -> frozenset[str]:
    fed = (m for m in contract.mappings if m.field.type is kind)
    return frozenset(column for mapping in fed for column in mapping.columns)


def _pointer(name: str) -> str:
    """RFC 6901."""
    return "/" + name.replace("~", "~0").replace("/", "~1")


def _text(index: int, nested: dict[int, str]) -> str:
    text = f"nullif(x[{index + 1}], '')"
    if index not in nested:
        return text
    piece = nested[index]
    other = f"CASE WHEN {piece}[1] NOT IN ('{{', '[') THEN {text} END"
    return f"coalesce({_simple_object(piece)}, {_object(piece)}, {other})"


def _simple_object(piece: str) -> str:
    """A JSON object with sorted names and without blanks, or null if it is not simple.

    The condition stands inside, because CASE around lists takes twice the time.
    """
    simple = f"CASE WHEN {_is_simple(piece)} THEN substr({piece}, 3, length({piece}) - 3) END"
    members = f"list_sort(string_split({simple}, ',\"'))"
    return f"""'{{"' || array_to_string({members}, ',"') || '}}'"""


def _object(piece: str) -> str:
    """The same of an object that is not simple; null if it holds an object or an array."""
    other = f"CASE WHEN NOT {_is_simple(piece)} AND NOT {_is_nested(piece)} THEN {piece} END"
    members = (
        f"list_transform(list_sort(map_entries(TRY_CAST({other}::JSON AS MAP(VARCHAR, JSON)))), "
        "lambda member: concat(to_json(member.key), ':', member.value))"
    )
    return f"'{{' || array_to_string({members}, ',') || '}}'"


def _is_simple(piece: str) -> str:
    return f"regexp_full_match({piece}, {literal(_SIMPLE_OBJECT)})"


def _is_nested(piece: str) -> str:
    return f"regexp_matches(substr({piece}, 2), '[{{\\[]')"


def _has_distinct_names(json: str) -> str:
    return f"TRY_CAST({json} AS MAP(VARCHAR, JSON)) IS NOT NULL"


def _is_known_object(contract: SourceContract, has_objects: bool) -> str:
    known = ", ".join(literal(name) for name in sorted(contract.known_columns))
    doubtful = f"{_DOUBTFUL}|{_TRAILING_ZERO}" if has_objects else _DOUBTFUL
    return (
        f"starts_with(ltrim({LINE}), '{{') AND NOT regexp_matches({LINE}, {literal(doubtful)}) "
        f"AND list_has_all([{known}], k) AND {_has_distinct_names('j')}"
    )


def _are_plain(
    contract: SourceContract, names: tuple[str, ...], nested: dict[int, str]
) -> Iterator[str]:
    texts = _columns_of(contract, FieldType.TEXT)
    for index, name in enumerate(names):
        value = source_column(index)
        if index in nested:
            piece = nested[index]
            yield (
                f"CASE {piece}[1] WHEN '[' THEN FALSE WHEN '{{' THEN NOT {_is_nested(piece)} "
                f"AND {_has_distinct_names(f'{piece}::JSON')} ELSE TRUE END"
            )
        else:
            yield f"coalesce({value}[1] NOT IN ('{{', '['), TRUE)"
        if name in texts:
            # The text that a fraction was written in is gone: 1.50 has become 1.5.
            yield f"coalesce(NOT regexp_full_match({value}, {literal(_FRACTION)}), TRUE)"
