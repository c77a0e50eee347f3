"""Tells an alert: once for each incident, on every channel that wants it, in five seconds at most.

Nothing here raises: what cannot be told now waits in the lake; the DAG `deliver_alerts` and every
later alert try again.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import TypeVar

from include.alerts import incidents, outbox
from include.alerts.channels import send, write_to_terminal
from include.alerts.formatter import Alert, Outcome, as_blocks, as_text, escape, one_line
from include.alerts.outbox import Message
from include.alerts.routing import load_routing
from include.lake import Lake, open_lake
from include.quality.health import RunState, iso, note_run
from include.settings import Settings

T = TypeVar("T")

log = logging.getLogger(__name__)

# All that telling may cost a task.
SECONDS = 5.0


def tell(alert: Alert, settings: Settings) -> None:
    """Tell an alert, and what has waited. The terminal is told each time: it is a log."""
    started = time.monotonic()
    _attempt("The terminal could not be told", lambda: write_to_terminal(alert, settings))
    lake = open_lake(settings.lake)
    if alert.outcome is Outcome.SUCCEEDED:
        _attempt("Incidents could not be closed", lambda: _tell_recovery(lake, alert, settings))
    if _is_new(lake, alert):
        _attempt("No message could be kept", lambda: _post(lake, alert, settings))
    _attempt("The page does not show how the run ended", lambda: _show(lake, alert, settings))
    deliver(settings, SECONDS - (time.monotonic() - started))


def tell_only_recovery(success: Alert, settings: Settings) -> None:
    """Of a success tell what is over by it, and not the success itself."""
    lake = open_lake(settings.lake)
    _attempt("Incidents could not be closed", lambda: _tell_recovery(lake, success, settings))


def deliver(settings: Settings, seconds: float) -> int:
    """Send what waits and is due, for so long at most; returns how many messages were taken."""
    lake = open_lake(settings.lake)

    def send_one(channel: str, message: Message, left: float) -> None:
        send(channel, message, settings, left)

    taken = _attempt("Messages wait", lambda: outbox.deliver(lake, send_one, seconds))
    return taken or 0


def describe_error(error: Exception) -> str:
    """An error for the log. A webhook's URL is its secret: of texts with one, only the kind."""
    text = one_line(str(error))
    return type(error).__name__ if "://" in text else f"{type(error).__name__}: {text}"


def _is_new(lake: Lake, alert: Alert) -> bool:
    if alert.outcome not in (Outcome.FAILED, Outcome.LATE, Outcome.NOTICED):
        return True
    # Where the lake cannot say, telling twice is better than not at all.
    is_new = _attempt("Its incident is not known", lambda: incidents.gather(lake, alert))
    return is_new is not False


def _show(lake: Lake, alert: Alert, settings: Settings) -> None:
    if alert.outcome in (Outcome.FAILED, Outcome.SUCCEEDED):
        has_failed = alert.outcome is Outcome.FAILED
        ended = RunState(
            dag_id=alert.dag_id,
            run_id=alert.run_id,
            has_failed=has_failed,
            at=iso(alert.happened_at) or "",
            sentence=one_line(alert.sentence) if has_failed else "",
        )
        note_run(lake, settings.environment.value, ended)


def _tell_recovery(lake: Lake, alert: Alert, settings: Settings) -> None:
    for incident, runs in incidents.close_all(lake, alert.dag_id, alert.run_id):
        if incident.outcome != Outcome.NOTICED:
            many = f"{max(runs, 1)} run{'s' if runs > 1 else ''}"
            sentence = f"Back to normal after {many}. It was: {incident.sentence}"
            recovery = replace(
                alert,
                outcome=Outcome.RECOVERED,
                subject=None,
                sentence=sentence,
                happened_at=datetime.now(UTC),
            )
            write_to_terminal(recovery, settings)
            _post(lake, recovery, settings)


def _post(lake: Lake, alert: Alert, settings: Settings) -> None:
    now = datetime.now(UTC)
    routing = load_routing()
    for channel in routing.channels(alert, settings):
        message = Message(
            channel=channel,
            subject=alert.title,
            # Slack obeys markup in the text beside the blocks too.
            text=as_text(alert) if channel == "sns" else escape(as_text(alert)),
            blocks=as_blocks(alert),
            not_before=routing.not_before(alert, now).isoformat(),
        )
        outbox.put(lake, message, now)


def _attempt(failure: str, action: Callable[[], T]) -> T | None:
    try:
        return action()
    except Exception as error:
        log.warning("%s: %s.", failure, describe_error(error))
        return None
