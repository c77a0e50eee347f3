"""Reads source contracts: one vendor's format and its mapping to a dataset."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal, InvalidOperation
from typing import Any
from urllib.parse import urlsplit

from open_data_contract_standard.model import SchemaProperty, Server

from include.contracts.document import (
    NAME,
    Document,
    one_of,
    read_bound,
    read_pattern,
    refuse_repeated,
)
from include.contracts.format_reader import FORMAT_PROPERTIES, read_format
from include.contracts.model import (
    UNKNOWN_REFERENCE,
    ApiEndpoint,
    Classification,
    DatasetContract,
    Field,
    FieldMapping,
    FieldType,
    SameContent,
    Severity,
    SourceContract,
)
from include.contracts.spelling_reader import SPELLING_PROPERTIES, read_spelling

SOURCE_PROPERTIES = FORMAT_PROPERTIES | {
    "source",
    "dataset",
    "timeZone",
    "folder",
    "constants",
    "templates",
    "defaults",
    "otherColumns",
    "headerMatching",
    "severity",
    "rejectThreshold",
    "sameContent",
    "readyMarker",
}
_COLUMN_PROPERTIES = SPELLING_PROPERTIES | {"fields", "ignored", "floatNoise"}
_TEMPLATE_PROPERTIES = SPELLING_PROPERTIES | {"template", "timeZone", "floatNoise"}
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
_PLACE = re.compile(r"\{([^{}]+)\}")
# A warning keeps the row, so only rules on values that can be stored may warn.
_CODES = {
    Severity.WARN: frozenset({"out_of_range", "unknown_value", "invalid_value", UNKNOWN_REFERENCE}),
    Severity.FAIL: frozenset(
        {
            "missing_value",
            "invalid_value",
            "out_of_range",
            "unknown_value",
            "too_precise",
            UNKNOWN_REFERENCE,
        }
    ),
}


@dataclass(frozen=True, slots=True)
class _Origin:
    """What a source contract says of how one field is given."""

    columns: tuple[str, ...] = ()
    entries: tuple[SchemaProperty, ...] = ()
    properties: tuple[Mapping[str, Any], ...] = ()
    constant: str | None = None
    template: str | None = None
    time_zone: str | None = None


def read_source(
    document: Document, custom: dict[str, Any], dataset: DatasetContract, fingerprint: str
) -> SourceContract:
    """A source contract from its document and the contract it feeds. Raises ContractError."""
    source = document.text(custom.get("source"), "source", "name the vendor")
    contract_id = f"{source}.{dataset.name}"
    if document.contract.id != contract_id or document.path.stem != contract_id:
        raise document.error("id", f"and the file's name must both be {contract_id!r}")
    if not NAME.fullmatch(source):
        raise document.error("source", "needs a name of small letters, digits and _")
    columns = document.table().properties or []
    refuse_repeated(document, [column.name or "" for column in columns], "column")
    server = _one_server(document)
    mappings, ignored = _read_mappings(document, custom, dataset)
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
        format=read_format(document, server, custom),
        mappings=mappings,
        ignored_columns=ignored,
        hidden_columns=_hidden_columns(columns, mappings),
        columns=tuple(column.name or "" for column in columns),
        ignores_other_columns=_choice(document, custom, "otherColumns", "keep", "ignore"),
        matches_loosely=_choice(document, custom, "headerMatching", "exact", "loose"),
        most_rejected_percent=_percent(document, custom.get("rejectThreshold")),
        file_pattern=_file_pattern(document, server),
        folder=custom.get("folder"),
        api=_read_api(document, server),
        same_content=one_of(
            document,
            SameContent,
            custom.get("sameContent", SameContent.LOAD.value),
            "sameContent",
        ),
        ready_marker=_ready_marker(document, custom.get("readyMarker")),
    )


def _ready_marker(document: Document, value: Any) -> str | None:
    if value is not None and not re.fullmatch(r"[\w-]*\.[\w.-]+", str(value)):
        raise document.error("readyMarker", f"is {value!r}; give the end of a name, as in .done")
    return value


def _choice(
    document: Document, custom: Mapping[str, Any], name: str, usual: str, other: str
) -> bool:
    """Whether a property has the other of its two values."""
    value = custom.get(name, usual)
    if value not in (usual, other):
        raise document.error(name, f"is {value!r}; use {usual} or {other}")
    return value == other


def _percent(document: Document, value: Any) -> Decimal | None:
    if value is None:
        return None
    try:
        percent = Decimal(str(value))
    except InvalidOperation:
        percent = Decimal(-1)
    if not 0 <= percent <= 100:
        raise document.error("rejectThreshold", f"is {value!r}; give a percentage of the rows")
    return percent


def _read_mappings(
    document: Document, custom: dict[str, Any], dataset: DatasetContract
) -> tuple[tuple[FieldMapping, ...], tuple[str, ...]]:
    """Each dataset field's origin, and the columns that the contract knows and leaves out."""
    fields = {field.name: field for field in dataset.fields if not field.derived}
    templates = _templates(document, custom.get("templates") or {}, fields)
    constants = custom.get("constants") or {}
    used = {column for origin in templates.values() for column in origin.columns}
    columns, ignored = _mapped_columns(document, fields, used)
    for name in (*constants, *templates):
        given = sum(name in part for part in (constants, templates, columns))
        if name not in fields or given > 1:
            raise document.error(
                f"constants.{name}" if name in constants else f"templates.{name}",
                "must be a field of the dataset that nothing else feeds",
            )
    defaults = _defaults(document, custom.get("defaults") or {})
    severities = _severities(document, custom.get("severity") or {}, fields)
    mappings = []
    for name, field in fields.items():
        if name in constants:
            origin = _Origin(constant=str(constants[name]))
        else:
            origin = templates.get(name) or _column_origin(document, field, columns.get(name, []))
        mapping = _read_mapping(document, field, origin, defaults)
        mappings.append(replace(mapping, severities=severities.get(name, ())))
    return tuple(mappings), ignored


