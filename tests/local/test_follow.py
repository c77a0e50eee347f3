from __future__ import annotations

import io
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

import pytest
from rich.console import Console

from deploy.local.airflow_api import DagRun, TaskInstance
from deploy.local.follow import (
    INGEST_APIS,
    INGEST_FILES,
    PUBLISH,
    TRANSFORM,
    Progress,
    Round,
)
from deploy.local.progress import Alerts, View


@dataclass
class ScriptedApi:
    """Answers as Airflow's API does, from what a test has put there."""

    known: list[DagRun] = field(default_factory=list)
    tasks: dict[str, list[TaskInstance]] = field(default_factory=dict)

    def trigger(self, dag_id: str) -> DagRun:
        return self.add(dag_id, "running")

    def add(self, dag_id: str, state: str) -> DagRun:
        run = DagRun(dag_id, f"{dag_id}-{len(self.known)}", state)
        self.known.append(run)
        return run

    def finish(self, dag_id: str, run_state: str, *task_states: str) -> None:
        self.known = [
            replace(run, state=run_state) if run.dag_id == dag_id else run for run in self.known
        ]
        self.tasks[dag_id] = [
            task(dag_id, f"task_{number}", state) for number, state in enumerate(task_states)
        ]

    def runs(self, dag_ids: Iterable[str], *, states: Iterable[str] = ()) -> list[DagRun]:
        return [run for run in reversed(self.known) if run.dag_id in dag_ids]

    def run(self, run: DagRun) -> DagRun:
        return next(known for known in self.known if known.run_id == run.run_id)

    def task_instances(
        self, run: DagRun, *, changed_since: datetime | None = None
    ) -> list[TaskInstance]:
        return self.tasks.get(run.dag_id, [])


def task(dag_id: str, task_id: str, state: str | None) -> TaskInstance:
    return TaskInstance(dag_id, task_id, map_index=-1, state=state, try_number=1)


@pytest.fixture
def api() -> ScriptedApi:
    return ScriptedApi()


def started(api: ScriptedApi) -> Round:
    this_round = Round(api)  # type: ignore[arg-type]
    this_round.trigger(INGEST_FILES)
    this_round.trigger(INGEST_APIS)
    return this_round


def test_a_round_is_over_when_the_transform_that_followed_is(api: ScriptedApi) -> None:
    this_round = started(api)
    api.finish(INGEST_FILES, "success", "success", "skipped")
    api.finish(INGEST_APIS, "success", "success")
    this_round.refresh()
    assert not this_round.is_over()

    api.add(TRANSFORM, "running")
    this_round.refresh()
    assert not this_round.is_over()

    api.finish(TRANSFORM, "success", "success")
    this_round.refresh()
    assert this_round.is_over()
    assert this_round.has_succeeded


def test_a_transform_of_an_earlier_round_is_not_taken_for_this_one(api: ScriptedApi) -> None:
    api.add(TRANSFORM, "success")
    this_round = started(api)
    api.finish(INGEST_FILES, "success", "success")
    api.finish(INGEST_APIS, "success", "success")

    this_round.refresh()

    assert not this_round.is_over()


def test_a_round_whose_ingest_failed_waits_for_no_transform(api: ScriptedApi) -> None:
    this_round = started(api)
    api.finish(INGEST_FILES, "failed", "failed", "upstream_failed")
    api.finish(INGEST_APIS, "success", "success")

    this_round.refresh()

    assert this_round.is_over()
    assert not this_round.has_succeeded


def test_a_round_that_publishes_is_over_when_the_publication_is(api: ScriptedApi) -> None:
    api.add(PUBLISH, "success")
    this_round = Round(api, publishes=True)  # type: ignore[arg-type]
    for dag_id in (INGEST_FILES, INGEST_APIS):
        this_round.trigger(dag_id)
        api.finish(dag_id, "success", "success")
    api.add(TRANSFORM, "success")
    this_round.refresh()
    assert not this_round.is_over()

    api.add(PUBLISH, "running")
    this_round.refresh()
    assert not this_round.is_over()

    api.finish(PUBLISH, "success", "success")
    this_round.refresh()
    assert this_round.is_over()
    assert this_round.has_succeeded


def test_after_a_transform_that_failed_no_publication_is_waited_for(api: ScriptedApi) -> None:
    this_round = Round(api, publishes=True)  # type: ignore[arg-type]
    for dag_id in (INGEST_FILES, INGEST_APIS):
        this_round.trigger(dag_id)
        api.finish(dag_id, "success", "success")
    api.add(TRANSFORM, "failed")
    this_round.refresh()
    assert this_round.is_over()
    assert not this_round.has_succeeded


def test_a_run_with_a_failed_task_has_not_succeeded_whatever_its_own_state() -> None:
    tasks = {("fetch", 0): task(INGEST_APIS, "fetch", "failed")}

    progress = Progress(INGEST_APIS, DagRun(INGEST_APIS, "run", "success"), tasks)

    assert not progress.has_succeeded


def test_without_a_terminal_each_change_is_one_line_and_so_is_each_alert(tmp_path: Path) -> None:
    written = io.StringIO()
    alerts = tmp_path / "alerts.log"
    alerts.write_text("of an earlier run\n")
    view = View(Console(file=written, width=200), Alerts(alerts))
    running = Progress(
        INGEST_FILES,
        DagRun(INGEST_FILES, "run", "running"),
        {("load", -1): task(INGEST_FILES, "load", "running")},
    )
    failed = Progress(
        INGEST_FILES,
        DagRun(INGEST_FILES, "run", "failed"),
        {("load", -1): task(INGEST_FILES, "load", "failed")},
    )

    def rounds() -> Iterable[list[Progress]]:
        yield [running]
        yield [running]
        with alerts.open("a") as file:
            file.write("load failed: free space\n")
        yield [failed]

    view.show(rounds())

    lines = [line.split(" s  ", 1)[1] for line in written.getvalue().splitlines()]
    assert lines == [
        "ingest_files running",
        "ingest_files.load failed",
        "ingest_files failed",
        "alert: load failed: free space",
    ]
