"""The events of a dbt build: a job for each model and test, below the task that ran them."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from openlineage.client.event_v2 import RunEvent
from openlineage.common.provider.dbt.facets import DbtRunRunFacet, ParentRunMetadata
from openlineage.common.provider.dbt.processor import DbtArtifactProcessor

from include.lineage.columns import columns_of_models
from include.lineage.datasets import Parents, column_facet
from include.lineage.places import Place, Places
from include.transform.artifacts import RUN_RESULTS
from include.transform.manifest import Manifest

PRODUCER = "https://github.com/OpenLineage/OpenLineage/tree/main/integration/dbt"


def build_events(places: Places, target_path: Path, parent: ParentRunMetadata) -> list[RunEvent]:
    """What OpenLineage's own integration makes of the artifacts in dbt's target folder.

    Its columns are ours: it reads each model's SQL alone, without knowing what a star stands for.
    """
    manifest = json.loads((target_path / "manifest.json").read_bytes())
    results = json.loads((target_path / RUN_RESULTS).read_bytes())
    processor = _Artifacts(places, manifest, results, parent)
    events: list[RunEvent] = processor.parse().events()
    facets = dict(_column_facets(places, Manifest(manifest)))
    for event in events:
        for output in event.outputs:
            if output.name in facets:
                output.facets["columnLineage"] = column_facet(facets[output.name])
    return events


class _Artifacts(DbtArtifactProcessor):
    """The integration's processor over artifacts that are read already."""

    def __init__(
        self,
        places: Places,
        manifest: dict[str, Any],
        results: dict[str, Any],
        parent: ParentRunMetadata,
    ) -> None:
        # A node whose status it does not know must not hide the others.
        super().__init__(
            producer=PRODUCER,
            job_namespace=parent.job_namespace,
            skip_errors=True,
            logger=logging.getLogger(__name__),
        )
        self._places, self._manifest, self._results = places, manifest, results
        self.dbt_run_metadata = parent

    def get_dbt_metadata(self) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any], None]:
        adapter = {"type": self._manifest["metadata"]["adapter_type"]}
        return self._manifest, self._results, adapter, None

    def extract_namespace(self, profile: dict[str, Any]) -> str:
        return self._places.warehouse

    def get_column_lineage(self, namespace: str, compiled_sql: str) -> None:
        return None

    def dbt_run_run_facet(self) -> dict[str, DbtRunRunFacet]:
        invocation = self.run_metadata["invocation_id"]
        return {"dbt_run": DbtRunRunFacet(invocation_id=invocation, dbt_runtime="core")}


def _column_facets(places: Places, manifest: Manifest) -> Iterator[tuple[str, Parents]]:
    nodes = manifest.content["nodes"] | manifest.content["sources"]
    tables = {
        relation: places.table(node["schema"], node.get("identifier") or node["alias"])
        for relation, unique_id in manifest.relation_ids.items()
        if (node := nodes[unique_id])
    }
    for relation, columns in columns_of_models().items():
        # A model that has been added since `make lineage` has no columns yet, one that has gone
        # has no table.
        if relation in tables:
            yield (
                tables[relation].name,
                {
                    column: [_column(tables, name) for name in made_of]
                    for column, made_of in columns.items()
                },
            )


def _column(tables: dict[str, Place], name: str) -> tuple[Place, str]:
    relation, _, column = name.rpartition(".")
    return tables[relation], column
