"""How a field's values are masked, as a dataset contract says it.

A field names its strategy in the custom property ``masking``, as in
``{strategy: partial, last: 4}``; what each strategy makes of a value is in `include.privacy`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class MaskingStrategy(StrEnum):
    """What is stored in place of a value.

    ``keyed_hash`` and ``token`` keep equal values equal, and of a token the original is kept in
    the vault; ``synthetic`` gives an invented person's value, ``age_band`` and ``prefecture``
    something coarser, ``partial`` some of the characters, ``withhold`` nothing at all. ``search``
    keeps the text without the personal data that can be recognised in it.
    """

    KEYED_HASH = "keyed_hash"
    TOKEN = "token"
    PARTIAL = "partial"
    AGE_BAND = "age_band"
    PREFECTURE = "prefecture"
    SYNTHETIC = "synthetic"
    WITHHOLD = "withhold"
    SEARCH = "search"


class SyntheticKind(StrEnum):
    """What a synthetic value is the value of."""

    NAME = "name"
    PHONE = "phone"
    EMAIL = "email"


# Their masked values stand for exactly one value each, so they may be part of a key.
INJECTIVE = frozenset({MaskingStrategy.KEYED_HASH, MaskingStrategy.TOKEN})
# They need the pepper.
KEYED = INJECTIVE | {MaskingStrategy.SYNTHETIC}


@dataclass(frozen=True, slots=True)
class Masking:
    """A strategy and its options.

    ``first`` and ``last`` are the characters that a partial mask leaves, ``years`` is the width of
    an age band, ``kind`` is given for a synthetic value.
    """

    strategy: MaskingStrategy
    first: int = 0
    last: int = 0
    years: int = 10
    kind: SyntheticKind | None = None


WITHHELD = Masking(MaskingStrategy.WITHHOLD)
SEARCHED = Masking(MaskingStrategy.SEARCH)