def _mapped_columns(
    document: Document, fields: Mapping[str, Field], used: set[str]
) -> tuple[dict[str, list[SchemaProperty]], tuple[str, ...]]:
    """The columns of each field, and those that are left out."""
    mapped: dict[str, list[SchemaProperty]] = {}
    ignored: list[str] = []
    for column in document.table().properties or ():
        custom = _column_properties(document, column)
        name = column.name or ""
        if custom.get("ignored"):
            ignored.append(name)
            continue
        own = [name] if name in fields else []
        fed = custom.get("fields") or own
        if not fed and name not in used:
            raise document.error(
                f"column {name!r}",
                "feeds no field of the dataset; set its fields, or ignored: true",
            )
        for field in fed:
            if field not in fields:
                raise document.error(
                    f"column {name!r}",
                    f"feeds no field of the dataset, which has no {field}; correct its fields",
                )
            mapped.setdefault(field, []).append(column)
    declared = {column.name for column in document.table().properties or ()}
    for name in used - declared:
        raise document.error("templates", f"use the column {name!r}, which is not declared")
    return mapped, tuple(ignored)


def _templates(
    document: Document, templates: Any, fields: Mapping[str, Field]
) -> dict[str, _Origin]:
    origins = {}
    for name, value in templates.items():
        properties = value if isinstance(value, dict) else {"template": value}
        where = f"templates.{name}"
        for key in properties:
            if key not in _TEMPLATE_PROPERTIES:
                known = ", ".join(sorted(_TEMPLATE_PROPERTIES))
                raise document.error(f"{where}.{key}", f"is unknown; use {known}")
        template = str(properties.get("template") or "")
        columns = tuple(dict.fromkeys(_PLACE.findall(template)))
        if not columns:
            raise document.error(where, "must name columns in braces, as in {store}-{receipt}")
        zone = properties.get("timeZone")
        origins[name] = _Origin(
            columns=columns,
            properties=(properties,),
            template=template,
            time_zone=None if zone is None else document.time_zone(zone, where),
        )
    return origins


def _column_origin(document: Document, field: Field, columns: list[SchemaProperty]) -> _Origin:
    return _Origin(
        columns=tuple(column.name or "" for column in columns),
        entries=tuple(columns),
        properties=tuple(_column_properties(document, column) for column in columns),
        time_zone=_written_zone(document, field, columns),
    )


def _defaults(document: Document, defaults: Any) -> Mapping[str, Any]:
    for name in defaults:
        if name not in SPELLING_PROPERTIES:
            known = ", ".join(sorted(SPELLING_PROPERTIES))
            raise document.error(f"defaults.{name}", f"is unknown; use {known}")
    return defaults


def _severities(
    document: Document, rules: Any, fields: Mapping[str, Field]
) -> dict[str, tuple[tuple[str, Severity], ...]]:
    """Of each field the codes that do something else than reject the row."""
    severities: dict[str, tuple[tuple[str, Severity], ...]] = {}
    for rule, value in rules.items():
        name, _, code = str(rule).partition(".")
        where = f"severity.{rule}"
        severity = one_of(document, Severity, value, where)
        known = _CODES.get(severity, _CODES[Severity.FAIL])
        if name not in fields or code not in known:
            raise document.error(where, f"must be <field>.<code>; {value} has {', '.join(known)}")
        if (
            severity is Severity.WARN
            and code == "invalid_value"
            and fields[name].type is not FieldType.TEXT
        ):
            raise document.error(where, "cannot warn, because such a value cannot be stored")
        if code == UNKNOWN_REFERENCE and not fields[name].reference:
            raise document.error(where, "needs a relationship of the field in the dataset contract")
        severities[name] = (*severities.get(name, ()), (code, severity))
    return severities


