"""What could not be told where it happened, kept in the lake until `deliver_alerts` tells it.

A missed deadline is noticed by the triggerer, which on MWAA cannot import this package: its
callback (plugins/vending_deadlines.py) stores an event and knows nothing of channels.

monitoring/alerts/events/<name>.json    what `StoredEvent` says
"""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from include.alerts.callbacks import runbook_of
from include.alerts.formatter import Alert, Outcome
from include.lake import Lake, LakeError, Zone, open_lake
from include.lake.layout import attributes
from include.settings import DiskLakeSettings, Settings

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """Something about a run; the fields are an interface. ``happened_at``: ISO 8601 in UTC."""

    outcome: str
    dag_id: str
    run_id: str
    sentence: str
    happened_at: str
    subject: str | None = None


def tell_stored(settings: Settings) -> int:
    """Tell every stored event and forget it; returns how many there were. Raises LakeError."""
    # Imported here: every parse of a DAG file with a deadline imports this module.
    from include.alerts.telling import tell

    lake = open_lake(settings.lake)
    told = 0
    for stored in list(lake.list(_folder(lake))):
        event = _read(lake, stored.key)
        if event is not None:
            tell(_alert(event, settings), settings)
            told += 1
        # Killed before, it is told again, and that is the same incident.
        lake.delete(stored.key)
    return told


def deadline_event(settings: Settings, dag_id: str, sentence: str) -> dict[str, Any]:
    """The keyword arguments of `vending_deadlines.keep_if_late`: where to store what.

    Like every writer of the lake it names the encryption and the classification of the object.
    """
    assert not isinstance(settings.lake, DiskLakeSettings)
    lake, key = settings.lake, f"{Zone.MONITORING}/alerts/events"
    return {
        "place": f"s3://{lake.bucket}/{key}",
        "connection_id": lake.connection_id,
        "attributes": attributes(lake, key),
        "event": {"outcome": Outcome.LATE.value, "dag_id": dag_id, "sentence": sentence},
    }


def _alert(event: StoredEvent, settings: Settings) -> Alert:
    from include.alerts.impact import impact_of

    impact = impact_of(event.dag_id, None, settings)
    return Alert(
        outcome=Outcome(event.outcome),
        environment=settings.environment,
        dag_id=event.dag_id,
        run_id=event.run_id,
        subject=event.subject,
        sentence=event.sentence,
        log_url=None,
        runbook=runbook_of(event.dag_id),
        affected=impact.affected,
        owners=impact.owners,
        happened_at=datetime.fromisoformat(event.happened_at),
    )


def _read(lake: Lake, key: str) -> StoredEvent | None:
    try:
        event = StoredEvent(**json.loads(lake.read_bytes(key)))
        Outcome(event.outcome), datetime.fromisoformat(event.happened_at)
    except LakeError:  # told by another process meanwhile
        return None
    except (ValueError, TypeError):
        log.warning("%s is no event; it is removed.", key)
        return None
    return event


def _folder(lake: Lake) -> str:
    return lake.key(Zone.MONITORING, "alerts", "events")
