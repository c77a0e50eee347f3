"""Messages that wait for delivery, kept in the lake: monitoring/alerts/outbox/<channel>/…json.

A message is written here before it is sent and deleted when its channel has taken it, so what a
channel does not take now is delivered later. Two processes that deliver at the same time do not
send the same message twice, unless one of them was killed while it sent.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

from include.lake import Lake, LakeError, Zone
from include.lake.claims import claimed_at_once

log = logging.getLogger(__name__)

FIRST_WAIT = timedelta(seconds=30)
LONGEST_WAIT = timedelta(minutes=30)
# A process that sends has died, if it has not ended by then.
CLAIM_SECONDS = 60
# What one message may take.
SEND_SECONDS = 10.0

Send = Callable[[str, "Message", float], None]


@dataclass(frozen=True, slots=True)
class Message:
    """One message for one channel. ``not_before`` is in UTC, ISO 8601."""

    channel: str
    subject: str
    text: str
    blocks: list[dict[str, Any]]
    not_before: str
    attempts: int = 0

    @property
    def due_at(self) -> datetime:
        return datetime.fromisoformat(self.not_before)

    def later(self, now: datetime, retry_after: float | None) -> Message:
        """The message to be tried again: when the channel says, else twice as late each time."""
        wait = min(FIRST_WAIT * 2**self.attempts, LONGEST_WAIT)
        if retry_after is not None:
            wait = min(timedelta(seconds=retry_after), LONGEST_WAIT)
        return replace(self, attempts=self.attempts + 1, not_before=(now + wait).isoformat())


def count_waiting(lake: Lake) -> int:
    """How many messages wait for their channel."""
    return sum(1 for _ in lake.list(_outbox(lake)))


def put(lake: Lake, message: Message, now: datetime) -> str:
    """Keep a message until its channel has taken it; returns its key. Raises LakeError."""
    name = f"{now.astimezone(UTC):%Y%m%dT%H%M%S%f}-{uuid4().hex[:8]}.json"
    key = f"{_outbox(lake)}/{message.channel}/{name}"
    _write(lake, key, message)
    return key


def deliver(lake: Lake, send: Send, seconds: float) -> int:
    """Send what is due, oldest first, for so long at most; returns how many were taken.

    A channel that fails is left alone for the rest of this call. Raises LakeError.
    """
    ends = time.monotonic() + seconds
    taken, failed = 0, set()
    for key in sorted(stored.key for stored in lake.list(_outbox(lake))):
        left = ends - time.monotonic()
        channel = key.rsplit("/", 2)[1]
        if left <= 0:
            break
        if channel in failed:
            continue
        try:
            taken += _deliver_one(lake, key, send, min(left, SEND_SECONDS))
        except _ChannelDown:
            failed.add(channel)
    return taken


class _ChannelDown(Exception):
    pass


def _deliver_one(lake: Lake, key: str, send: Send, seconds: float) -> bool:
    from include.alerts.channels import NotConnectedError, NotDeliveredError

    with _claimed(lake, key) as is_ours:
        message = _read(lake, key) if is_ours else None
        now = datetime.now(UTC)
        if message is None or message.due_at > now:
            return False
        try:
            send(message.channel, message, seconds)
        except NotConnectedError:
            # Nobody asked for the channel: there is nothing to wait for.
            lake.delete(key)
            return False
        except NotDeliveredError as error:
            _write(lake, key, message.later(now, error.retry_after))
            log.warning("%s could not be told (%s); it is told later.", message.channel, error)
            raise _ChannelDown from None
        lake.delete(key)
        return True


def _claimed(lake: Lake, key: str) -> AbstractContextManager[bool]:
    claim = lake.key(Zone.MONITORING, "alerts", "claims", key.rsplit("/", 1)[1])
    return claimed_at_once(lake, claim, CLAIM_SECONDS)


def _read(lake: Lake, key: str) -> Message | None:
    try:
        return Message(**json.loads(lake.read_bytes(key)))
    except LakeError:  # delivered by another process meanwhile
        return None
    except (ValueError, TypeError):
        log.warning("%s is no message; it is removed.", key)
        lake.delete(key)
        return None


def _write(lake: Lake, key: str, message: Message) -> None:
    lake.write_bytes(key, json.dumps(asdict(message), ensure_ascii=False).encode())


def _outbox(lake: Lake) -> str:
    return lake.key(Zone.MONITORING, "alerts", "outbox")
