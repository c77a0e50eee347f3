"""Processes that outlive the command that started them, known by their id and their start.

An id alone may by now belong to somebody else's process. ``created`` is a process's start in
seconds since the epoch.
"""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress

import psutil

# Start times come from the kernel's clock ticks: the same process always shows the same one.
SAME_START_SECONDS = 1.0


def created_at(pid: int) -> float:
    return psutil.Process(pid).create_time()


def is_alive(pid: int, created: float) -> bool:
    try:
        process = psutil.Process(pid)
        same = abs(process.create_time() - created) < SAME_START_SECONDS
        return same and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def end_session(pid: int, created: float, patience: float) -> None:
    """End a process that leads a session of its own, and after ``patience`` s what it left."""
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + patience
    while is_alive(pid, created) and time.monotonic() < deadline:
        time.sleep(0.05)
    with suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)
