"""What stands downstream of a failure: marts and exposures, and who answers for them."""

from __future__ import annotations

import logging
from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING

from include.settings import Settings

if TYPE_CHECKING:
    from include.transform.manifest import Manifest

log = logging.getLogger(__name__)

# DAGs whose failure keeps new data from every mart.
FEEDING_DAGS = frozenset({"ingest_files", "ingest_apis"})


@dataclass(frozen=True, slots=True)
class Impact:
    """Names of marts and exposures, and their owners, each in alphabetical order."""

    affected: tuple[str, ...] = ()
    owners: tuple[str, ...] = ()


def impact_of(dag_id: str, error: object, settings: Settings) -> Impact:
    """What a failure of a DAG keeps from being right; nothing if it cannot be found out.

    Of `transform` it is what stands behind the dbt nodes that the error names (``nodes``), or
    behind all of them; of the ingest DAGs every mart; of the others nothing.
    """
    if dag_id not in FEEDING_DAGS | {"transform"}:
        return Impact()
    # Imported here: only a failure pays for it.
    from include.transform.manifest import ManifestError, load_manifest

    try:
        manifest = load_manifest(settings.dbt_manifest_path)
    except ManifestError as problem:
        # An alert without it is better than none.
        log.warning("What is affected is not known: %s", problem)
        return Impact()
    return behind(manifest, carried(error, "nodes") or list(manifest.nodes))


def carried(error: object, name: str) -> tuple[str, ...]:
    """What an error, or the one that it was raised from, carries under a name."""
    cause = getattr(error, "__cause__", None)
    return getattr(error, name, None) or getattr(cause, name, None) or ()


def behind(manifest: Manifest, nodes: Collection[str]) -> Impact:
    """The marts among and below dbt nodes (of a test: below what it tests), and exposures."""
    marts = manifest.marts_behind(nodes)
    ids = {mart.unique_id for mart in marts}
    exposures = [
        exposure
        for exposure in manifest.content.get("exposures", {}).values()
        if ids & set(exposure["depends_on"]["nodes"])
    ]
    owners = {
        *(manifest.owner(mart.unique_id) for mart in marts),
        *(exposure["owner"]["name"] for exposure in exposures),
    }
    names = [*(exposure["name"] for exposure in exposures), *(mart.name for mart in marts)]
    return Impact(tuple(names), tuple(sorted(owner for owner in owners if owner)))
