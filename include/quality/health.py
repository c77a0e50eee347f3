"""The snapshot of health: one object in the lake, from which the page in the Airflow UI is drawn.

plugins/health_page reads it and imports nothing from here, so the names of the fields are an
interface: a test draws a snapshot that this module wrote.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, date, datetime
from typing import Any

from include.lake import Lake, LakeError, Zone

FORMAT = 1


@dataclass(frozen=True, slots=True)
class Point:
    """One day of a series; ``day`` as in 2026-11-20."""

    day: str
    value: float


@dataclass(frozen=True, slots=True)
class SourceHealth:
    """One dataset of one source. Times are in UTC, ISO 8601."""

    source: str
    dataset: str
    last_file: str
    last_landed_at: str
    last_business_date: str | None
    files: int
    rows: int
    quarantined: Mapping[str, int]
    drift: tuple[str, ...]
    is_late: bool


@dataclass(frozen=True, slots=True)
class MartHealth:
    """One mart. ``built_at`` is its last success in UTC; ``low`` to ``high`` its usual volume."""

    name: str
    owner: str
    outcome: str
    built_at: str | None
    tests_passed: int
    tests_failed: int
    tests_never_run: int
    volume: tuple[Point, ...] = ()
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True)
class FailedTest:
    name: str
    tested: str
    failures: int | None
    message: str


@dataclass(frozen=True, slots=True)
class RunTime:
    """Seconds of one model in its last runs, oldest first."""

    model: str
    seconds: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Backlog:
    """What waits for somebody: rejected rows, removed files, incidents, undelivered alerts."""

    rejected_rows: int
    oldest_rejection: str | None
    removed_files: int
    open_incidents: int
    undelivered_alerts: int


@dataclass(frozen=True, slots=True)
class Storage:
    warehouse_bytes: int | None
    raw_bytes: int
    files: int


@dataclass(frozen=True, slots=True)
class Health:
    """Everything that the page shows. ``unknown`` names the parts that could not be read."""

    environment: str
    written_at: str
    run_id: str
    run_passed: bool
    published_run_id: str | None
    published_at: str | None
    sources: tuple[SourceHealth, ...]
    marts: tuple[MartHealth, ...]
    failed_tests: tuple[FailedTest, ...]
    findings: tuple[str, ...]
    schema_changes: tuple[str, ...]
    run_times: tuple[RunTime, ...]
    backlog: Backlog | None
    storage: Storage | None
    unknown: tuple[str, ...] = ()
    format: int = field(default=FORMAT)


def write_health(lake: Lake, health: Health) -> None:
    """Replace the snapshot atomically; what was published last stays known."""
    before = read_health(lake)
    if before and health.published_at is None:
        health = replace(
            health,
            published_at=before.get("published_at"),
            published_run_id=before.get("published_run_id"),
        )
    _write(lake, asdict(health))


def mark_published(lake: Lake, run_id: str, at: datetime) -> None:
    """Say in the snapshot that the marts of a run are published. ``at`` is in UTC."""
    document = read_health(lake)
    if document is not None:
        _write(lake, document | {"published_run_id": run_id, "published_at": iso(at)})


def read_health(lake: Lake) -> dict[str, Any] | None:
    """The document as it is, None if there is none that can be read."""
    try:
        return json.loads(lake.read_bytes(health_key(lake)))
    except (LakeError, ValueError):
        return None


def health_key(lake: Lake) -> str:
    return lake.key(Zone.MONITORING, "health.json")


def iso(moment: date | datetime | None) -> str | None:
    """ISO 8601; a time without zone is UTC, as the warehouse holds it."""
    if isinstance(moment, datetime):
        aware = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
        return aware.strftime("%Y-%m-%dT%H:%M:%SZ")
    return moment.isoformat() if moment else None


def _write(lake: Lake, document: Mapping[str, Any]) -> None:
    lake.write_bytes(health_key(lake), json.dumps(document, ensure_ascii=False).encode())
