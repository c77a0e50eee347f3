"""Where an alert goes: the terminal in dev, Slack where a connection for it exists."""

from __future__ import annotations

import logging
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from include.alerts.formatter import Alert, as_blocks, as_text
from include.settings import DiskLakeSettings, Settings

log = logging.getLogger(__name__)

ALERT_LOG = "alerts.log"
SLACK_TIMEOUT_SECONDS = 5


class Channel(Protocol):
    """One way of telling people. ``send`` may raise; the caller keeps that from the task."""

    name: str

    def send(self, alert: Alert) -> None: ...


class TerminalChannel:
    """Standard error of the process, and one line appended to a file that `make run` follows.

    The file is the part that a person sees: a callback's standard error ends in a task's log or in
    the log of the dag-processor, which runs the callbacks of a whole run.
    """

    name = "terminal"

    def __init__(self, log_path: Path) -> None:
        self._log_path = log_path

    def send(self, alert: Alert) -> None:
        line = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ} {as_text(alert)}\n"
        sys.stderr.write(line)
        self._log_path.parent.mkdir(parents=True, exist_ok=True)
        with self._log_path.open("a", encoding="utf-8") as file:
            file.write(line)


class SlackChannel:
    """An incoming webhook, as an Airflow connection of type Slack Incoming Webhook.

    Without the connection nobody asked for Slack, and nothing happens. Raises what the provider
    raises when Slack refuses the message, cannot be reached or does not answer in five seconds.
    """

    name = "Slack"

    def __init__(self, connection_id: str) -> None:
        self._connection_id = connection_id

    def send(self, alert: Alert) -> None:
        # Imported here: the provider costs every parse and every task otherwise.
        from airflow.sdk import Connection
        from airflow.sdk.exceptions import AirflowNotFoundException

        try:
            Connection.get(self._connection_id)
        except AirflowNotFoundException:
            log.debug("No connection %r, so Slack is not told.", self._connection_id)
            return

        from airflow.providers.slack.hooks.slack_webhook import SlackWebhookHook

        # No retry handlers: the SDK's own would wait out the time-out a second time.
        hook = SlackWebhookHook(
            slack_webhook_conn_id=self._connection_id,
            timeout=SLACK_TIMEOUT_SECONDS,
            retry_handlers=[],
        )
        hook.send(text=as_text(alert), blocks=as_blocks(alert))


def channels(settings: Settings) -> tuple[Channel, ...]:
    """The channels of an environment."""
    slack = SlackChannel(settings.slack_connection_id)
    if isinstance(settings.lake, DiskLakeSettings):
        return (TerminalChannel(settings.lake.root / ALERT_LOG), slack)
    return (slack,)
