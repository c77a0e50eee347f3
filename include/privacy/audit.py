"""The audit table ``ops.privacy_audit``: who did what to personal data, when and why.

A row is written before the act, so an act without a row cannot happen; an act that failed
afterwards, or was repeated, has its rows all the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum

from include.contracts.raw_tables import PRIVACY_AUDIT
from include.privacy.finder import mask_text
from include.quality.store import QualityStore, utc_now

SCHEDULE = "schedule"


class Action(StrEnum):
    """What is done to personal data, other than processing it."""

    DETOKENISED = "detokenised"
    EXPORTED = "exported"
    EXPORT_REFUSED = "export_refused"
    REPORTED = "reported"


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One act. ``actor`` is a user or `SCHEDULE`; nothing in it may be personal data of others.

    ``subject`` is a token or names files; ``reason`` is what the actor said.
    """

    actor: str
    action: Action
    subject: str
    reason: str
    run_id: str | None = None
    outcome: str | None = None


@dataclass(frozen=True, slots=True)
class AuditedAct:
    """An entry as the table holds it; ``happened_at`` is in UTC, without its zone."""

    happened_at: datetime
    entry: AuditEntry


def write_audit(store: QualityStore, entry: AuditEntry) -> None:
    """Add a row, committed when this returns. Raises WarehouseError."""
    store.ensure_tables((PRIVACY_AUDIT,))
    row = {
        "happened_at": utc_now(),
        "actor": entry.actor,
        "action": entry.action.value,
        "subject": entry.subject,
        # People give reasons such as the telephone number of who called.
        "reason": mask_text(entry.reason),
        "run_id": entry.run_id,
        "outcome": entry.outcome,
    }
    store.append(PRIVACY_AUDIT, [row])


def read_audit(store: QualityStore, first: date, end: date) -> list[AuditedAct]:
    """The acts from a day (included) to a day (excluded), in UTC, oldest first."""
    store.ensure_tables((PRIVACY_AUDIT,))
    rows = store.fetch(
        "SELECT happened_at, actor, action, subject, reason, run_id, outcome "
        "FROM ops.privacy_audit "
        "WHERE happened_at >= CAST(? AS DATE) AND happened_at < CAST(? AS DATE) "
        "ORDER BY happened_at",
        first,
        end,
    )
    return [
        AuditedAct(at, AuditEntry(actor, Action(action), subject, reason, run_id, outcome))
        for at, actor, action, subject, reason, run_id, outcome in rows
    ]
