"""Source contracts for tests, read from YAML as the repository's own are."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from include.contracts import Catalog, load_catalog
from include.contracts.reader import CONTRACTS_ROOT

_HEAD = {
    "apiVersion": "v3.2.0",
    "kind": "DataContract",
    "version": "1.0.0",
    "status": "active",
    "domain": "vending",
}
_SERVER = {"server": "files", "type": "local", "path": r".+", "format": "csv"}


def catalog_with(folder: Path, *documents: Mapping[str, Any]) -> Catalog:
    """The repository's contracts and these, in a folder of their own."""
    root = folder / "contracts"
    for part in ("datasets", "sources"):
        shutil.copytree(CONTRACTS_ROOT / part, root / part)
    for document in documents:
        text = yaml.safe_dump(dict(document), allow_unicode=True, sort_keys=False)
        (root / "sources" / f"{document['id']}.yaml").write_text(text, encoding="utf-8")
    return load_catalog(root)


def source_document(
    contract_id: str,
    columns: Sequence[Mapping[str, Any]],
    server: Mapping[str, Any] | None = None,
    **custom: Any,
) -> dict[str, Any]:
    """A source contract's document; ``custom`` are its custom properties."""
    source, _, dataset = contract_id.partition(".")
    properties = {"source": source, "dataset": dataset, "timeZone": "Asia/Tokyo"} | custom
    return _HEAD | {
        "id": contract_id,
        "name": contract_id,
        "description": {"purpose": "A vendor of the tests."},
        "servers": [
            {"server": "files", "type": "local", "path": r".+", "format": "csv"}
            | dict(server or {})
        ],
        "customProperties": [
            {"property": name, "value": value} for name, value in properties.items()
        ],
        "schema": [
            {"name": "vendor", "logicalType": "object", "properties": [dict(c) for c in columns]}
        ],
    }


def column(name: str, *fields: str, kind: str = "string", **custom: Any) -> dict[str, Any]:
    """A column that feeds fields (none: ignored). ``options`` are logicalTypeOptions, ``enum`` and
    ``required`` the standard's own; all else is custom."""
    entry: dict[str, Any] = {"name": name, "logicalType": kind}
    options = custom.pop("options", None)
    if kind == "timestamp" and options is None:
        options = {"timezone": False, "defaultTimezone": "Asia/Tokyo"}
    if options:
        entry["logicalTypeOptions"] = options
    if "enum" in custom:
        entry["enum"] = [{"value": value} for value in custom.pop("enum")]
    if "required" in custom:
        entry["required"] = custom.pop("required")
    own = {"fields": list(fields)} if fields else {"ignored": True}
    entry["customProperties"] = [
        {"property": key, "value": value} for key, value in (own | custom).items()
    ]
    return entry
