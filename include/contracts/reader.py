"""Reads the contracts: Open Data Contract Standard YAML into the dataclasses of the model.

What the standard has no word for stands in ``customProperties``; their names are listed in
`_DATASET_PROPERTIES`, `_SOURCE_PROPERTIES` and so on, and any other name is a mistake. Every
mistake is a ContractError of one sentence that names the file, the field and the remedy.
"""

from __future__ import annotations

import codecs
import hashlib
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import yaml
from open_data_contract_standard.model import (
    CustomProperty,
    OpenDataContractStandard,
    SchemaObject,
    SchemaProperty,
    Server,
)
from pydantic import BaseModel, ValidationError

from include.contracts.model import (
    ApiEndpoint,
    BusinessDate,
    Catalog,
    Classification,
    ContractError,
    CsvFormat,
    DatasetContract,
    Field,
    FieldMapping,
    FieldType,
    JsonLinesFormat,
    LoadMode,
    SameContent,
    SourceContract,
)

CONTRACTS_ROOT = Path(__file__).resolve().parent

_DATASET_PROPERTIES = frozenset({"loadMode", "businessDate"})
_DATASET_FIELD_PROPERTIES = frozenset({"derived"})
_SOURCE_PROPERTIES = frozenset(
    {
        "source",
        "dataset",
        "timeZone",
        "folder",
        "constants",
        "delimiter",
        "isMultiline",
        "quote",
        "sameContent",
        "readyMarker",
    }
)
_SOURCE_COLUMN_PROPERTIES = frozenset({"fields", "ignored", "trim", "floatNoise"})
_API_PROPERTIES = frozenset(
    {
        "pageSize",
        "pageSizeParameter",
        "cursorParameter",
        "nextCursorHeader",
        "hasMoreHeader",
        "itemsField",
    }
)
_PHYSICAL_TYPES = {
    FieldType.TEXT: r"VARCHAR",
    FieldType.INTEGER: r"INTEGER|BIGINT",
    FieldType.DECIMAL: r"DECIMAL\(\d+,\d+\)",
    FieldType.BOOLEAN: r"BOOLEAN",
    FieldType.DATE: r"DATE",
    FieldType.TIMESTAMP: r"TIMESTAMP",
    FieldType.JSON: r"VARCHAR",
}
# Every task reads the contracts, and libyaml's loader takes a tenth of the time.
_SafeLoader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

_Choice = TypeVar("_Choice", FieldType, LoadMode, SameContent, Classification)

_NAME = re.compile(r"[a-z][a-z0-9_]*")
_VERSION = re.compile(r"\d+\.\d+\.\d+")
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
    documents = [_Document.read(path) for path in sorted((root / "datasets").glob("*.yaml"))]
    datasets = {document.path.stem: (read_dataset(document), document) for document in documents}
    sources = [
        _read_source_file(_Document.read(path), datasets)
        for path in sorted((root / "sources").glob("*.yaml"))
    ]
    return Catalog(
        datasets=tuple(dataset for dataset, _ in datasets.values()), sources=tuple(sources)
    )


