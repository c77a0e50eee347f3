"""Registers nothing: it lets the process that watches a task see its end at once.

Airflow's supervisor of a task sleeps until one of the task's sockets says something. The kernel
closes those a moment before the process has ended, so the supervisor is woken, finds the process
still there, and goes back to sleep with no socket left to wake it: for the five seconds of
`workers.min_heartbeat_interval`, during which the worker takes no other task. That befell 29 in
100 tasks of a local run. With no socket open, all that is left is to wait for the process.

Upstream this would be the descriptor of the process (`os.pidfd_open`) in the supervisor's selector.
Checked against Airflow 3.2 and 3.3 (`tests/plugins/test_vending_task_ends.py`).
"""

from __future__ import annotations

from contextlib import suppress

import psutil
from airflow.sdk.execution_time.supervisor import ActivitySubprocess, WatchedSubprocess

# A process that has closed its sockets and lives on is heard of again after this.
PATIENCE_SECONDS = 1.0


def _wait_and_look(
    self: ActivitySubprocess, raise_on_timeout: bool = False, expect_signal: int | None = None
) -> int | None:
    if self._exit_code is None and not self._open_sockets:
        with suppress(psutil.TimeoutExpired):
            # psutil keeps the exit code for whoever looks next.
            self._process.wait(PATIENCE_SECONDS)
    # The parent class's, not what stood here before: plugins are loaded more than once.
    return WatchedSubprocess._check_subprocess_exit(self, raise_on_timeout, expect_signal)


ActivitySubprocess._check_subprocess_exit = _wait_and_look  # type: ignore[method-assign]
