"""Reads how a field of a dataset contract is masked."""

from __future__ import annotations

from typing import Any

from include.contracts.document import Document, one_of
from include.contracts.masking import (
    INJECTIVE,
    SEARCHED,
    WITHHELD,
    Masking,
    MaskingStrategy,
    SyntheticKind,
)
from include.contracts.model import Classification, Field, FieldType

_OPTIONS = {
    MaskingStrategy.PARTIAL: frozenset({"first", "last"}),
    MaskingStrategy.AGE_BAND: frozenset({"years"}),
    MaskingStrategy.SYNTHETIC: frozenset({"kind"}),
}
_MOST_YEARS = 50
_MOST_SHOWN = 8


def masked(document: Document, field: Field, value: Any) -> Masking | None:
    """How a field is masked: as its property says, else as its classification asks.

    Free text is withheld unless the contract releases it to be searched, and a text that nobody
    has classified is searched. Raises ContractError.
    """
    masking = _read_masking(document, value, field.name)
    if masking is None:
        if field.is_personal:
            raise document.error(field.name, "is personal; name the strategy that masks it")
        return _default_masking(field)
    if field.type is not FieldType.TEXT:
        raise document.error(f"{field.name}.masking", "is for text; make the field a string")
    if field.key_position is not None and masking.strategy not in INJECTIVE:
        raise document.error(
            f"{field.name}.masking", f"must be {' or '.join(sorted(INJECTIVE))}, as of any key"
        )
    return masking


def _default_masking(field: Field) -> Masking | None:
    if field.classification is Classification.FREE_TEXT:
        return WITHHELD
    is_bound = field.key_position is not None or field.allowed_values or field.pattern
    is_judged = field.classification is not None or is_bound
    return SEARCHED if field.type is FieldType.TEXT and not is_judged else None


def _read_masking(document: Document, value: Any, where: str) -> Masking | None:
    """The masking that a field's custom property asks for. Raises ContractError."""
    if value is None:
        return None
    if not isinstance(value, dict):
        raise document.error(f"{where}.masking", "must be as in {strategy: keyed_hash}")
    strategy = one_of(document, MaskingStrategy, value.get("strategy"), f"{where}.masking.strategy")
    allowed = _OPTIONS.get(strategy, frozenset())
    for name in value:
        if name != "strategy" and name not in allowed:
            known = ", ".join(sorted(allowed)) or "none"
            raise document.error(
                f"{where}.masking.{name}", f"is no option of {strategy}; it has {known}"
            )
    kind = value.get("kind")
    if strategy is MaskingStrategy.SYNTHETIC:
        kind = one_of(document, SyntheticKind, kind, f"{where}.masking.kind")
    return Masking(
        strategy=strategy,
        first=_count(document, value, "first", where, default=0, most=_MOST_SHOWN),
        last=_count(document, value, "last", where, default=0, most=_MOST_SHOWN),
        years=_count(document, value, "years", where, default=10, most=_MOST_YEARS) or 1,
        kind=kind,
    )


def _count(
    document: Document, value: dict[str, Any], name: str, where: str, *, default: int, most: int
) -> int:
    count = value.get(name, default)
    if not isinstance(count, int) or not 0 <= count <= most:
        raise document.error(f"{where}.masking.{name}", f"must be a whole number up to {most}")
    return count