def _column_properties(document: Document, column: SchemaProperty) -> dict[str, Any]:
    return document.properties(
        column.customProperties, _COLUMN_PROPERTIES, f"column {column.name!r}"
    )


def _read_mapping(
    document: Document, field: Field, origin: _Origin, defaults: Mapping[str, Any]
) -> FieldMapping:
    if field.required and not origin.columns and origin.constant is None:
        raise document.error(
            f"field {field.name}", "is required; map a column to it or give it a constant"
        )
    mapping = FieldMapping(
        field=field,
        columns=origin.columns,
        constant=origin.constant,
        template=origin.template,
        time_zone=origin.time_zone,
        spelling=read_spelling(document, field, origin.properties, defaults),
        has_float_noise=any(properties.get("floatNoise") for properties in origin.properties),
        stricter=_stricter(document, field, origin.entries),
    )
    if mapping.has_float_noise and field.type is not FieldType.DECIMAL:
        raise document.error(f"{field.name}.floatNoise", "is for decimals only; remove it")
    if mapping.constant is not None:
        _check_constant(document, mapping)
    if field.type is FieldType.TIMESTAMP and mapping.spelling.formats:
        _check_offsets(document, mapping)
    return mapping


def _stricter(document: Document, field: Field, columns: Iterable[SchemaProperty]) -> Field | None:
    """The rules that the source's columns add to the field's own, or None."""
    rules = replace(
        field, required=False, minimum=None, maximum=None, allowed_values=(), pattern=None
    )
    plain = rules
    for column in columns:
        options = column.logicalTypeOptions or {}
        where = f"column {column.name!r}"
        minimum = read_bound(document, field.type, options.get("minimum"), f"{where} minimum")
        maximum = read_bound(document, field.type, options.get("maximum"), f"{where} maximum")
        rules = replace(
            rules,
            required=rules.required or bool(column.required),
            minimum=rules.minimum if minimum is None else minimum,
            maximum=rules.maximum if maximum is None else maximum,
            allowed_values=rules.allowed_values
            or tuple(str(value.value) for value in column.enum or ()),
            pattern=rules.pattern
            or read_pattern(document, options.get("pattern"), f"{where} pattern"),
        )
    return None if rules == plain else rules


def _check_offsets(document: Document, mapping: FieldMapping) -> None:
    for written in mapping.spelling.formats:
        has_offset = written.endswith("%z")
        if "%" in written and has_offset == (mapping.time_zone is not None):
            raise document.error(
                f"{mapping.field.name}.formats",
                f"{written!r} and the time zone do not go together: offsets are written (%z at the "
                "end, timezone: true) or they are not (timezone: false, a defaultTimezone)",
            )


def _check_constant(document: Document, mapping: FieldMapping) -> None:
    field, value = mapping.field, mapping.constant or ""
    where = f"constants.{field.name}"
    if field.type is not FieldType.TEXT:
        raise document.error(where, "feeds a field that is not text; map a column instead")
    if field.allowed_values and value not in field.allowed_values:
        raise document.error(where, f"must be one of {', '.join(field.allowed_values)}")
    if field.pattern and not re.fullmatch(field.pattern, value):
        raise document.error(where, f"does not match the pattern {field.pattern}")


def _written_zone(document: Document, field: Field, columns: list[SchemaProperty]) -> str | None:
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


def _hidden_columns(
    columns: Iterable[SchemaProperty], mappings: tuple[FieldMapping, ...]
) -> frozenset[str]:
    """The columns whose values quarantine does not show, masked or not."""
    hidden = {Classification.PERSONAL, Classification.FREE_TEXT}
    declared = {column.name for column in columns if column.classification in hidden}
    mapped = {c for m in mappings if m.field.classification in hidden for c in m.columns}
    return frozenset(name for name in declared | mapped if name)


def _one_server(document: Document) -> Server:
    servers = document.contract.servers or []
    if len(servers) != 1 or servers[0].type not in ("local", "api"):
        raise document.error("servers", "must hold one server of type local (files) or api")
    return servers[0]


def _file_pattern(document: Document, server: Server) -> re.Pattern[str] | None:
    if server.type == "api":
        return None
    pattern = document.text(server.path, "servers.path", "give a pattern for the file's name")
    try:
        return re.compile(pattern)
    except re.error as error:
        raise document.error("servers.path", f"is no regular expression ({error})") from None


def _read_api(document: Document, server: Server) -> ApiEndpoint | None:
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
