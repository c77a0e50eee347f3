"""One content for every channel: an Alert, as plain text or as Slack's Block Kit."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from include.alerts.masking import mask_personal
from include.settings import Environment

# https://docs.slack.dev/reference/block-kit/blocks: a header holds 150 characters, a section 3,000,
# each of its fields 2,000.
SLACK_HEADER_CHARACTERS = 150
SLACK_SECTION_CHARACTERS = 3_000
SLACK_FIELD_CHARACTERS = 2_000
SENTENCE_CHARACTERS = 1_000
DETAIL_CHARACTERS = 2_000
NAMED_AFFECTED = 8


class Outcome(StrEnum):
    FAILED = "failed"
    LATE = "is late"
    SUCCEEDED = "succeeded"
    NOTICED = "noticed something"
    RECOVERED = "is back to normal"


class Severity(StrEnum):
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


SEVERITIES = {
    Outcome.FAILED: Severity.ERROR,
    Outcome.LATE: Severity.ERROR,
    Outcome.NOTICED: Severity.WARNING,
    Outcome.SUCCEEDED: Severity.INFO,
    Outcome.RECOVERED: Severity.INFO,
}


@dataclass(frozen=True, slots=True)
class Alert:
    """What there is to say about one task or one DAG run.

    ``subject`` is the task's id with its map index, or None when the alert is about the whole run.
    ``sentence`` says what happened, without anything secret or personal; ``details`` what helps to
    understand it, such as failing rows. ``runbook`` is a path in this repository. ``affected``
    names what stands downstream (marts, exposures), ``owners`` who answers for it. ``happened_at``
    is in UTC. ``level`` is a severity other than the outcome's own.
    """

    outcome: Outcome
    environment: Environment
    dag_id: str
    run_id: str
    subject: str | None
    sentence: str
    log_url: str | None
    runbook: str
    affected: tuple[str, ...] = ()
    owners: tuple[str, ...] = ()
    details: tuple[str, ...] = ()
    happened_at: datetime | None = None
    level: Severity | None = None

    @property
    def title(self) -> str:
        name = self.dag_id if self.subject is None else f"{self.dag_id}.{self.subject}"
        return f"{name} {self.outcome} in {self.environment}"

    @property
    def severity(self) -> Severity:
        return self.level or SEVERITIES[self.outcome]


def as_text(alert: Alert) -> str:
    """The alert in one line, for a terminal, a log file and Slack's notification preview."""
    parts = [f"{alert.title}: {one_line(alert.sentence)}", *_details(alert)]
    if alert.affected:
        parts.append(f"affects {_affected(alert)}")
    parts.append(f"run {alert.run_id}")
    needs_somebody = alert.outcome not in (Outcome.SUCCEEDED, Outcome.RECOVERED)
    if needs_somebody and alert.happened_at:
        parts.append(f"since {_time(alert.happened_at)}")
    if alert.log_url:
        parts.append(f"log {alert.log_url}")
    if needs_somebody:
        parts.append(f"runbook {alert.runbook}")
    return " | ".join(parts)


def as_blocks(alert: Alert) -> list[dict[str, Any]]:
    """The same content as Slack blocks: a header, the sentence, the facts, the way to the log."""
    details = [_section(escape("\n".join(_details(alert))))] if alert.details else []
    affected = [_section(f"*Affects* {escape(_affected(alert))}")] if alert.affected else []
    return [
        {
            "type": "header",
            "text": {"type": "plain_text", "text": _clip(alert.title, SLACK_HEADER_CHARACTERS)},
        },
        _section(escape(one_line(alert.sentence))),
        *details,
        *affected,
        {"type": "section", "fields": [_field(name, value) for name, value in _facts(alert)]},
        {"type": "context", "elements": [{"type": "mrkdwn", "text": _way_on(alert)}]},
    ]


def one_line(text: str) -> str:
    """The text on one line, without personal data, cut to a length that every channel takes."""
    return _flat(text, SENTENCE_CHARACTERS)


def escape(text: str) -> str:
    """Text that Slack shows and does not obey: no mention, no link.

    https://docs.slack.dev/messaging/formatting-message-text#escaping: these three and no others.
    """
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _details(alert: Alert) -> list[str]:
    return [_flat(detail, DETAIL_CHARACTERS) for detail in alert.details]


def _flat(text: str, characters: int) -> str:
    return _clip(" ".join(mask_personal(text).split()), characters)


def _affected(alert: Alert) -> str:
    more = len(alert.affected) - NAMED_AFFECTED
    named = ", ".join(alert.affected[:NAMED_AFFECTED]) + (f" and {more} more" if more > 0 else "")
    return f"{named} (of {', '.join(alert.owners)})" if alert.owners else named


def _facts(alert: Alert) -> list[tuple[str, str]]:
    facts = [("Environment", alert.environment.value), ("DAG", alert.dag_id), ("Run", alert.run_id)]
    if alert.subject is not None:
        facts.append(("Task", alert.subject))
    if alert.happened_at is not None:
        facts.append(("Since", _time(alert.happened_at)))
    return facts


def _time(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def _way_on(alert: Alert) -> str:
    runbook = f"Runbook: `{escape(alert.runbook)}`"
    if not alert.log_url:
        return runbook
    # A bar or a bracket would end the link's address and begin its text.
    address = escape(alert.log_url).replace("|", "%7C")
    return f"<{address}|Log> | {runbook}"


def _section(text: str) -> dict[str, Any]:
    # Verbatim: Slack would make links of what looks like an address or a channel's name.
    return {
        "type": "section",
        "text": {
            "type": "mrkdwn",
            # Slack refuses a text of nothing.
            "text": _clip(text, SLACK_SECTION_CHARACTERS) if text.strip() else "–",
            "verbatim": True,
        },
    }


def _field(name: str, value: str) -> dict[str, Any]:
    text = _clip(f"*{name}*\n{escape(value)}", SLACK_FIELD_CHARACTERS)
    return {"type": "mrkdwn", "text": text, "verbatim": True}


def _clip(text: str, characters: int) -> str:
    return text if len(text) <= characters else f"{text[: characters - 1]}…"