@dataclass(frozen=True)
class _Document:
    """One YAML file, checked against the standard's models."""

    path: Path
    contract: OpenDataContractStandard

    @classmethod
    def read(cls, path: Path) -> _Document:
        try:
            text = path.read_text(encoding="utf-8")
            content = yaml.load(text, Loader=_SafeLoader)  # nosec B506
            contract = OpenDataContractStandard.model_validate(content)
        except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
            reason = " ".join(str(error).split())
            raise ContractError(f"{path.name}: cannot be read as YAML ({reason}).") from error
        except ValidationError as error:
            mistake = error.errors()[0]
            where = ".".join(str(part) for part in mistake["loc"]) or "the document"
            raise ContractError(
                f"{path.name}: {where}: {mistake['msg']}; see the Open Data Contract Standard v3."
            ) from None
        document = cls(path, contract)
        document._refuse_unknown_keys(content, contract, "")
        return document

    def error(self, where: str, problem: str) -> ContractError:
        return ContractError(f"{self.path.name}: {where} {problem}.")

    def properties(
        self, owner: list[CustomProperty] | None, allowed: frozenset[str], where: str
    ) -> dict[str, Any]:
        """The custom properties as names and values; an unknown name is a mistake."""
        values = {entry.property: entry.value for entry in owner or ()}
        for name in values:
            if name not in allowed:
                known = ", ".join(sorted(allowed))
                raise self.error(f"{where} custom property {name}", f"is unknown; use {known}")
        return values

    def table(self) -> SchemaObject:
        """The one schema object of the contract."""
        objects = self.contract.schema_ or []
        if len(objects) != 1 or not objects[0].properties:
            raise self.error("schema", "must hold exactly one object with properties")
        return objects[0]

    def text(self, value: Any, where: str, remedy: str) -> str:
        if not isinstance(value, str) or not value.strip():
            raise self.error(where, f"is missing; {remedy}")
        return value.strip()

    def version(self) -> str:
        version = self.contract.version or ""
        if not _VERSION.fullmatch(version):
            raise self.error("version", f"is {version!r}; write three numbers, as in 1.0.0")
        return version

    def time_zone(self, value: Any, where: str) -> str:
        try:
            return ZoneInfo(str(value)).key
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise self.error(
                where, f"is {value!r}; name an IANA time zone such as Asia/Tokyo"
            ) from None

    def _refuse_unknown_keys(self, content: Any, parsed: Any, where: str) -> None:
        # The standard's models ignore unknown keys below the top level, so that a misspelt
        # `required` would be no rule at all.
        if isinstance(parsed, BaseModel):
            fields = {f.alias or name: name for name, f in type(parsed).model_fields.items()}
            for key, value in content.items():
                if key not in fields:
                    raise self.error(
                        f"{where}{key}", "is not in the standard; correct or remove it"
                    )
                self._refuse_unknown_keys(value, getattr(parsed, fields[key]), f"{where}{key}.")
        elif isinstance(parsed, list):
            for index, (raw, item) in enumerate(zip(content, parsed, strict=True)):
                name = getattr(item, "name", None) or index
                self._refuse_unknown_keys(raw, item, f"{where}{name}.")


def read_dataset(document: _Document) -> DatasetContract:
    """A dataset contract from its document. Raises ContractError."""
    contract, table = document.contract, document.table()
    name = document.path.stem
    if contract.id != name or table.name != name:
        raise document.error("id and schema name", f"must both be {name!r}, as the file is called")
    custom = document.properties(contract.customProperties, _DATASET_PROPERTIES, "the")
    fields = tuple(_read_field(document, entry) for entry in table.properties or ())
    _refuse_repeated(document, [field.name for field in fields], "field")
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
        load_mode=_one_of(document, LoadMode, custom.get("loadMode"), "loadMode"),
        business_date=_read_business_date(document, custom.get("businessDate")),
        fields=fields,
        freshness_hours=_freshness_hours(document),
    )
    _check_key(document, dataset)
    _check_business_date(document, dataset)
    return dataset


def _freshness_hours(document: _Document) -> int | None:
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


def _read_field(document: _Document, entry: SchemaProperty) -> Field:
    name = entry.name or ""
    if not _NAME.fullmatch(name) or name in _RESERVED_NAMES:
        raise document.error(f"field {name!r}", "needs a name of small letters, digits and _")
    custom = document.properties(entry.customProperties, _DATASET_FIELD_PROPERTIES, name)
    options = entry.logicalTypeOptions or {}
    kind = _one_of(document, FieldType, entry.logicalType, f"{name}.logicalType")
    physical = document.text(entry.physicalType, f"{name}.physicalType", "give the SQL type")
    if not re.fullmatch(_PHYSICAL_TYPES[kind], physical):
        raise document.error(
            f"{name}.physicalType", f"is {physical!r}, which cannot hold a {kind.value}"
        )
    return Field(
        name=name,
        description=document.text(entry.description, f"{name}.description", "say what it means"),
        type=kind,
        physical_type=physical,
        required=bool(entry.required),
        key_position=entry.primaryKeyPosition if entry.primaryKey else None,
        minimum=_bound(document, kind, options.get("minimum"), f"{name}.minimum"),
        maximum=_bound(document, kind, options.get("maximum"), f"{name}.maximum"),
        allowed_values=tuple(str(value.value) for value in entry.enum or ()),
        pattern=_pattern(document, options.get("pattern"), f"{name}.pattern"),
        classification=_one_of(
            document,
            Classification,
            entry.classification or Classification.INTERNAL.value,
            f"{name}.classification",
        ),
        reference=_reference(entry),
        derived=bool(custom.get("derived", False)),
    )


