"""dbt's documentation of the project, kept in the lake for the page in the Airflow UI.

dbt-artifacts/documentation/index.html       the page, as dbt brings it
dbt-artifacts/documentation/manifest.json    the project
dbt-artifacts/documentation/catalog.json     the columns that the warehouse has now

`dbt docs generate` would parse the project again and ask the warehouse what we know already.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from include.lake import Lake, Zone
from include.transform.manifest import Manifest

# https://schemas.getdbt.com/dbt/catalog/v1.json
CATALOG_SCHEMA = "https://schemas.getdbt.com/dbt/catalog/v1.json"


@dataclass(frozen=True, slots=True)
class RelationColumn:
    """A column of the warehouse; ``relation`` as in marts.fct_sales, ``position`` from 1."""

    relation: str
    name: str
    data_type: str
    position: int


def store_documentation(
    lake: Lake, manifest_path: Path, manifest: Manifest, columns: Iterable[RelationColumn]
) -> None:
    """Keep the three objects. Raises LakeError."""
    content = {
        "index.html": files("dbt.task.docs").joinpath("index.html").read_bytes(),
        "manifest.json": manifest_path.read_bytes(),
        "catalog.json": json.dumps(catalog(manifest, columns), ensure_ascii=False).encode(),
    }
    for name, document in content.items():
        lake.write_bytes(lake.key(Zone.ARTIFACTS, "documentation", name), document)


def catalog(manifest: Manifest, columns: Iterable[RelationColumn]) -> dict[str, Any]:
    """A catalog as dbt writes it, of the relations that the warehouse has."""
    by_relation: dict[str, list[RelationColumn]] = defaultdict(list)
    for column in columns:
        by_relation[column.relation].append(column)
    entries: dict[str, dict[str, Any]] = {"nodes": {}, "sources": {}}
    for relation, unique_id in manifest.relation_ids.items():
        if found := by_relation.get(relation):
            kind = "sources" if unique_id.startswith("source.") else "nodes"
            entries[kind][unique_id] = _entry(unique_id, relation, found)
    return {"metadata": {"dbt_schema_version": CATALOG_SCHEMA}, **entries, "errors": None}


def _entry(unique_id: str, relation: str, columns: list[RelationColumn]) -> dict[str, Any]:
    schema, _, name = relation.partition(".")
    return {
        "unique_id": unique_id,
        "metadata": {"type": "", "schema": schema, "name": name, "owner": None, "comment": None},
        "columns": {
            column.name: {
                "name": column.name,
                "type": column.data_type,
                "index": column.position,
                "comment": None,
            }
            for column in columns
        },
        "stats": {},
    }
