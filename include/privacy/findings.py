"""Counts what was found and masked, by the marks that stand in its place."""

from __future__ import annotations

from include.contracts import DatasetContract, MaskingStrategy
from include.privacy.marks import FOUND_PATTERN

_SHOWING = frozenset({MaskingStrategy.SEARCH, MaskingStrategy.WITHHOLD})
# Where rows of a raw table and of quarantine hold text that no field is for.
EXTRA, RECORD = "_extra", "record"


def count_in_rows(dataset: DatasetContract, relation: str) -> str:
    """A SELECT of load_id, field, kind and the matches in rows of a dataset's raw table."""
    searched = [
        field.name
        for field in dataset.fields
        if field.masking and field.masking.strategy in _SHOWING
    ]
    return " UNION ALL ".join(_count("_load_id", name, relation) for name in (*searched, EXTRA))


def count_in_quarantine(relation: str) -> str:
    """The same of rejected rows."""
    return _count("load_id", RECORD, relation)


def _count(load_id: str, column: str, relation: str) -> str:
    # The words before the kind are looked for first, which costs next to nothing.
    marks = f"unnest(regexp_extract_all({column}, '{FOUND_PATTERN}', 1))"
    return (
        f"SELECT load_id, field, kind, count(*) AS matches FROM ("
        f"SELECT {load_id} AS load_id, '{column}' AS field, {marks} AS kind "
        f"FROM {relation} WHERE contains({column}, '[masked:')) GROUP BY ALL"
    )
