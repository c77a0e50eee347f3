"""The task of one dbt node: it follows the build, and runs dbt for its node alone when it must."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from typing import Any

from airflow.sdk import DAG, BaseOperator, TriggerRule
from airflow.sdk.exceptions import (
    AirflowException,
    AirflowFailException,
    AirflowRescheduleException,
    AirflowSkipException,
)

from include.dag_defaults import RUN_TIMEOUT
from include.lake import open_lake
from include.settings import Environment, Settings, current_settings
from include.transform.artifacts import RunArtifacts
from include.transform.dbt_command import DbtError, run_dbt
from include.transform.layout import DbtNodes
from include.transform.project import DbtProject
from include.transform.verdicts import RUN_STARTED_KEY, Outcome, Verdict, status_outcome
from include.transform.warehouse_access import wait_for_warehouse

BUILD_TASK_ID = "dbt_build"

# How often a task that keeps its slot looks for its verdict, a file, and how often at the state of
# the build's task: that goes through Airflow's API, and a build rarely ends without a word.
LOOK_SECONDS = 0.25
STATE_SECONDS = 5.0
# Most tasks that wait are told within this time, and need not look at the state at all.
FIRST_STATE_SECONDS = 1.0

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


@dataclass(frozen=True, slots=True)
class Waiting:
    """How a task waits for the build: in its slot, and how long it stays away from it."""

    patience: timedelta
    interval: timedelta


# A laptop builds in seconds. In the cloud a build takes minutes, and slots are few.
WAITING = {
    Environment.DEV: Waiting(patience=timedelta(minutes=1), interval=timedelta(seconds=3)),
    Environment.STAGING: Waiting(patience=timedelta(0), interval=timedelta(minutes=1)),
    Environment.PROD: Waiting(patience=timedelta(0), interval=timedelta(minutes=1)),
}


def node_task(
    settings: Settings, nodes: DbtNodes | Callable[[], DbtNodes], **task: Any
) -> DbtNodeOperator:
    """The task of these nodes. ``nodes`` may be a function, called only where they are needed."""
    return DbtNodeOperator(
        nodes=nodes,
        waiting=WAITING[settings.environment],
        # A node that was not selected is skipped, and what is below it may be selected.
        trigger_rule=TriggerRule.NONE_FAILED,
        # The failures of a run are told together, by the task that checks the results.
        on_failure_callback=None,
        **task,
    )


class DbtNodeOperator(BaseOperator):
    """Shows what became of its nodes in the build.

    For as long as its patience lasts it keeps its slot while the build is at work. It keeps it for
    no more than a second while the build has none, or the tasks that wait could hold all slots
    against the build; nor is it in the pool of the warehouse.

    It gives its slot up as a sensor does in the mode `reschedule`, but is none: of each sensor that
    has not started yet the scheduler asks the database in each of its rounds whether its time has
    come, which was a quarter of all that the scheduler did.
    """

    ui_color = "#fdeee4"

    def __init__(
        self, *, nodes: DbtNodes | Callable[[], DbtNodes], waiting: Waiting, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self._given_nodes = nodes
        self.waiting = waiting

    @cached_property
    def nodes(self) -> DbtNodes:
        given = self._given_nodes
        return given if isinstance(given, DbtNodes) else given()

    def execute(self, context: Any) -> None:
        """Raises AirflowException if the node failed, AirflowRescheduleException to look later, and
        AirflowFailException where looking again is in vain."""
        if not self._is_through(context):
            self._come_back(context)

    def _is_through(self, context: Any) -> bool:
        task_instance = context["ti"]
        attempt = Attempt.of(task_instance, context["dag_run"])
        artifacts = RunArtifacts(open_lake(current_settings().lake), task_instance.run_id)
        patience = self.waiting.patience.total_seconds()
        started = time.monotonic()
        state_due = started + min(FIRST_STATE_SECONDS, patience)
        while True:
            now = time.monotonic()
            looks_at_state = now >= state_due
            step, verdict, build = self._look(artifacts, task_instance, attempt, looks_at_state)
            if step is not Step.WAIT:
                self._take(step, verdict, task_instance)
                return True
            if not build.is_at_work or now > started + patience:
                return False
            if looks_at_state:
                state_due = now + STATE_SECONDS
            time.sleep(LOOK_SECONDS)

    def _come_back(self, context: Any) -> None:
        now = datetime.now(UTC)
        waits_since = context["ti"].get_first_reschedule_date(context) or now
        if now - waits_since > RUN_TIMEOUT:
            raise AirflowFailException(
                f"The build has told nothing of {self._names} for {RUN_TIMEOUT}; see the log of "
                f"{BUILD_TASK_ID}."
            )
        raise AirflowRescheduleException(now + self.waiting.interval)

    def _look(
        self, artifacts: RunArtifacts, task_instance: Any, attempt: Attempt, looks_at_state: bool
    ) -> tuple[Step, Verdict | None, Build]:
        verdict, build = artifacts.verdict(task_instance.task_id), Build("running")
        step = decide(attempt, verdict, build)
        if step is Step.WAIT and looks_at_state:
            build = self._build(task_instance)
            # Read again: the last verdicts may have come just before the end.
            verdict = artifacts.verdict(task_instance.task_id)
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
                f"{BUILD_TASK_ID}, mend the cause and start a new run."
            )

    @property
    def _names(self) -> str:
        return ", ".join(node_name(unique_id) for unique_id in self.nodes.unique_ids)

    def _follow(self, verdict: Verdict) -> None:
        for line in verdict.lines:
            self.log.info("%s", line)
        if verdict.outcome is Outcome.NOT_SELECTED:
            raise AirflowSkipException(f"{self._names} is not in this run's selection.")
        if verdict.outcome is Outcome.FAILED:
            raise AirflowException(f"dbt {self.nodes.command} failed for {self._names}; see above.")

    def _run_alone(self, task_instance: Any) -> None:
        settings = current_settings()
        self.log.info("Running dbt %s for %s alone.", self.nodes.command, self._names)
        wait_for_warehouse(settings)
        artifacts = RunArtifacts(open_lake(settings.lake), task_instance.run_id)
        names = [node_name(unique_id) for unique_id in self.nodes.unique_ids]
        with tempfile.TemporaryDirectory() as folder:
            target_path = Path(folder)
            result = run_dbt(
                DbtProject.of_settings(settings),
                self.nodes.command,
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
        missing = [node_name(node) for node in self.nodes.unique_ids if node not in passed]
        if missing:
            raise DbtError(
                f"dbt {self.nodes.command} did not pass {', '.join(missing)}; see above."
            )

    def _build(self, task_instance: Any) -> Build:
        run_id = task_instance.run_id
        states = task_instance.get_task_states(
            dag_id=task_instance.dag_id, task_ids=[BUILD_TASK_ID], run_ids=[run_id]
        )
        build = Build(states.get(run_id, {}).get(BUILD_TASK_ID))
        if not build.is_over:
            return build
        told = task_instance.xcom_pull(task_ids=BUILD_TASK_ID, key=RUN_STARTED_KEY)
        return replace(build, run_started_at=told)


def watched_nodes(dag: DAG) -> dict[str, tuple[str, ...]]:
    """The unique ids of the dbt nodes of each task."""
    return {
        task.task_id: task.nodes.unique_ids
        for task in dag.tasks
        if isinstance(task, DbtNodeOperator)
    }


def node_name(unique_id: str) -> str:
    """The name in a unique id: `model.vending.fct_sales`, `test.vending.unique_x.1a2b3c4d5e`.

    In the project a name is given once, so it selects one node.
    """
    return unique_id.split(".")[2]
