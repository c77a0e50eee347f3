"""Open incidents, kept in the lake: monitoring/alerts/incidents/<key>.json, one object each."""

from __future__ import annotations

from include.lake import Lake, Zone


def count_open(lake: Lake) -> int:
    """How many incidents are open."""
    return sum(1 for _ in lake.list(lake.key(Zone.MONITORING, "alerts", "incidents")))
