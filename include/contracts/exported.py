"""How an anonymised export of a source's rows is read: by a contract of its own.

It follows from the source's. The rows come as they were stored, one JSON object a line, so neither
a vendor's spelling nor its format has a part in it; `include.privacy.export` writes them.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import replace

from include.contracts.model import (
    Classification,
    Field,
    FieldMapping,
    FieldType,
    JsonFormat,
    JsonShape,
    SameContent,
    SourceContract,
)

EXPORTS = "anonymised"
# The day of events, or the state of a master.
_FILE_PATTERN = re.compile(r"(\d{4}-\d{2}-\d{2}|current)\.jsonl")


def export_id(source_contract: str) -> str:
    """The id of the contract for exports of a source contract, as in ``fleet.sales.anonymised``."""
    return f"{source_contract}.{EXPORTS}"


def export_key(source_contract: str, name: str) -> str:
    """The object key of an exported file; ``name`` is a day as in 2026-11-20, or ``current``."""
    return f"{EXPORTS}/{export_id(source_contract)}/{name}.jsonl"


def exported_form(contract: SourceContract) -> SourceContract:
    """The contract for exports of another: same source, dataset and time zone, plain values."""
    fields = exported_fields(contract)
    hidden = (Classification.PERSONAL, Classification.FREE_TEXT)
    export = export_id(contract.id)
    return replace(
        contract,
        id=export,
        fingerprint=hashlib.sha256(f"{EXPORTS} {contract.fingerprint}".encode()).hexdigest(),
        description=f"Anonymised rows of {contract.id}, as another environment exported them.",
        format=JsonFormat(JsonShape.LINES),
        mappings=tuple(_mapping(field) for field in fields),
        ignored_columns=(),
        hidden_columns=frozenset(f.name for f in fields if f.classification in hidden),
        columns=tuple(field.name for field in fields),
        ignores_other_columns=False,
        matches_loosely=False,
        most_rejected_percent=None,
        file_pattern=_FILE_PATTERN,
        folder=export,
        api=None,
        same_content=SameContent.LOAD,
        ready_marker=None,
    )


def exported_fields(contract: SourceContract) -> tuple[Field, ...]:
    """The fields that an export has: all that are not computed when it is read."""
    return tuple(field for field in contract.dataset.fields if not field.derived)


def _mapping(field: Field) -> FieldMapping:
    # The rules are of values as vendors write them; a masked value need not keep them.
    rules = replace(field, pattern=None, allowed_values=()) if field.masking else field
    zone = "UTC" if field.type is FieldType.TIMESTAMP else None
    return FieldMapping(rules, columns=(field.name,), time_zone=zone)
