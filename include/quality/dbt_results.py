"""dbt's results as rows of `ops.dbt_results`, one for each node, those that never ran included."""

from __future__ import annotations

import json
import logging
from collections.abc import Collection, Mapping
from datetime import datetime
from typing import TYPE_CHECKING

from include.privacy.finder import mask_text
from include.quality.store import QualityStore, Row
from include.quality.tables import DBT_RESULTS
from include.transform.verdicts import Outcome, status_outcome
from include.warehouse import WarehouseError

if TYPE_CHECKING:
    from include.transform.artifacts import NodeResult
    from include.transform.manifest import DbtNode, Manifest

log = logging.getLogger(__name__)

SHOWN_ROWS = 5
SHOWN_CHARACTERS = 60
# Columns that hold whatever a vendor sent.
UNKNOWN_CONTENT = frozenset({"_extra", "record", "reasons"})


def record_results(
    store: QualityStore,
    manifest: Manifest,
    selection: Collection[str] | None,
    results: Mapping[str, NodeResult],
    run_id: str,
    now: datetime,
) -> dict[str, str]:
    """Write a row for each node; a repeat by the same run replaces its rows. ``now`` is UTC.

    Returns some masked rows of each test that failed as JSON, by unique id.
    """
    rows = [
        _row(store, node, manifest, selection, results.get(unique_id), run_id, now)
        for unique_id, node in manifest.nodes.items()
    ]
    store.replace_run(DBT_RESULTS, run_id, rows)
    return {str(row["unique_id"]): str(row["failing_rows"]) for row in rows if row["failing_rows"]}


def outcome_of(unique_id: str, selection: Collection[str] | None, result: NodeResult | None) -> str:
    """One word for a node; ``passed`` only if dbt said so."""
    if selection is not None and unique_id not in selection:
        return Outcome.NOT_SELECTED.value
    if result is None:
        return "never_ran"
    return "warned" if result.status == "warn" else status_outcome(result.status).value


def _row(
    store: QualityStore,
    node: DbtNode,
    manifest: Manifest,
    selection: Collection[str] | None,
    result: NodeResult | None,
    run_id: str,
    now: datetime,
) -> Row:
    started = result.started_at if result else None
    return {
        "run_id": run_id,
        "unique_id": node.unique_id,
        "name": node.name,
        "resource_type": node.resource_type,
        "layer": node.layer,
        "tested": _tested(node),
        "outcome": outcome_of(node.unique_id, selection, result),
        "status": result.status if result else None,
        "started_at": started.replace(tzinfo=None) if started else None,
        "seconds": result.seconds if result else None,
        "rows_affected": result.rows_affected if result else None,
        "failures": result.failures if result else None,
        "message": " ".join(result.message.split())[:500] if result else None,
        "failing_rows": _failing_rows(store, node, result),
        "recorded_at": now,
    }


def _tested(node: DbtNode) -> str | None:
    if node.resource_type != "test":
        return None
    return ", ".join(sorted(parent.rpartition(".")[2] for parent in node.parents))


def _failing_rows(store: QualityStore, node: DbtNode, result: NodeResult | None) -> str | None:
    is_failure = node.resource_type == "test" and result is not None and bool(result.failures)
    if not is_failure or not result.statement:
        return None
    try:
        rows = store.fetch_records(result.statement, SHOWN_ROWS)
    except WarehouseError as error:
        log.warning("The failing rows of %s cannot be shown: %s", node.name, error)
        return None
    return json.dumps([_masked(row) for row in rows], ensure_ascii=False)


def _masked(row: Mapping[str, object]) -> dict[str, str | None]:
    """A row as short text, without what may be a person's and without content nobody knows."""
    return {
        name: None if value is None else mask_text(str(value))[:SHOWN_CHARACTERS]
        for name, value in row.items()
        if name.lower() not in UNKNOWN_CONTENT
    }
