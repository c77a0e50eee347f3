"""What must hold of an exported file before it leaves: looked for in the file itself."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from include.contracts import MaskingStrategy
from include.contracts.masking import INJECTIVE
from include.ingest.spelling import literal
from include.privacy.anonymise import Anonymiser
from include.privacy.text import masked_sql

_SEARCHED = frozenset({MaskingStrategy.SEARCH, MaskingStrategy.WITHHOLD, MaskingStrategy.PARTIAL})


def objections(export: Anonymiser, path: Path) -> list[str]:
    """Why a file may not be released, each in one sentence without a value; empty if it may."""
    columns = ", ".join(f"{literal(field.name)}: 'VARCHAR'" for field in export.fields)
    export.connection.execute(
        f"CREATE OR REPLACE VIEW released AS SELECT * FROM read_json({literal(str(path))}, "
        f"format = 'newline_delimited', columns = {{{columns}}})"
    )
    return [*_too_few_alike(export), *_same_as_stored(export), *_personal_data(export)]


def _too_few_alike(export: Anonymiser) -> Iterator[str]:
    """k-anonymity (Sweeney 2002); rows without any quasi-identifier tell nobody anything."""
    names = [field.name for field in export.quasi_identifiers]
    if not names:
        return
    shared = ", ".join(names)
    [(groups, smallest)] = export.connection.execute(
        f"""
        WITH alike AS (
            SELECT {export.counted_persons} AS persons
            FROM released
            WHERE coalesce({shared}) IS NOT NULL
            GROUP BY {shared}
        )
        SELECT count(*), min(persons) FROM alike WHERE persons < {export.rules.k}
        """
    ).fetchall()
    if groups:
        yield (
            f"{export.contract.id}: {groups} combinations of {', '.join(names)} are those of "
            f"fewer than {export.rules.k} persons, the rarest of {smallest}; make a field that is "
            "required optional or coarser, so that it can be suppressed"
        )


def _same_as_stored(export: Anonymiser) -> Iterator[str]:
    """Re-identification by comparing: a value of the warehouse must not stand in the export."""
    for field in export.fields:
        is_keyed = field.masking is not None and field.masking.strategy in INJECTIVE
        if not is_keyed and not export.is_person(field.name):
            continue
        [(shared,)] = export.connection.execute(
            f"SELECT count(*) FROM (SELECT {field.name} FROM released "
            f"INTERSECT SELECT {field.name} FROM original) WHERE {field.name} IS NOT NULL"
        ).fetchall()
        if shared:
            yield (
                f"{export.contract.id}.{field.name}: {shared} values are those of the warehouse, "
                "so whoever knows these can tell who is meant; it was not masked again"
            )


def _personal_data(export: Anonymiser) -> Iterator[str]:
    """What an earlier version of the platform conformed may hold what today's search would find."""
    for field in export.fields:
        if field.masking is None or field.masking.strategy not in _SEARCHED:
            continue
        [(found,)] = export.connection.execute(
            f"SELECT count(*) FROM released "
            f"WHERE {masked_sql(field.name)} IS DISTINCT FROM {field.name}"
        ).fetchall()
        if found:
            yield f"{export.contract.id}.{field.name}: {found} values hold personal data"