def _reference(entry: SchemaProperty) -> str | None:
    for relationship in entry.relationships or ():
        if isinstance(relationship.to, str):
            return relationship.to
    return None


def _bound(document: _Document, kind: FieldType, value: Any, where: str) -> Decimal | date | None:
    if value is None:
        return None
    try:
        if kind in (FieldType.INTEGER, FieldType.DECIMAL):
            return Decimal(str(value))
        if kind in (FieldType.DATE, FieldType.TIMESTAMP):
            return date.fromisoformat(str(value))
    except (InvalidOperation, ValueError):
        raise document.error(where, f"is {value!r}, which is no {kind.value}") from None
    raise document.error(where, f"makes no sense for a {kind.value}; remove it")


def _pattern(document: _Document, value: Any, where: str) -> str | None:
    if value is None:
        return None
    try:
        re.compile(str(value))
    except re.error as error:
        raise document.error(where, f"is no regular expression ({error})") from None
    return str(value)


def _read_business_date(document: _Document, value: Any) -> BusinessDate:
    if not isinstance(value, dict) or not set(value) <= {"field", "eventTime"}:
        raise document.error(
            "businessDate", "must give a field and, if it is computed, its eventTime"
        )
    field = document.text(value.get("field"), "businessDate.field", "name the date field")
    return BusinessDate(field=field, event_time=value.get("eventTime"))


def _check_key(document: _Document, dataset: DatasetContract) -> None:
    positions = [f.key_position for f in dataset.fields if f.key_position is not None]
    if sorted(positions) != list(range(1, len(positions) + 1)) or not positions:
        raise document.error("primaryKeyPosition", "must number the key's fields from 1 on")
    for name in dataset.key:
        if dataset.field(name).is_personal:
            raise document.error(f"{name}.classification", "is personal, so it cannot be a key")


def _check_business_date(document: _Document, dataset: DatasetContract) -> None:
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
    document: _Document, datasets: dict[str, tuple[DatasetContract, _Document]]
) -> SourceContract:
    custom = document.properties(document.contract.customProperties, _SOURCE_PROPERTIES, "the")
    name = document.text(custom.get("dataset"), "dataset", "name the dataset it feeds")
    if name not in datasets:
        raise document.error("dataset", f"is {name!r}; use one of {', '.join(sorted(datasets))}")
    dataset, dataset_document = datasets[name]
    return read_source(document, custom, dataset, _fingerprint(document, dataset_document))


def read_source(
    document: _Document, custom: dict[str, Any], dataset: DatasetContract, fingerprint: str
) -> SourceContract:
    """A source contract from its document and the contract it feeds. Raises ContractError."""
    source = document.text(custom.get("source"), "source", "name the vendor")
    contract_id = f"{source}.{dataset.name}"
    if document.contract.id != contract_id or document.path.stem != contract_id:
        raise document.error("id", f"and the file's name must both be {contract_id!r}")
    if not _NAME.fullmatch(source):
        raise document.error("source", "needs a name of small letters, digits and _")
    columns = document.table().properties or []
    _refuse_repeated(document, [column.name or "" for column in columns], "column")
    server = _one_server(document)
    mappings, ignored = _read_mappings(document, custom.get("constants") or {}, dataset)
    description = document.contract.description
    return SourceContract(
        id=contract_id,
        source=source,
        dataset=dataset,
        version=document.version(),
        fingerprint=fingerprint,
        description=document.text(
            getattr(description, "purpose", None), "description.purpose", "say what it is"
        ),
        time_zone=document.time_zone(custom.get("timeZone"), "timeZone"),
        format=_read_format(document, server, custom),
        mappings=mappings,
        ignored_columns=ignored,
        personal_columns=_personal_columns(columns, mappings),
        file_pattern=_file_pattern(document, server),
        folder=custom.get("folder"),
        api=_read_api(document, server),
        same_content=_one_of(
            document,
            SameContent,
            custom.get("sameContent", SameContent.LOAD.value),
            "sameContent",
        ),
        ready_marker=_ready_marker(document, custom.get("readyMarker")),
    )


