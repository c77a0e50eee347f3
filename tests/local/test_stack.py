from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import psutil
import pytest

from deploy.local.errors import LocalError
from deploy.local.layout import REPOSITORY, Layout
from deploy.local.stack import StackState, end, find_staying, only_one, read_state

HOLD_THE_LOCK = """
import pathlib, sys
from deploy.local.layout import Layout
from deploy.local.stack import only_one
with only_one(Layout(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[1]))):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout(data=tmp_path / "data", airflow_home=tmp_path)


@pytest.fixture
def sleeper() -> Iterator[psutil.Process]:
    """A process that leads a session of its own and stays until it is ended."""
    command = [sys.executable, "-c", "import time; time.sleep(60)"]
    with subprocess.Popen(command, start_new_session=True) as process:
        yield psutil.Process(process.pid)
        process.kill()


def write_state(layout: Layout, state: StackState) -> None:
    layout.stack_state.write_text(json.dumps(asdict(state)))


def state_of(process: psutil.Process, *, stays: bool = True) -> StackState:
    return StackState(process.pid, process.create_time(), api_port=8080, stays=stays)


def test_a_stack_is_found_again_by_its_process_and_start_time(
    layout: Layout, sleeper: psutil.Process
) -> None:
    write_state(layout, state_of(sleeper))

    assert find_staying(layout) == state_of(sleeper)


def test_a_stack_whose_process_is_gone_is_not_taken_for_running(
    layout: Layout, sleeper: psutil.Process
) -> None:
    write_state(layout, state_of(sleeper))
    sleeper.kill()
    sleeper.wait(5)

    assert find_staying(layout) is None


def test_what_a_killed_run_left_is_not_taken_for_a_stack_that_stays(
    layout: Layout, sleeper: psutil.Process
) -> None:
    write_state(layout, state_of(sleeper, stays=False))

    assert find_staying(layout) is None


def test_a_process_that_only_has_the_same_id_is_neither_used_nor_ended(
    layout: Layout, sleeper: psutil.Process
) -> None:
    state = state_of(sleeper)
    write_state(layout, StackState(state.pid, state.created - 3600, state.api_port, True))

    assert find_staying(layout) is None
    end(layout)
    assert sleeper.status() != psutil.STATUS_ZOMBIE
    assert not layout.stack_state.exists()


def test_ending_a_stack_ends_its_process_and_forgets_it(
    layout: Layout, sleeper: psutil.Process
) -> None:
    write_state(layout, state_of(sleeper))

    end(layout)

    assert sleeper.status() == psutil.STATUS_ZOMBIE
    assert not layout.stack_state.exists()


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"pid": "x"}'])
def test_a_state_file_that_cannot_be_read_is_no_stack(layout: Layout, content: str) -> None:
    layout.stack_state.write_text(content)

    assert read_state(layout.stack_state) is None


def test_a_second_command_is_refused_and_told_which_process_is_at_work(layout: Layout) -> None:
    command = [sys.executable, "-c", HOLD_THE_LOCK, str(layout.airflow_home)]
    with subprocess.Popen(
        command, cwd=REPOSITORY, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(LocalError, match=f"process {holder.pid}"), only_one(layout):
            pass
        holder.communicate()

    with only_one(layout):
        assert layout.lock.read_text().isdigit()
