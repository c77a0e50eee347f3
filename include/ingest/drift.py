"""In what a file differs from its contract, column by column."""

from __future__ import annotations

import unicodedata
from collections.abc import Collection, Iterator, Sequence
from difflib import SequenceMatcher

from include.contracts import FieldType, SourceContract
from include.ingest.plan import ColumnDrift, DriftKind
from include.privacy.finder import mask_text

# Names that are more alike than this are one column, renamed.
_ALIKE = 0.75


def header_drift(contract: SourceContract, written: Sequence[str]) -> tuple[ColumnDrift, ...]:
    """Added, missing, renamed and reordered columns of a header, as the file writes it.

    A column that is gone is renamed if an unknown one stands in its place or has nearly its name.
    A column is not missing where another one that the contract allows gives its fields.
    """
    names = contract.declared_names(tuple(written))
    if contract.columns and contract.known_columns.isdisjoint(names):
        # Without one column of the contract the line is likely to be a row, of a file without a
        # header, and its values are nobody's column names.
        return tuple(_missing(contract, contract.columns, frozenset()))
    where = {name: position for position, name in enumerate(names, start=1)}
    added = [name for name in where if name not in contract.columns]
    missing = [name for name in contract.columns if name not in where]
    drift = [
        ColumnDrift(kind=DriftKind.RENAMED, column=text, expected=name, found=text)
        for name, text in zip(names, written, strict=True)
        if name != text
    ]
    for name in list(missing):
        if new := _new_name(contract, name, added, where):
            missing.remove(name)
            added.remove(new)
            drift.append(ColumnDrift(kind=DriftKind.RENAMED, column=new, expected=name, found=new))
    drift += [
        ColumnDrift(kind=DriftKind.ADDED, column=name, found=f"column {where[name]}")
        for name in contract.unknown_columns(added)
    ]
    drift += _missing(contract, missing, frozenset(names))
    return tuple(map(_without_personal_data, (*drift, *_moved(contract, names))))


def _missing(
    contract: SourceContract, columns: Sequence[str], names: frozenset[str]
) -> Iterator[ColumnDrift]:
    for name in columns:
        if not _is_given_otherwise(contract, name, names):
            yield ColumnDrift(kind=DriftKind.MISSING, column=name, expected=_place(contract, name))


def _without_personal_data(drift: ColumnDrift) -> ColumnDrift:
    found = drift.found and mask_text(drift.found)
    return drift.model_copy(update={"column": mask_text(drift.column), "found": found})


def retyped(column: str, expected: FieldType, found: FieldType) -> ColumnDrift:
    """A column most of whose values are of another type."""
    return ColumnDrift(
        kind=DriftKind.RETYPED, column=column, expected=expected.value, found=found.value
    )


def object_drift(
    contract: SourceContract, added: Collection[str], absent: Collection[str]
) -> tuple[ColumnDrift, ...]:
    """Added, missing and renamed fields of the objects of a JSON file.

    ``added`` has those that the contract does not know, ``absent`` those that no object has. Order
    means nothing there, so a field is renamed if an unknown one has nearly its name.
    """
    unexplained = sorted(added)
    present = frozenset(contract.columns) - frozenset(absent)
    drift: list[ColumnDrift] = []
    for name in sorted(absent):
        new = next((other for other in unexplained if _is_alike(name, other)), None)
        if new is not None:
            unexplained.remove(new)
            drift.append(ColumnDrift(kind=DriftKind.RENAMED, column=new, expected=name, found=new))
        elif not _is_given_otherwise(contract, name, present):
            drift.append(ColumnDrift(kind=DriftKind.MISSING, column=name))
    drift += [ColumnDrift(kind=DriftKind.ADDED, column=name) for name in unexplained]
    return tuple(map(_without_personal_data, drift))


def _new_name(
    contract: SourceContract, name: str, added: Sequence[str], where: dict[str, int]
) -> str | None:
    place = contract.columns.index(name) + 1
    for new in added:
        is_in_place = where[new] == place and len(where) == len(contract.columns)
        if is_in_place or _is_alike(name, new):
            return new
    return None


def _is_alike(name: str, other: str) -> bool:
    return SequenceMatcher(None, _core(name), _core(other)).ratio() > _ALIKE


def _core(name: str) -> str:
    text = unicodedata.normalize("NFKC", name).casefold()
    return "".join(character for character in text if character.isalnum())


def _is_given_otherwise(contract: SourceContract, name: str, names: frozenset[str]) -> bool:
    fed = [mapping for mapping in contract.mappings if name in mapping.columns]
    return bool(fed) and all(mapping.is_given_by(names) for mapping in fed)


def _place(contract: SourceContract, name: str) -> str:
    return f"column {contract.columns.index(name) + 1}"


def _moved(contract: SourceContract, names: Sequence[str]) -> Iterator[ColumnDrift]:
    """Columns that do not stand in the contract's order, as few as explain it."""
    expected = [name for name in contract.columns if name in names]
    found = [name for name in names if name in contract.columns]
    matcher = SequenceMatcher(None, expected, found, autojunk=False)
    for kind, _, _, start, end in matcher.get_opcodes():
        if kind in ("insert", "replace"):
            for name in found[start:end]:
                yield ColumnDrift(
                    kind=DriftKind.REORDERED,
                    column=name,
                    expected=_place(contract, name),
                    found=f"column {names.index(name) + 1}",
                )