def _ready_marker(document: _Document, value: Any) -> str | None:
    if value is not None and not re.fullmatch(r"[\w-]*\.[\w.-]+", str(value)):
        raise document.error("readyMarker", f"is {value!r}; give the end of a name, as in .done")
    return value


def _read_mappings(
    document: _Document, constants: dict[str, Any], dataset: DatasetContract
) -> tuple[tuple[FieldMapping, ...], tuple[str, ...]]:
    """Each dataset field's origin, and the columns that the contract knows and leaves out."""
    origins: dict[str, list[SchemaProperty]] = {
        field.name: [] for field in dataset.fields if not field.derived
    }
    ignored: list[str] = []
    for column in document.table().properties or ():
        custom = _column_properties(document, column)
        if custom.get("ignored"):
            ignored.append(column.name or "")
            continue
        for name in custom.get("fields") or [column.name]:
            if name not in origins:
                raise document.error(
                    f"column {column.name!r}",
                    f"feeds no field of {dataset.name}; set its fields, or ignored: true",
                )
            origins[name].append(column)
    for name in constants:
        if name not in origins or origins[name]:
            raise document.error(
                f"constants.{name}", "must be a field of the dataset that no column feeds"
            )
    mappings = tuple(
        _read_mapping(document, dataset.field(name), columns, constants.get(name))
        for name, columns in origins.items()
    )
    return mappings, tuple(ignored)


def _column_properties(document: _Document, column: SchemaProperty) -> dict[str, Any]:
    return document.properties(
        column.customProperties, _SOURCE_COLUMN_PROPERTIES, f"column {column.name!r}"
    )


def _read_mapping(
    document: _Document, field: Field, columns: list[SchemaProperty], constant: Any
) -> FieldMapping:
    if field.required and not columns and constant is None:
        raise document.error(
            f"field {field.name}", "is required; map a column to it or give it a constant"
        )
    custom = [_column_properties(document, column) for column in columns]
    mapping = FieldMapping(
        field=field,
        columns=tuple(column.name or "" for column in columns),
        constant=None if constant is None else str(constant),
        time_zone=_written_zone(document, field, columns),
        is_trimmed=any(properties.get("trim") for properties in custom),
        has_float_noise=any(properties.get("floatNoise") for properties in custom),
    )
    if mapping.has_float_noise and field.type is not FieldType.DECIMAL:
        raise document.error(f"{field.name}.floatNoise", "is for decimals only; remove it")
    if mapping.constant is not None:
        _check_constant(document, mapping)
    return mapping


def _check_constant(document: _Document, mapping: FieldMapping) -> None:
    field, value = mapping.field, mapping.constant or ""
    where = f"constants.{field.name}"
    if field.type is not FieldType.TEXT:
        raise document.error(where, "feeds a field that is not text; map a column instead")
    if field.allowed_values and value not in field.allowed_values:
        raise document.error(where, f"must be one of {', '.join(field.allowed_values)}")
    if field.pattern and not re.fullmatch(field.pattern, value):
        raise document.error(where, f"does not match the pattern {field.pattern}")


