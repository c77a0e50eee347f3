"""Reads the snapshot of health from the place that Airflow's configuration names.

[vending]
health_snapshot = /path/to/monitoring/health.json, or s3://bucket/monitoring/health.json
"""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from typing import Any

from airflow.configuration import conf

from health_page.places import read_place

log = logging.getLogger(__name__)

FORMAT = 2


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The document, or why there is none: ``missing``, ``unreadable`` or ``unconfigured``."""

    document: dict[str, Any] | None
    problem: str | None = None


def read_snapshot() -> Snapshot:
    """The latest snapshot; never raises."""
    place = conf.get("vending", "health_snapshot", fallback="")
    if not place:
        return Snapshot(None, "unconfigured")
    try:
        document = json.loads(read_place(place))
    except FileNotFoundError:
        return Snapshot(None, "missing")
    except Exception as error:
        # Whatever is wrong is for the log; the page says that it cannot be read.
        log.warning("The snapshot of health cannot be read (%s).", type(error).__name__)
        return Snapshot(None, "unreadable")
    is_known = isinstance(document, dict) and document.get("format") == FORMAT
    return Snapshot(document) if is_known else Snapshot(None, "unreadable")
