"""Open incidents, kept in the lake, so that people hear once about each thing that matters.

monitoring/alerts/incidents/<dag_id>/<key>.json        an incident; whoever creates it tells it
monitoring/alerts/repeats/<dag_id>/<key>/<run>-<task>  each task of each run that fell to it

Both are only ever created, never changed, so processes that fail at the same time lose nothing.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass

from include.alerts.formatter import Alert, Outcome
from include.lake import Lake, LakeError, Zone

# What differs between two tasks with the same cause: paths, quoted names, numbers.
_DIFFERING = re.compile(r"\S*[/\\]\S*|'[^']*'|\"[^\"]*\"|\d+")


@dataclass(frozen=True, slots=True)
class Incident:
    """What was told when it began. ``opened_at`` is in UTC, ISO 8601."""

    key: str
    dag_id: str
    outcome: str
    title: str
    sentence: str
    opened_at: str
    run_id: str


def count_open(lake: Lake) -> int:
    """How many incidents are open."""
    return sum(1 for _ in lake.list(_folder(lake, "incidents")))


def gather(lake: Lake, alert: Alert) -> bool:
    """Count an alert to its incident; returns whether it begins one. Raises LakeError."""
    key = incident_key(alert)
    lake.create_bytes(
        f"{_folder(lake, 'repeats', alert.dag_id, key)}/{_safe(alert.run_id)}-"
        f"{_safe(alert.subject or '')}",
        alert.run_id.encode(),
    )
    incident = Incident(
        key=key,
        dag_id=alert.dag_id,
        outcome=alert.outcome.value,
        title=alert.title,
        sentence=alert.sentence,
        opened_at=alert.happened_at.isoformat() if alert.happened_at else "",
        run_id=alert.run_id,
    )
    content = json.dumps(asdict(incident), ensure_ascii=False).encode()
    return lake.create_bytes(f"{_folder(lake, 'incidents', alert.dag_id)}/{key}.json", content)


def close_all(lake: Lake, dag_id: str, run_id: str) -> list[tuple[Incident, int]]:
    """Close the incidents of a DAG of which a run succeeded; each with the runs that fell to it.

    What the run itself noticed stays open: the next run that does not notice it closes it. Raises
    LakeError.
    """
    closed = []
    for key, incident in list(_open(lake, dag_id)):
        repeats = [stored.key for stored in lake.list(_folder(lake, "repeats", dag_id, key))]
        runs = {lake.read_bytes(repeat).decode() for repeat in repeats}
        if incident.outcome == Outcome.NOTICED and run_id in runs:
            continue
        # The repeats first: killed between, the incident is closed again, and told again.
        for repeat in repeats:
            lake.delete(repeat)
        lake.delete(f"{_folder(lake, 'incidents', dag_id)}/{key}.json")
        closed.append((incident, len(runs)))
    return closed


def incident_key(alert: Alert) -> str:
    """The same for tasks of one DAG that fail of the same cause."""
    cause = _DIFFERING.sub("…", alert.sentence.lower())
    parts = (alert.environment.value, alert.dag_id, alert.outcome.value, cause)
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:20]


def _open(lake: Lake, dag_id: str) -> Iterator[tuple[str, Incident]]:
    for stored in lake.list(_folder(lake, "incidents", dag_id)):
        key = stored.key.rsplit("/", 1)[1].removesuffix(".json")
        try:
            yield key, Incident(**json.loads(lake.read_bytes(stored.key)))
        except LakeError:  # closed by another process meanwhile
            continue
        except (ValueError, TypeError):
            lake.delete(stored.key)


def _folder(lake: Lake, kind: str, *parts: str) -> str:
    return lake.key(Zone.MONITORING, "alerts", kind, *(_safe(part) for part in parts))


def _safe(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9_+-]", "_", name)
