"""Reads the contracts: Open Data Contract Standard YAML into the dataclasses of the model.

What the standard has no word for stands in ``customProperties``; any name in them that is not
listed here or in `source_reader` is a mistake, and every mistake is a ContractError.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from open_data_contract_standard.model import SchemaProperty

from include.contracts.document import (
    NAME,
    Document,
    one_of,
    read_bound,
    read_pattern,
    refuse_repeated,
)
from include.contracts.exported import exported_form
from include.contracts.masking_reader import masked
from include.contracts.model import (
    BusinessDate,
    Catalog,
    Classification,
    DatasetContract,
    Field,
    FieldType,
    LoadMode,
    SourceContract,
)
from include.contracts.references import with_references
from include.contracts.source_reader import SOURCE_PROPERTIES, read_source

CONTRACTS_ROOT = Path(__file__).resolve().parent

_DATASET_PROPERTIES = frozenset({"loadMode", "businessDate"})
_DATASET_FIELD_PROPERTIES = frozenset({"derived", "masking", "quasiIdentifier"})
_PHYSICAL_TYPES = {
    FieldType.TEXT: r"VARCHAR",
    FieldType.INTEGER: r"INTEGER|BIGINT",
    FieldType.DECIMAL: r"DECIMAL\(\d+,\d+\)",
    FieldType.BOOLEAN: r"BOOLEAN",
    FieldType.DATE: r"DATE",
    FieldType.TIMESTAMP: r"TIMESTAMP",
    FieldType.JSON: r"VARCHAR",
}
_RESERVED_NAMES = frozenset({"_source", "_load_id", "_extra"})

# What a person reads and no row depends on: left out of the fingerprint, or correcting a
# description would load every file again.
_PROSE = frozenset(
    {
        "description",
        "businessName",
        "dataGranularityDescription",
        "team",
        "tags",
        "status",
        "version",
        "apiVersion",
        "domain",
        "relationships",
        "examples",
        "slaProperties",
    }
)


@lru_cache(maxsize=4)
def load_catalog(root: Path = CONTRACTS_ROOT) -> Catalog:
    """Read every contract below ``root/datasets`` and ``root/sources``.

    Raises ContractError for the first mistake found.
    """
    documents = [Document.read(path) for path in sorted((root / "datasets").glob("*.yaml"))]
    datasets = {document.path.stem: (read_dataset(document), document) for document in documents}
    sources = [
        _read_source_file(Document.read(path), datasets)
        for path in sorted((root / "sources").glob("*.yaml"))
    ]
    catalog = with_references(
        Catalog(tuple(dataset for dataset, _ in datasets.values()), tuple(sources))
    )
    return replace(catalog, exports=tuple(map(exported_form, catalog.sources)))


def read_dataset(document: Document) -> DatasetContract:
    """A dataset contract from its document. Raises ContractError."""
    contract, table = document.contract, document.table()
    name = document.path.stem
    if contract.id != name or table.name != name:
        raise document.error("id and schema name", f"must both be {name!r}, as the file is called")
    custom = document.properties(contract.customProperties, _DATASET_PROPERTIES, "the")
    fields = tuple(_read_field(document, entry) for entry in table.properties or ())
    refuse_repeated(document, [field.name for field in fields], "field")
    team = contract.team
    dataset = DatasetContract(
        name=name,
        version=document.version(),
        owner=document.text(getattr(team, "name", None), "team.name", "name who answers for it"),
        description=document.text(table.description, "description", "say what the table holds"),
        grain=document.text(
            table.dataGranularityDescription,
            "dataGranularityDescription",
            "say what one row is",
        ),
        load_mode=one_of(document, LoadMode, custom.get("loadMode"), "loadMode"),
        business_date=_read_business_date(document, custom.get("businessDate")),
        fields=fields,
        freshness_hours=_freshness_hours(document),
    )
    _check_key(document, dataset)
    _check_business_date(document, dataset)
    return dataset


def _freshness_hours(document: Document) -> int | None:
    promises = document.contract.slaProperties or []
    for promise in promises:
        if promise.property != "freshness" or promise.unit != "h":
            raise document.error(
                f"slaProperties.{promise.property}", "is not read; only freshness in h is"
            )
        if not isinstance(promise.value, int) or promise.value < 1:
            raise document.error("slaProperties.freshness", "must be a whole number of hours")
        return promise.value
    return None


def _read_field(document: Document, entry: SchemaProperty) -> Field:
    name = entry.name or ""
    if not NAME.fullmatch(name) or name in _RESERVED_NAMES:
        raise document.error(f"field {name!r}", "needs a name of small letters, digits and _")
    custom = document.properties(entry.customProperties, _DATASET_FIELD_PROPERTIES, name)
    options = entry.logicalTypeOptions or {}
    kind = one_of(document, FieldType, entry.logicalType, f"{name}.logicalType")
    physical = document.text(entry.physicalType, f"{name}.physicalType", "give the SQL type")
    if not re.fullmatch(_PHYSICAL_TYPES[kind], physical):
        raise document.error(
            f"{name}.physicalType", f"is {physical!r}, which cannot hold a {kind.value}"
        )
    field = Field(
        name=name,
        description=document.text(entry.description, f"{name}.description", "say what it means"),
        type=kind,
        physical_type=physical,
        required=bool(entry.required),
        key_position=entry.primaryKeyPosition if entry.primaryKey else None,
        minimum=read_bound(document, kind, options.get("minimum"), f"{name}.minimum"),
        maximum=read_bound(document, kind, options.get("maximum"), f"{name}.maximum"),
        allowed_values=tuple(str(value.value) for value in entry.enum or ()),
        pattern=read_pattern(document, options.get("pattern"), f"{name}.pattern"),
        classification=_classification(document, entry),
        reference=_reference(entry),
        derived=bool(custom.get("derived", False)),
        is_quasi_identifier=bool(custom.get("quasiIdentifier", False)),
    )
    return replace(field, masking=masked(document, field, custom.get("masking")))


def _classification(document: Document, entry: SchemaProperty) -> Classification | None:
    if entry.classification is None:
        return None
    return one_of(document, Classification, entry.classification, f"{entry.name}.classification")


def _reference(entry: SchemaProperty) -> str | None:
    for relationship in entry.relationships or ():
        if isinstance(relationship.to, str):
            return relationship.to
    return None


def _read_business_date(document: Document, value: Any) -> BusinessDate:
    if not isinstance(value, dict) or not set(value) <= {"field", "eventTime"}:
        raise document.error(
            "businessDate", "must give a field and, if it is computed, its eventTime"
        )
    field = document.text(value.get("field"), "businessDate.field", "name the date field")
    return BusinessDate(field=field, event_time=value.get("eventTime"))


def _check_key(document: Document, dataset: DatasetContract) -> None:
    positions = [f.key_position for f in dataset.fields if f.key_position is not None]
    if sorted(positions) != list(range(1, len(positions) + 1)) or not positions:
        raise document.error("primaryKeyPosition", "must number the key's fields from 1 on")


def _check_business_date(document: Document, dataset: DatasetContract) -> None:
    rule = dataset.business_date
    names = {field.name: field for field in dataset.fields}
    if rule.field not in names or names[rule.field].type is not FieldType.DATE:
        raise document.error("businessDate.field", f"is {rule.field!r}; name a date field")
    derived = {field.name for field in dataset.fields if field.derived}
    if derived != ({rule.field} if rule.event_time else set()):
        raise document.error(
            "derived", "belongs to the field that businessDate computes from eventTime, only"
        )
    if rule.event_time is None:
        return
    event = names.get(rule.event_time)
    if event is None or event.type is not FieldType.TIMESTAMP or not event.required:
        raise document.error("businessDate.eventTime", "must name a required timestamp field")
    if event.minimum is None or event.maximum is None:
        raise document.error(
            f"{event.name}.logicalTypeOptions",
            "needs minimum and maximum, so that a mistyped year is found",
        )


def _read_source_file(
    document: Document, datasets: dict[str, tuple[DatasetContract, Document]]
) -> SourceContract:
    custom = document.properties(document.contract.customProperties, SOURCE_PROPERTIES, "the")
    name = document.text(custom.get("dataset"), "dataset", "name the dataset it feeds")
    if name not in datasets:
        raise document.error("dataset", f"is {name!r}; use one of {', '.join(sorted(datasets))}")
    dataset, dataset_document = datasets[name]
    return read_source(document, custom, dataset, _fingerprint(document, dataset_document))


def _fingerprint(source: Document, dataset: Document) -> str:
    """SHA-256 over all of both contracts that can change a row, as 16 hexadecimal digits."""
    content = [_rules(d.contract.model_dump(exclude_none=True)) for d in (source, dataset)]
    canonical = json.dumps(content, sort_keys=True, ensure_ascii=False, default=str)
    return hashlib.sha256(canonical.encode()).hexdigest()[:16]


def _rules(node: Any) -> Any:
    if isinstance(node, dict):
        return {key: _rules(value) for key, value in node.items() if key not in _PROSE}
    if isinstance(node, list):
        return [_rules(item) for item in node]
    return node
