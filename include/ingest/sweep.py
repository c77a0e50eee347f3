"""Removes what killed runs left in the lake. Raw is never touched."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta

from include.lake import Lake, Zone
from include.warehouse import Warehouse

log = logging.getLogger(__name__)

# A run may still be about to load what it conformed; none takes longer than a day.
_ORPHAN_AGE = timedelta(days=1)
_DOCUMENT_AGE = timedelta(days=30)


def sweep(lake: Lake, warehouse: Warehouse, now: datetime | None = None) -> int:
    """Delete Parquet that no ledger row names and the documents of old runs; returns how many."""
    now = now or datetime.now(UTC)
    documents = f"{Zone.PROCESSED.value}/_runs/"
    parquet: list[str] = []
    stale: list[str] = []
    for stored in lake.list(Zone.PROCESSED.value):
        age = now - stored.modified_at
        if stored.key.startswith(documents):
            if age > _DOCUMENT_AGE:
                stale.append(stored.key)
        elif age > _ORPHAN_AGE:
            parquet.append(stored.key)
    stale += warehouse.unknown_locations(parquet)
    for key in stale:
        lake.delete(key)
    if stale:
        log.info("Removed %d leftovers of earlier runs from %s/.", len(stale), Zone.PROCESSED.value)
    return len(stale)
