"""Reads what a source contract says of how the vendor writes values."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from include.contracts.document import Document
from include.contracts.model import Field, FieldType, NumberSpelling, Spelling

SPELLING_PROPERTIES = frozenset(
    {
        "trim",
        "normalize",
        "remove",
        "nullWords",
        "values",
        "otherwise",
        "formats",
        "number",
        "trueWords",
        "falseWords",
    }
)
_DIRECTIVES = frozenset(
    f"%{letter}" for letter in (*"aAbBdmYyHIMSfgpjz%", "-d", "-m", "-H", "-I", "-M", "-S")
)
_NEGATIVES = frozenset({"brackets", "trailingMinus", "triangle"})
_NUMBER_PROPERTIES = frozenset({"thousands", "decimal", "currency", "negatives", "fullWidth"})
_TIMES = (FieldType.DATE, FieldType.TIMESTAMP)
_NUMBERS = (FieldType.INTEGER, FieldType.DECIMAL)


def read_spelling(
    document: Document,
    field: Field,
    properties: Sequence[Mapping[str, Any]],
    defaults: Mapping[str, Any],
) -> Spelling:
    """How the columns of a field write it; what they do not say, ``defaults`` do.

    A default is left out where it makes no sense for the field. Raises ContractError.
    """
    own = _merged(document, field, properties)
    usual = {name: value for name, value in defaults.items() if _makes_sense(name, field)}
    said = usual | own
    for name in own:
        if not _makes_sense(name, field):
            raise document.error(
                f"field {field.name}", f"has {name}, which makes no sense for a {field.type.value}"
            )
    if said.get("normalize") not in (None, "NFKC"):
        raise document.error(f"field {field.name}", "normalize must be NFKC")
    removed = said.get("remove")
    return Spelling(
        is_trimmed=bool(said.get("trim")),
        is_normalised="normalize" in said,
        removed=None if removed is None else _expression(document, field, str(removed)),
        null_words=_words(said.get("nullWords")),
        lookup=tuple((str(k), str(v)) for k, v in (said.get("values") or {}).items()),
        otherwise=None if said.get("otherwise") is None else str(said["otherwise"]),
        formats=tuple(_format(document, field, text) for text in said.get("formats") or ()),
        number=_number(document, field, said.get("number")),
        true_words=_words(said.get("trueWords")),
        false_words=_words(said.get("falseWords")),
    )


def _merged(
    document: Document, field: Field, properties: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    said: dict[str, Any] = {}
    for column in properties:
        for name in SPELLING_PROPERTIES & column.keys():
            if name in said and said[name] != column[name]:
                raise document.error(
                    f"field {field.name}", f"comes from columns that differ in {name}"
                )
            said[name] = column[name]
    return said


def _makes_sense(name: str, field: Field) -> bool:
    if name == "formats":
        return field.type in _TIMES
    if name == "number":
        return field.type in _NUMBERS
    if name in ("trueWords", "falseWords"):
        return field.type is FieldType.BOOLEAN
    return True


def _words(value: Any) -> tuple[str, ...]:
    return tuple(str(word) for word in value or ())


def _expression(document: Document, field: Field, text: str) -> str:
    try:
        re.compile(text)
    except re.error as error:
        raise document.error(f"field {field.name} remove", f"is no expression ({error})") from None
    return text


def _format(document: Document, field: Field, text: str) -> str:
    directives = re.findall(r"%-?.?", text)
    unknown = [part for part in directives if part not in _DIRECTIVES]
    is_word = text in ("iso", "epoch", "epoch_ms")
    is_epoch_day = field.type is FieldType.DATE and text.startswith("epoch")
    if (not is_word and (unknown or not directives)) or is_epoch_day:
        raise document.error(
            f"field {field.name} formats",
            f"has {text!r}; write it as for strptime, with {' '.join(sorted(_DIRECTIVES))}",
        )
    if "%z" in text.removesuffix("%z"):
        raise document.error(f"field {field.name} formats", "may have %z at the end only")
    return text


def _number(document: Document, field: Field, value: Any) -> NumberSpelling | None:
    if value is None:
        return None
    where = f"field {field.name} number"
    if not isinstance(value, dict) or not value.keys() <= _NUMBER_PROPERTIES:
        raise document.error(where, f"must have some of {', '.join(sorted(_NUMBER_PROPERTIES))}")
    negatives = set(value.get("negatives") or ())
    if not negatives <= _NEGATIVES:
        raise document.error(where, f"negatives must be of {', '.join(sorted(_NEGATIVES))}")
    thousands, decimal = value.get("thousands"), value.get("decimal", ".")
    for mark in (decimal, *([] if thousands is None else [thousands])):
        if not isinstance(mark, str) or len(mark) != 1 or mark.isalnum():
            raise document.error(where, "thousands and decimal must each be one character")
    if thousands == decimal:
        raise document.error(where, "thousands and decimal must differ")
    return NumberSpelling(
        thousands=thousands,
        decimal=decimal,
        currency=_words(value.get("currency")),
        has_brackets="brackets" in negatives,
        has_trailing_minus="trailingMinus" in negatives,
        has_triangle="triangle" in negatives,
        is_full_width=bool(value.get("fullWidth")),
    )
