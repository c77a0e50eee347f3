"""The one `dbt build` of a run, which the tasks of the nodes follow."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Collection, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from include.lake import open_lake
from include.settings import current_settings
from include.transform.artifacts import RunArtifacts
from include.transform.dbt_command import LIST, NO_UNIT_TESTS, DbtError, run_dbt
from include.transform.project import DbtProject
from include.transform.verdicts import (
    PROBLEM_KEY,
    RUN_STARTED_KEY,
    SELECTION_KEY,
    Verdict,
    VerdictRecorder,
)
from include.transform.warehouse_access import wait_for_warehouse


class EmptySelectionError(DbtError):
    """The selection names no node: building again would change nothing."""


def run_build(
    task_instance: Any, run_started_at: str, watched: Mapping[str, Collection[str]], select: str
) -> None:
    """Build what is selected and tell each task's verdict in the lake as soon as it is known.

    ``watched`` maps the tasks to the unique ids of their nodes; ``select`` is dbt's selection
    syntax, empty for everything. Returns when dbt came to its end, whatever became of the nodes:
    that is for their own tasks to show. Raises DbtError if dbt could not run or a verdict could
    not be told, EmptySelectionError if nothing is selected.
    """
    task_instance.xcom_push(RUN_STARTED_KEY, run_started_at)
    try:
        _build(task_instance, run_started_at, watched, select)
    except Exception as error:
        task_instance.xcom_push(PROBLEM_KEY, str(error))
        raise


def _build(
    task_instance: Any, run_started_at: str, watched: Mapping[str, Collection[str]], select: str
) -> None:
    settings = current_settings()
    project = DbtProject.of_settings(settings)
    artifacts = RunArtifacts(open_lake(settings.lake), task_instance.run_id)
    artifacts.forget_verdicts()
    wait_for_warehouse(settings)
    with tempfile.TemporaryDirectory() as folder:
        target_path = Path(folder)
        with _messenger(artifacts) as messenger:
            recorder = VerdictRecorder(watched, run_started_at, messenger.tell)
            arguments = (*NO_UNIT_TESTS, *_selection(select))
            if select:
                selected = _list_selected(project, arguments, target_path)
                task_instance.xcom_push(SELECTION_KEY, sorted(selected))
                recorder.leave_out(selected)
            try:
                run_dbt(project, "build", arguments, target_path=target_path, on_event=recorder)
            finally:
                artifacts.store(task_instance.task_id, task_instance.try_number, target_path)
        # Imported here: tasks that follow the build import this module too, and need no contracts.
        from include.lineage.telling import tell_built

        tell_built(task_instance, target_path)


class _Messenger:
    """Tells verdicts from a thread of its own, so that dbt never waits for the lake."""

    def __init__(self, artifacts: RunArtifacts) -> None:
        self._artifacts = artifacts
        self._thread = ThreadPoolExecutor(max_workers=1)
        self._sent: list[Future[None]] = []

    def tell(self, task_id: str, verdict: Verdict) -> None:
        self._sent.append(self._thread.submit(self._artifacts.tell, task_id, verdict))

    def close(self) -> None:
        self._thread.shutdown(wait=True)
        untold = [error for future in self._sent if (error := future.exception()) is not None]
        if untold:
            raise DbtError(
                f"{len(untold)} verdicts of the build could not be told to their tasks "
                f"({untold[0]}); clear this task to build again."
            )


@contextmanager
def _messenger(artifacts: RunArtifacts) -> Iterator[_Messenger]:
    messenger = _Messenger(artifacts)
    try:
        yield messenger
    finally:
        messenger.close()


def _selection(select: str) -> tuple[str, ...]:
    return ("--select", *select.split()) if select else ()


def _list_selected(
    project: DbtProject, arguments: tuple[str, ...], target_path: Path
) -> frozenset[str]:
    listing = run_dbt(
        project,
        LIST,
        (*arguments, "--output", "json", "--output-keys", "unique_id", "--quiet"),
        target_path=target_path,
    )
    selected = frozenset(json.loads(line)["unique_id"] for line in listing)
    if not selected:
        raise EmptySelectionError(
            "The selection names no dbt node; start a run with another parameter `select`."
        )
    return selected
