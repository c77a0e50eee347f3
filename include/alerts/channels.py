"""Where an alert goes: the terminal in dev; Slack and SNS where they are connected."""

from __future__ import annotations

import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from threading import Thread
from typing import Any

from include.alerts.formatter import Alert, as_text
from include.alerts.outbox import Message
from include.alerts.routing import SNS
from include.settings import DiskLakeSettings, Settings

ALERT_LOG = "alerts.log"
# SNS takes a subject of 100 characters of ASCII.
SNS_SUBJECT_CHARACTERS = 100
RATE_LIMITED = 429


class NotDeliveredError(RuntimeError):
    """The channel did not take the message; ``retry_after`` is what it asked for, in seconds."""

    def __init__(self, reason: str, retry_after: float | None = None) -> None:
        super().__init__(reason)
        self.retry_after = retry_after


class NotConnectedError(RuntimeError):
    """Nobody asked for this channel: its connection does not exist."""


def write_to_terminal(alert: Alert, settings: Settings) -> None:
    """In dev: standard error of the process, and a line of the file that `make run` follows.

    The file is the part that a person sees: a callback's standard error ends in a task's log or in
    the log of the dag-processor, which runs the callbacks of a whole run.
    """
    if not isinstance(settings.lake, DiskLakeSettings):
        return
    line = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ} {as_text(alert)}\n"
    sys.stderr.write(line)
    path: Path = settings.lake.root / ALERT_LOG
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        file.write(line)


def send(channel: str, message: Message, settings: Settings, seconds: float) -> None:
    """Send a message to ``sns`` or to the Slack connection of that id, in so many seconds at most.

    Raises NotDeliveredError, also when time is up, and NotConnectedError.
    """
    post = _sns(message, settings) if channel == SNS else _slack(channel, message, seconds)
    _within(seconds, post)


def _slack(connection_id: str, message: Message, seconds: float) -> Callable[[], None]:
    # Imported here: the provider costs every parse and every task otherwise.
    from airflow.sdk import Connection
    from airflow.sdk.exceptions import AirflowNotFoundException

    try:
        Connection.get(connection_id)
    except AirflowNotFoundException:
        raise NotConnectedError(connection_id) from None

    from airflow.providers.slack.hooks.slack_webhook import SlackWebhookHook

    # No retry handlers: the SDK's own would wait out the time-out a second time.
    client = SlackWebhookHook(
        slack_webhook_conn_id=connection_id, timeout=max(1, int(seconds)), retry_handlers=[]
    ).client

    def post() -> None:
        answer = client.send(text=message.text, blocks=message.blocks)
        if answer.status_code == RATE_LIMITED:
            raise NotDeliveredError("status 429", _seconds(answer.headers.get("Retry-After")))
        if answer.status_code != 200 or answer.body.strip() != "ok":
            raise NotDeliveredError(f"status {answer.status_code}")

    return post


def _sns(message: Message, settings: Settings) -> Callable[[], None]:
    from airflow.providers.amazon.aws.hooks.sns import SnsHook
    from botocore.config import Config

    config = Config(connect_timeout=2, read_timeout=3, retries={"total_max_attempts": 1})
    hook = SnsHook(aws_conn_id=None, config=config)
    subject = message.subject.encode("ascii", "replace").decode()[:SNS_SUBJECT_CHARACTERS]

    def post() -> None:
        hook.publish_to_target(settings.sns_topic_arn, message.text, subject=subject)

    return post


def _within(seconds: float, post: Callable[[], None]) -> None:
    """Run it, at most for so long: a server that sends a byte a second never times out."""
    raised: list[BaseException] = []

    def run() -> None:
        try:
            post()
        except BaseException as error:
            raised.append(error)

    thread = Thread(target=run, daemon=True)
    thread.start()
    thread.join(max(seconds, 0))
    if thread.is_alive():
        raise NotDeliveredError(f"no answer in {seconds:.1f} s")
    if raised:
        error = raised[0]
        # A webhook's URL is its secret, and libraries quote URLs in their messages.
        is_ours = isinstance(error, NotDeliveredError)
        raise error if is_ours else NotDeliveredError(type(error).__name__) from None


def _seconds(text: Any) -> float | None:
    value = text[0] if isinstance(text, list) and text else text
    return float(value) if isinstance(value, str) and value.isdigit() else None
