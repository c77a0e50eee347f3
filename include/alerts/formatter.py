"""One content for every channel: an Alert, as plain text or as Slack's Block Kit."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from include.settings import Environment

# https://docs.slack.dev/reference/block-kit/blocks: a header holds 150 characters, a section 3,000.
SLACK_HEADER_CHARACTERS = 150
SLACK_SECTION_CHARACTERS = 3_000
SENTENCE_CHARACTERS = 1_000


class Outcome(StrEnum):
    FAILED = "failed"
    SUCCEEDED = "succeeded"
    NOTICED = "noticed something"


@dataclass(frozen=True, slots=True)
class Alert:
    """What there is to say about one task or one DAG run.

    ``subject`` is the task's id with its map index, or None when the alert is about the whole run.
    ``sentence`` says what happened, without anything secret or personal. ``runbook`` is a path in
    this repository.
    """

    outcome: Outcome
    environment: Environment
    dag_id: str
    run_id: str
    subject: str | None
    sentence: str
    log_url: str | None
    runbook: str

    @property
    def title(self) -> str:
        name = self.dag_id if self.subject is None else f"{self.dag_id}.{self.subject}"
        return f"{name} {self.outcome} in {self.environment}"


def as_text(alert: Alert) -> str:
    """The alert in one line, for a terminal, a log file and Slack's notification preview."""
    parts = [f"{alert.title}: {one_line(alert.sentence)}", f"run {alert.run_id}"]
    if alert.log_url:
        parts.append(f"log {alert.log_url}")
    if alert.outcome is not Outcome.SUCCEEDED:
        parts.append(f"runbook {alert.runbook}")
    return " | ".join(parts)


def as_blocks(alert: Alert) -> list[dict[str, Any]]:
    """The same content as Slack blocks: a header, the sentence, the facts, the way to the log."""
    return [
        {
            "type": "header",
            "text": {"type": "plain_text", "text": _clip(alert.title, SLACK_HEADER_CHARACTERS)},
        },
        _section(_escape(one_line(alert.sentence))),
        {"type": "section", "fields": [_field(name, value) for name, value in _facts(alert)]},
        {"type": "context", "elements": [{"type": "mrkdwn", "text": _way_on(alert)}]},
    ]


def one_line(text: str) -> str:
    """The text on one line, cut to a length that every channel takes."""
    return _clip(" ".join(text.split()), SENTENCE_CHARACTERS)


def _facts(alert: Alert) -> list[tuple[str, str]]:
    facts = [("Environment", alert.environment.value), ("DAG", alert.dag_id), ("Run", alert.run_id)]
    return facts if alert.subject is None else [*facts, ("Task", alert.subject)]


def _way_on(alert: Alert) -> str:
    runbook = f"Runbook: `{_escape(alert.runbook)}`"
    return f"<{alert.log_url}|Log> | {runbook}" if alert.log_url else runbook


def _section(text: str) -> dict[str, Any]:
    return {
        "type": "section",
        "text": {"type": "mrkdwn", "text": _clip(text, SLACK_SECTION_CHARACTERS)},
    }


def _field(name: str, value: str) -> dict[str, str]:
    return {"type": "mrkdwn", "text": f"*{name}*\n{_escape(value)}"}


def _escape(text: str) -> str:
    # https://docs.slack.dev/messaging/formatting-message-text#escaping: these three and no others.
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _clip(text: str, characters: int) -> str:
    return text if len(text) <= characters else f"{text[: characters - 1]}…"
