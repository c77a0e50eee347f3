"""The real stack, interrupted: whatever was started must be gone afterwards."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from deploy.local.layout import REPOSITORY, Layout
from deploy.local.stack import read_state

PATIENCE_SECONDS = 240.0


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout(data=tmp_path / "data", airflow_home=tmp_path / "home")


@pytest.fixture
def run(layout: Layout) -> Iterator[subprocess.Popen[str]]:
    """`make run` of one machine and day, into folders of its own."""
    command = [sys.executable, "-m", "deploy.local", "run", "--machines", "1", "--days", "1"]
    command += ["--data-dir", str(layout.data), "--airflow-home", str(layout.airflow_home)]
    with subprocess.Popen(
        command, cwd=REPOSITORY, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        yield process
        process.kill()


def wait_until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not holds():
        assert time.monotonic() < deadline, "it took too long"
        time.sleep(0.1)


def supervisor_of(layout: Layout) -> psutil.Process:
    wait_until(lambda: read_state(layout.stack_state) is not None)
    state = read_state(layout.stack_state)
    assert state is not None
    return psutil.Process(state.pid)


def session(leader: psutil.Process) -> list[int]:
    """The processes of a session that have not ended, its leader included."""
    members = []
    for process in psutil.process_iter():
        try:
            if os.getsid(process.pid) == leader.pid and process.status() != psutil.STATUS_ZOMBIE:
                members.append(process.pid)
        except (ProcessLookupError, psutil.NoSuchProcess):
            continue
    return members


def test_ctrl_c_leaves_nothing_running(layout: Layout, run: subprocess.Popen[str]) -> None:
    supervisor = supervisor_of(layout)
    # The components, and what the scheduler has forked for its tasks.
    wait_until(lambda: len(session(supervisor)) >= 10)

    run.send_signal(signal.SIGINT)
    said, _ = run.communicate(timeout=PATIENCE_SECONDS)

    assert run.returncode == 130
    assert said.splitlines()[-1] == "Interrupted; everything that was started is stopped."
    assert session(supervisor) == []
    assert not layout.stack_state.exists()


def test_a_killed_run_takes_its_processes_with_it(
    layout: Layout, run: subprocess.Popen[str]
) -> None:
    supervisor = supervisor_of(layout)
    wait_until(lambda: len(session(supervisor)) >= 2)

    run.kill()

    wait_until(lambda: session(supervisor) == [])
