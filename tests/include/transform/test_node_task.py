"""What a task does next, given what the build has told it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.transform.node_task import OVER, Attempt, Build, Step, decide, node_name
from include.transform.verdicts import Outcome, Verdict

NOW, BEFORE = "2026-11-20T03:00:00+00:00", "2026-11-19T03:00:00+00:00"
FIRST, RETRY = Attempt(False, NOW), Attempt(True, NOW)
PASSED = Verdict(Outcome.PASSED, NOW)
FAILED = replace(PASSED, outcome=Outcome.FAILED)
SKIPPED = replace(PASSED, outcome=Outcome.SKIPPED)
LEFT_OUT = replace(PASSED, outcome=Outcome.NOT_SELECTED)
RUNNING, ENDED = Build("running"), Build("success", NOW)
BROKEN = Build("failed", NOW)


@pytest.mark.parametrize("verdict", [PASSED, FAILED, LEFT_OUT])
def test_a_first_try_follows_the_build(verdict: Verdict) -> None:
    assert decide(FIRST, verdict, RUNNING) is Step.FOLLOW


@pytest.mark.parametrize("state", [None, "scheduled", "queued", "running", "up_for_retry"])
def test_a_task_waits_for_its_verdict(state: str | None) -> None:
    assert decide(FIRST, None, Build(state)) is Step.WAIT
    assert decide(RETRY, None, Build(state)) is Step.WAIT


def test_a_node_that_the_build_never_ran_does_not_pass() -> None:
    assert decide(FIRST, None, ENDED) is Step.NEVER_RAN
    assert decide(RETRY, None, ENDED) is Step.RUN_ALONE


def test_a_node_behind_a_mended_parent_runs_alone_after_the_build() -> None:
    assert decide(FIRST, SKIPPED, RUNNING) is Step.WAIT
    assert decide(FIRST, SKIPPED, ENDED) is Step.RUN_ALONE


def test_a_node_that_failed_is_retried_alone_after_the_build() -> None:
    assert decide(RETRY, FAILED, RUNNING) is Step.WAIT
    assert decide(RETRY, FAILED, ENDED) is Step.RUN_ALONE


@pytest.mark.parametrize("verdict", [PASSED, LEFT_OUT])
def test_a_task_that_was_killed_while_it_waited_follows_on_its_retry(verdict: Verdict) -> None:
    assert decide(RETRY, verdict, RUNNING) is Step.FOLLOW


@pytest.mark.parametrize("attempt", [FIRST, RETRY])
def test_where_the_build_failed_no_node_tries_what_the_build_could_not(attempt: Attempt) -> None:
    assert decide(attempt, None, BROKEN) is Step.BUILD_FAILED
    assert decide(attempt, None, Build("failed")) is Step.BUILD_FAILED


def test_what_the_build_told_before_it_failed_still_holds() -> None:
    assert decide(FIRST, PASSED, BROKEN) is Step.FOLLOW
    assert decide(RETRY, FAILED, BROKEN) is Step.RUN_ALONE


@pytest.mark.parametrize("outcome", Outcome)
def test_a_verdict_of_before_the_run_was_cleared_is_not_followed(outcome: Outcome) -> None:
    old = Verdict(outcome, BEFORE)
    assert decide(FIRST, old, RUNNING) is Step.WAIT
    assert decide(FIRST, old, Build("success", BEFORE)) is Step.RUN_ALONE


@pytest.mark.parametrize("state", ["success", "failed"])
def test_a_node_that_is_cleared_after_a_build_without_its_verdict_runs_alone(state: str) -> None:
    assert decide(FIRST, None, Build(state, BEFORE)) is Step.RUN_ALONE


states = st.sampled_from([None, "scheduled", "queued", "running", "up_for_retry", *OVER])
moments = st.sampled_from([NOW, BEFORE])
attempts = st.builds(Attempt, is_retry=st.booleans(), run_started_at=moments)
builds = st.builds(Build, state=states, run_started_at=st.none() | moments)
verdicts = st.none() | st.builds(Verdict, outcome=st.sampled_from(Outcome), run_started_at=moments)


@given(attempts, verdicts, builds)
def test_dbt_never_runs_beside_the_build(
    attempt: Attempt, verdict: Verdict | None, build: Build
) -> None:
    assert decide(attempt, verdict, build) is not Step.RUN_ALONE or build.is_over


@given(attempts, verdicts, builds)
def test_no_task_waits_for_a_build_that_is_over(
    attempt: Attempt, verdict: Verdict | None, build: Build
) -> None:
    assert (decide(attempt, verdict, build) is Step.WAIT) <= (not build.is_over)


@given(attempts, verdicts, builds)
def test_only_a_verdict_of_this_run_is_followed(
    attempt: Attempt, verdict: Verdict | None, build: Build
) -> None:
    if decide(attempt, verdict, build) is Step.FOLLOW:
        assert verdict is not None
        assert verdict.run_started_at == attempt.run_started_at


@dataclass(frozen=True)
class Task:
    retries: int


@dataclass(frozen=True)
class TaskInstance:
    """Numbers as Airflow sets them: clearing sets max_tries to the tries so far plus retries."""

    try_number: int
    max_tries: int
    task: Task


@dataclass(frozen=True)
class DagRun:
    start_date: datetime = datetime(2026, 11, 20, 3, tzinfo=UTC)


@pytest.mark.parametrize(
    ("try_number", "max_tries", "is_retry"),
    [(1, 2, False), (2, 2, True), (3, 2, True), (2, 3, False), (4, 5, False), (5, 5, True)],
)
def test_the_first_try_after_a_clearing_is_no_retry(
    try_number: int, max_tries: int, is_retry: bool
) -> None:
    task_instance = TaskInstance(try_number, max_tries, Task(retries=2))
    assert Attempt.of(task_instance, DagRun()) == Attempt(is_retry, NOW)


def test_a_name_is_the_third_part_of_a_unique_id() -> None:
    assert node_name("model.vending.fct_sales") == "fct_sales"
    assert node_name("test.vending.unique_fct_sales_sale_id.1a2b3c4d5e") == (
        "unique_fct_sales_sale_id"
    )