def _written_zone(document: _Document, field: Field, columns: list[SchemaProperty]) -> str | None:
    """The zone of a timestamp written without an offset; None where offsets are written."""
    if field.type is not FieldType.TIMESTAMP:
        return None
    zones = set()
    for column in columns:
        options = column.logicalTypeOptions or {}
        where = f"column {column.name!r} logicalTypeOptions"
        if column.logicalType != "timestamp" or not isinstance(options.get("timezone"), bool):
            raise document.error(
                where,
                "must say timezone: true (offsets are written) or timezone: false with a "
                "defaultTimezone, and logicalType must be timestamp",
            )
        zone = options.get("defaultTimezone")
        zones.add(None if options["timezone"] else document.time_zone(zone, where))
    if len(zones) > 1:
        raise document.error(f"field {field.name}", "comes from columns of different time zones")
    return zones.pop() if zones else None


def _personal_columns(
    columns: Iterable[SchemaProperty], mappings: tuple[FieldMapping, ...]
) -> frozenset[str]:
    declared = {c.name for c in columns if c.classification == Classification.PERSONAL.value}
    mapped = {c for mapping in mappings if mapping.field.is_personal for c in mapping.columns}
    return frozenset(name for name in declared | mapped if name)


def _one_server(document: _Document) -> Server:
    servers = document.contract.servers or []
    if len(servers) != 1 or servers[0].type not in ("local", "api"):
        raise document.error("servers", "must hold one server of type local (files) or api")
    return servers[0]


def _read_format(
    document: _Document, server: Server, custom: dict[str, Any]
) -> CsvFormat | JsonLinesFormat:
    if server.type == "api":
        return JsonLinesFormat()
    if server.format != "csv":
        raise document.error("servers.format", f"is {server.format!r}; only csv is read")
    encoding = server.encoding or "utf-8"
    try:
        encoding = codecs.lookup(encoding).name
    except LookupError:
        raise document.error(
            "servers.encoding", f"is {encoding!r}; use utf-8, cp932 or another Python codec"
        ) from None
    if "\n".encode(encoding) != b"\n":
        raise document.error("servers.encoding", f"{encoding} has no single-byte line end")
    delimiter, quote = custom.get("delimiter") or ",", custom.get("quote") or '"'
    if any(len(mark) != 1 or not mark.isascii() for mark in (delimiter, quote)):
        raise document.error("delimiter and quote", "must each be one ASCII character")
    return CsvFormat(
        encoding=encoding,
        delimiter=delimiter,
        quote=quote,
        is_multiline=bool(custom.get("isMultiline", False)),
    )


def _file_pattern(document: _Document, server: Server) -> re.Pattern[str] | None:
    if server.type == "api":
        return None
    pattern = document.text(server.path, "servers.path", "give a pattern for the file's name")
    try:
        return re.compile(pattern)
    except re.error as error:
        raise document.error("servers.path", f"is no regular expression ({error})") from None


def _read_api(document: _Document, server: Server) -> ApiEndpoint | None:
    if server.type != "api":
        return None
    custom = document.properties(server.customProperties, _API_PROPERTIES, "servers")
    location = urlsplit(server.location or "")
    if location.scheme != "airflow" or not location.netloc or not location.path:
        raise document.error(
            "servers.location", "must be airflow://<connection id>/<path>, without a host"
        )

    def required(name: str) -> str:
        return document.text(custom.get(name), f"servers.{name}", "say how the API pages")

    page_size = custom.get("pageSize")
    if not isinstance(page_size, int) or page_size < 1:
        raise document.error("servers.pageSize", "must be a whole number of items")
    return ApiEndpoint(
        connection_id=location.netloc,
        path=location.path,
        page_size=page_size,
        page_size_parameter=required("pageSizeParameter"),
        cursor_parameter=required("cursorParameter"),
        next_cursor_header=required("nextCursorHeader"),
        has_more_header=required("hasMoreHeader"),
        items_field=required("itemsField"),
    )


def _one_of(document: _Document, choices: type[_Choice], value: Any, where: str) -> _Choice:
    try:
        return choices(value)
    except ValueError:
        known = ", ".join(choice.value for choice in choices)
        raise document.error(where, f"is {value!r}; use one of {known}") from None


def _refuse_repeated(document: _Document, names: list[str], what: str) -> None:
    for name in names:
        if not name or names.count(name) > 1:
            raise document.error(f"{what} {name!r}", "must have a name of its own")


def _fingerprint(source: _Document, dataset: _Document) -> str:
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
