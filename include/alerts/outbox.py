"""Messages that wait for delivery, kept in the lake: monitoring/alerts/outbox/<channel>/…json."""

from __future__ import annotations

from include.lake import Lake, Zone


def count_waiting(lake: Lake) -> int:
    """How many messages wait for their channel."""
    return sum(1 for _ in lake.list(lake.key(Zone.MONITORING, "alerts", "outbox")))
