"""The snapshot of health: one object in the lake, from which the page in the Airflow UI is drawn.

Each step writes the part that it knows, under a claim, so that steps at the same time lose nothing:
a load the sources, a transform the marts, a publisher its sinks, and the alerts how runs ended.
plugins/health_page reads it and imports nothing from here, so the names of the fields are an
interface: a test draws a snapshot that this module wrote.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, date, datetime
from typing import Any

from include.lake import Lake, LakeError, Zone
from include.lake.claims import claimed

FORMAT = 2
# To change the snapshot takes a moment; who holds it longer has died.
CLAIM_SECONDS = 3.0


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
    is_held_back: bool
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
class ModelRun:
    """One model in one run of transform; ``at`` is in UTC."""

    at: str
    outcome: str
    seconds: float | None
    rows: int | None


@dataclass(frozen=True, slots=True)
class ModelHistory:
    """A model in its last runs, oldest first."""

    model: str
    unique_id: str
    runs: tuple[ModelRun, ...]


@dataclass(frozen=True, slots=True)
class RunState:
    """How the last run of a DAG ended. ``sentence`` says why it failed, empty if it did not."""

    dag_id: str
    run_id: str
    has_failed: bool
    at: str
    sentence: str = ""


@dataclass(frozen=True, slots=True)
class SinkVersion:
    """The version of a mart that readers find at one sink at the edge."""

    mart: str
    sink: str
    version: str
    rows: int | None
    published_at: str


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
    """Everything that the page shows.

    ``sources_at`` and ``marts_at`` say when these parts were looked at, ``loaded_at`` when the
    last file was loaded. ``run_id`` and ``run_passed`` are of the last transform. ``unknown`` names
    the parts that could not be read. Times are in UTC, ISO 8601.
    """

    environment: str
    written_at: str
    sources_at: str | None = None
    loaded_at: str | None = None
    marts_at: str | None = None
    run_id: str | None = None
    run_passed: bool | None = None
    published_run_id: str | None = None
    published_at: str | None = None
    runs: tuple[RunState, ...] = ()
    sources: tuple[SourceHealth, ...] = ()
    marts: tuple[MartHealth, ...] = ()
    failed_tests: tuple[FailedTest, ...] = ()
    findings: tuple[str, ...] = ()
    schema_changes: tuple[str, ...] = ()
    models: tuple[ModelHistory, ...] = ()
    sinks: tuple[SinkVersion, ...] = ()
    backlog: Backlog | None = None
    storage: Storage | None = None
    unknown: tuple[str, ...] = ()
    format: int = field(default=FORMAT)


def update_health(lake: Lake, environment: str, parts: Mapping[str, Any]) -> None:
    """Replace parts of the snapshot, by the names of its fields; atomically. Raises LakeError."""
    with _changing(lake, environment) as document:
        document |= json.loads(json.dumps(parts, default=asdict))


def note_run(lake: Lake, environment: str, run: RunState) -> None:
    """Say how the last run of a DAG ended. Raises LakeError."""
    with _changing(lake, environment) as document:
        others = (each for each in document["runs"] if each["dag_id"] != run.dag_id)
        document["runs"] = sorted((*others, asdict(run)), key=lambda each: each["dag_id"])


@contextmanager
def _changing(lake: Lake, environment: str) -> Iterator[dict[str, Any]]:
    """The document, to be changed in the block and written at its end."""
    key = health_key(lake)
    with claimed(lake, f"{key}.claim", CLAIM_SECONDS):
        document = read_health(lake) or asdict(Health(environment, ""))
        yield document
        document["written_at"] = iso(datetime.now(UTC))
        lake.write_bytes(key, json.dumps(document, ensure_ascii=False).encode())


def read_health(lake: Lake) -> dict[str, Any] | None:
    """The document as it is, None if there is none that can be read."""
    try:
        document = json.loads(lake.read_bytes(health_key(lake)))
    except (LakeError, ValueError):
        return None
    return document if document.get("format") == FORMAT else None


def health_key(lake: Lake) -> str:
    return lake.key(Zone.MONITORING, "health.json")


def iso(moment: date | datetime | None) -> str | None:
    """ISO 8601; a time without zone is UTC, as the warehouse holds it."""
    if isinstance(moment, datetime):
        aware = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
        return aware.strftime("%Y-%m-%dT%H:%M:%SZ")
    return moment.isoformat() if moment else None
