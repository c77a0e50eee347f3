"""A worker is free as soon as its task's process has ended, as forked processes show."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from functools import partial
from uuid import uuid4

from airflow.sdk.api.client import Client
from airflow.sdk.execution_time.supervisor import MIN_HEARTBEAT_INTERVAL, ActivitySubprocess

from plugins.vending_task_ends import PATIENCE_SECONDS


def _close_everything_and_end(code: int, after_seconds: float) -> None:
    """What the kernel does when a process exits, but slowly."""
    os.closerange(0, 1024)
    time.sleep(after_seconds)
    os._exit(code)


def _started(target: Callable[[], None]) -> ActivitySubprocess:
    # As ActivitySubprocess.start does, but no task is told to the process or to an API server.
    return super(ActivitySubprocess, ActivitySubprocess).start(
        id=uuid4(), client=Client(base_url="", dry_run=True, token=""), target=target
    )


def test_the_end_of_a_process_whose_sockets_closed_before_is_seen_at_once() -> None:
    supervisor = _started(partial(_close_everything_and_end, 0, after_seconds=0.2))
    began = time.monotonic()

    assert supervisor.wait() == 0

    assert time.monotonic() - began < PATIENCE_SECONDS < MIN_HEARTBEAT_INTERVAL


def test_a_process_that_lives_on_without_sockets_is_still_watched() -> None:
    supervisor = _started(partial(_close_everything_and_end, 0, PATIENCE_SECONDS + 0.2))

    assert supervisor.wait() == 0


def test_how_the_process_ended_is_still_told() -> None:
    supervisor = _started(partial(_close_everything_and_end, 3, 0.2))

    assert supervisor.wait() == 3
    assert supervisor.final_state == "failed"
