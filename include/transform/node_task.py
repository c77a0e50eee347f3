"""The task of one dbt node: it follows the build, and runs dbt for its node alone when it must."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Collection
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

from airflow.sdk import BaseSensorOperator
from airflow.sdk.exceptions import AirflowException, AirflowFailException, AirflowSkipException

from include.lake import open_lake
from include.settings import current_settings
from include.transform.artifacts import RunArtifacts
from include.transform.build import RUN_STARTED_KEY, verdict_key
from include.transform.dbt_command import DbtError, DbtProject, run_dbt
from include.transform.verdicts import Outcome, Verdict, status_outcome
from include.transform.warehouse_access import wait_for_warehouse

LOOK_SECONDS = 1.0

# States of the build's task in which it will tell no more, and in which it has a slot.
OVER = frozenset({"success", "failed", "upstream_failed", "skipped", "removed"})
AT_WORK = frozenset({"queued", "running", "restarting"})


class Step(StrEnum):
    """What a task does next."""

    WAIT = "wait"
    FOLLOW = "follow"
    RUN_ALONE = "run_alone"
    NEVER_RAN = "never_ran"
    BUILD_FAILED = "build_failed"


@dataclass(frozen=True, slots=True)
class Build:
    """The build's task, as another task sees it. ``run_started_at`` is what its last try told."""

    state: str | None
    run_started_at: str | None = None

    @property
    def is_over(self) -> bool:
        return self.state in OVER

    @property
    def is_at_work(self) -> bool:
        return self.state in AT_WORK

    @property
    def has_failed(self) -> bool:
        return self.is_over and self.state != "success"


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try of a task. ``is_retry`` means that it was not cleared since the try before."""

    is_retry: bool
    run_started_at: str

    @classmethod
    def of(cls, task_instance: Any, dag_run: Any) -> Attempt:
        # Clearing a task sets max_tries to the tries so far and its retries on top, so this is
        # the number of its first try since then (airflow.models.taskinstance).
        first = task_instance.max_tries - task_instance.task.retries + 1
        return cls(task_instance.try_number > first, run_start(dag_run))


def run_start(dag_run: Any) -> str:
    """When the DAG run started, or started anew after something in it was cleared."""
    return dag_run.start_date.isoformat()


def decide(attempt: Attempt, verdict: Verdict | None, build: Build) -> Step:
    """What to do, given what the build has told.

    A task follows the build. It runs dbt for its node alone where the build will not: after its
    failure was shown, when the task was cleared after the build, and when the build passed the
    node over for a parent that has been mended since.
    """
    is_ours = verdict is not None and verdict.run_started_at == attempt.run_started_at
    if is_ours and _can_follow(attempt, verdict.outcome):
        return Step.FOLLOW
    if not build.is_over:
        return Step.WAIT
    was_told = is_ours or build.run_started_at not in (None, attempt.run_started_at)
    if was_told or (attempt.is_retry and not build.has_failed):
        return Step.RUN_ALONE
    # Alone, the nodes would meet what the build met, one after the other.
    return Step.BUILD_FAILED if build.has_failed else Step.NEVER_RAN


def _can_follow(attempt: Attempt, outcome: Outcome) -> bool:
    if outcome is Outcome.FAILED:
        return not attempt.is_retry
    return outcome is not Outcome.SKIPPED


class DbtNodeOperator(BaseSensorOperator):
    """A model, or all tests that belong to it alone, or a test over several models.

    ``node_ids`` are their unique ids, ``command`` is the dbt command that runs them alone (run,
    test, seed or snapshot). Up to ``patience`` seconds it keeps its slot while the build is at
    work, looking every second. It never keeps it while the build has none, or the tasks that wait
    could hold all slots against the build; nor is it in the pool of the warehouse.
    """

    ui_color = "#fdeee4"

    def __init__(
        self,
        *,
        node_ids: Collection[str],
        command: str,
        build_task_id: str,
        patience: float,
        **kwargs: Any,
    ) -> None:
        super().__init__(mode="reschedule", **kwargs)
        self.node_ids = tuple(node_ids)
        self.command = command
        self.build_task_id = build_task_id
        self.patience = patience

    def poke(self, context: Any) -> bool:
        """Whether the node is through. Raises AirflowException if it failed."""
        task_instance = context["ti"]
        attempt = Attempt.of(task_instance, context["dag_run"])
        give_up = time.monotonic() + self.patience
        while True:
            step, verdict, build = self._look(task_instance, attempt)
            if step is not Step.WAIT:
                self._take(step, verdict, task_instance)
                return True
            if not build.is_at_work or time.monotonic() > give_up:
                return False
            time.sleep(LOOK_SECONDS)

    def _look(self, task_instance: Any, attempt: Attempt) -> tuple[Step, Verdict | None, Build]:
        verdict, build = self._verdict(task_instance), Build("running")
        step = decide(attempt, verdict, build)
        if step is Step.WAIT:
            build = self._build(task_instance)
            if build.is_over:
                # Read again: the last verdicts may have come just before the end.
                verdict = self._verdict(task_instance)
                step = decide(attempt, verdict, build)
        return step, verdict, build

    def _take(self, step: Step, verdict: Verdict | None, task_instance: Any) -> None:
        if step is Step.FOLLOW:
            self._follow(verdict)
        elif step is Step.RUN_ALONE:
            self._run_alone(task_instance)
        elif step is Step.NEVER_RAN:
            raise AirflowException(
                f"The build ended without running {self._names}; the next try runs it alone."
            )
        else:
            raise AirflowFailException(
                f"The build failed, so {self._names} did not run; see the log of "
                f"{self.build_task_id}, mend the cause and start a new run."
            )

    @property
    def _names(self) -> str:
        return ", ".join(node_name(unique_id) for unique_id in self.node_ids)

    def _follow(self, verdict: Verdict) -> None:
        for line in verdict.lines:
            self.log.info("%s", line)
        if verdict.outcome is Outcome.NOT_SELECTED:
            raise AirflowSkipException(f"{self._names} is not in this run's selection.")
        if verdict.outcome is Outcome.FAILED:
            raise AirflowException(f"dbt {self.command} failed for {self._names}; see above.")

    def _run_alone(self, task_instance: Any) -> None:
        settings = current_settings()
        self.log.info("Running dbt %s for %s alone.", self.command, self._names)
        wait_for_warehouse(settings)
        artifacts = RunArtifacts(open_lake(settings.lake), task_instance.run_id)
        names = [node_name(unique_id) for unique_id in self.node_ids]
        with tempfile.TemporaryDirectory() as folder:
            target_path = Path(folder)
            result = run_dbt(
                DbtProject.of_settings(settings),
                self.command,
                ("--select", *names),
                target_path=target_path,
            )
            artifacts.store(task_instance.task_id, task_instance.try_number, target_path)
        self._require_all(result.results)

    def _require_all(self, results: Collection[Any]) -> None:
        passed = {
            result.node.unique_id
            for result in results
            if status_outcome(str(result.status)) is Outcome.PASSED
        }
        missing = [node_name(node) for node in self.node_ids if node not in passed]
        if missing:
            raise DbtError(f"dbt {self.command} did not pass {', '.join(missing)}; see above.")

    def _verdict(self, task_instance: Any) -> Verdict | None:
        told = task_instance.xcom_pull(
            task_ids=self.build_task_id, key=verdict_key(task_instance.task_id)
        )
        return None if told is None else Verdict.from_xcom(told)

    def _build(self, task_instance: Any) -> Build:
        run_id = task_instance.run_id
        states = task_instance.get_task_states(
            dag_id=task_instance.dag_id, task_ids=[self.build_task_id], run_ids=[run_id]
        )
        build = Build(states.get(run_id, {}).get(self.build_task_id))
        if not build.is_over:
            return build
        told = task_instance.xcom_pull(task_ids=self.build_task_id, key=RUN_STARTED_KEY)
        return replace(build, run_started_at=told)


def node_name(unique_id: str) -> str:
    """The name in a unique id: `model.vending.fct_sales`, `test.vending.unique_x.1a2b3c4d5e`.

    In the project a name is given once, so it selects one node.
    """
    return unique_id.split(".")[2]
