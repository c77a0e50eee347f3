"""What the callbacks tell, and that nothing in them ever reaches the task."""

from __future__ import annotations

import logging
import re
import socket
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from include.alerts.callbacks import (
    on_run_failure,
    on_run_success,
    on_task_failure,
)
from include.alerts.reports import tell_findings
from include.settings import Settings

if TYPE_CHECKING:
    from tests.services.slack import SlackServer

Connect = Callable[[str], None]


@dataclass(frozen=True)
class TaskInstance:
    """The attributes of Airflow's RuntimeTaskInstance that the callbacks use."""

    dag_id: str = "ingest_files"
    run_id: str = "manual__1"
    task_id: str = "conform"
    map_index: int = 3
    log_url: str = "http://127.0.0.1:8080/dags/ingest_files/runs/manual__1/tasks/conform/mapped/3"


@dataclass(frozen=True)
class Dag:
    dag_id: str = "ingest_files"


@dataclass(frozen=True)
class Run:
    start_date: datetime


@pytest.fixture
def alert_log(tmp_path: Path, dev: Settings) -> Callable[[], list[str]]:
    """The lines that the terminal has been told."""
    path = tmp_path / "alerts.log"
    return lambda: path.read_text(encoding="utf-8").splitlines() if path.exists() else []


def test_a_failed_task_tells_what_it_raised_and_where(alert_log: Callable[[], list[str]]) -> None:
    on_task_failure({"ti": TaskInstance(), "exception": ValueError("No space left on the disk.")})
    (line,) = alert_log()
    assert "ingest_files.conform[3] failed in dev: No space left on the disk." in line
    assert TaskInstance().log_url in line
    assert "docs/runbooks/ingest_files.md" in line


def test_a_killed_task_has_no_exception_and_is_told_all_the_same(
    alert_log: Callable[[], list[str]],
) -> None:
    on_task_failure({"ti": TaskInstance()})
    (line,) = alert_log()
    assert "killed" in line


def test_a_run_that_failed_by_a_task_is_not_told_again(alert_log: Callable[[], list[str]]) -> None:
    on_run_failure({"dag": Dag(), "run_id": "manual__1", "reason": "task_failure"})
    assert alert_log() == []


def test_a_run_that_took_too_long_is_told_by_the_run(alert_log: Callable[[], list[str]]) -> None:
    on_run_failure({"dag": Dag(), "run_id": "manual__1", "reason": "timed_out"})
    (line,) = alert_log()
    assert "ingest_files failed in dev: The run took longer than its time-out" in line


def test_a_run_that_finished_tells_how_long_it_took(alert_log: Callable[[], list[str]]) -> None:
    run = Run(datetime.now(UTC) - timedelta(seconds=34))
    on_run_success({"dag": Dag(), "run_id": "manual__1", "dag_run": run})
    (line,) = alert_log()
    assert re.search(r"ingest_files succeeded in dev: The run finished in 3[45] s\.", line)


def test_a_run_without_a_start_is_told_all_the_same(alert_log: Callable[[], list[str]]) -> None:
    on_run_success({"dag": Dag(), "run_id": "manual__1"})
    (line,) = alert_log()
    assert "The run finished." in line


def test_slack_is_told_too_where_it_is_connected(
    alert_log: Callable[[], list[str]], slack_server: SlackServer, connect_slack: Connect
) -> None:
    connect_slack(slack_server.url)
    on_task_failure({"ti": TaskInstance(), "exception": ValueError("broken")})
    (line,), (message,) = alert_log(), slack_server.messages
    assert line.endswith(message["text"].replace("&amp;", "&"))


@pytest.mark.parametrize("fault", ["status 500", "refused"])
def test_a_slack_that_fails_is_one_line_in_the_log_and_no_exception(
    fault: str,
    alert_log: Callable[[], list[str]],
    slack_server: SlackServer,
    connect_slack: Connect,
    caplog: pytest.LogCaptureFixture,
) -> None:
    slack_server.status = 500
    with socket.create_server(("127.0.0.1", 0)) as free:
        unused = f"http://127.0.0.1:{free.getsockname()[1]}"
    connect_slack(slack_server.url if fault == "status 500" else unused)
    with caplog.at_level(logging.WARNING, logger="include.alerts"):
        on_task_failure({"ti": TaskInstance(), "exception": ValueError("broken")})
    assert len(alert_log()) == 1
    (record,) = [r for r in caplog.records if "could not be told" in r.getMessage()]
    assert record.getMessage().startswith("slack could not be told")
    assert "hook-secret" not in record.getMessage()
    assert record.exc_info is None


def test_a_context_that_makes_no_sense_is_one_line_in_the_log_and_no_exception(
    alert_log: Callable[[], list[str]], caplog: pytest.LogCaptureFixture
) -> None:
    on_task_failure({})
    on_run_success({})
    messages = [r.getMessage() for r in caplog.records if r.name == "include.alerts.reports"]
    assert [message.startswith("No alert could be made") for message in messages] == [True, True]
    assert alert_log() == []


def test_a_data_folder_that_cannot_be_written_is_no_exception(
    tmp_path: Path, alert_log: Callable[[], list[str]], caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "alerts.log").mkdir()
    on_run_success({"dag": Dag(), "run_id": "manual__1"})
    assert any("The terminal could not be told" in r.getMessage() for r in caplog.records)


def test_what_a_successful_task_noticed_is_told_with_its_runbook(
    alert_log: Callable[[], list[str]],
) -> None:
    tell_findings({"ti": TaskInstance(task_id="verify", map_index=-1)}, "sales: added channel.")
    (line,) = alert_log()
    assert "ingest_files.verify noticed something in dev: sales: added channel." in line
    assert line.endswith("runbook docs/runbooks/ingest_files.md")
