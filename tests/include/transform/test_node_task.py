"""What a task does next, given what the build has told it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.transform.node_task import Attempt, Step, decide, node_name
from include.transform.verdicts import Outcome, Verdict

NOW, BEFORE = "2026-11-20T03:00:00+00:00", "2026-11-19T03:00:00+00:00"
FIRST, RETRY = Attempt(False, NOW), Attempt(True, NOW)
PASSED = Verdict(Outcome.PASSED, NOW)
FAILED = replace(PASSED, outcome=Outcome.FAILED)
SKIPPED = replace(PASSED, outcome=Outcome.SKIPPED)


@pytest.mark.parametrize("verdict", [PASSED, FAILED, Verdict(Outcome.NOT_SELECTED, NOW)])
def test_a_first_try_follows_the_build(verdict: Verdict) -> None:
    assert decide(FIRST, verdict, build_is_over=False) is Step.FOLLOW


def test_a_first_try_waits_for_its_verdict() -> None:
    assert decide(FIRST, None, build_is_over=False) is Step.WAIT


def test_a_node_that_the_build_never_ran_does_not_pass() -> None:
    assert decide(FIRST, None, build_is_over=True) is Step.NEVER_RAN


def test_a_node_behind_a_mended_parent_runs_alone_after_the_build() -> None:
    assert decide(FIRST, SKIPPED, build_is_over=False) is Step.WAIT
    assert decide(FIRST, SKIPPED, build_is_over=True) is Step.RUN_ALONE


@pytest.mark.parametrize("verdict", [None, PASSED, FAILED, SKIPPED])
def test_a_retry_runs_alone_and_never_beside_the_build(verdict: Verdict | None) -> None:
    assert decide(RETRY, verdict, build_is_over=False) is Step.WAIT
    assert decide(RETRY, verdict, build_is_over=True) is Step.RUN_ALONE


@pytest.mark.parametrize("outcome", Outcome)
def test_a_verdict_of_before_the_run_was_cleared_is_not_followed(outcome: Outcome) -> None:
    old = Verdict(outcome, BEFORE)
    assert decide(FIRST, old, build_is_over=False) is Step.WAIT
    assert decide(FIRST, old, build_is_over=True) is Step.RUN_ALONE


verdicts = st.none() | st.builds(
    Verdict, outcome=st.sampled_from(Outcome), run_started_at=st.sampled_from([NOW, BEFORE])
)


@given(st.booleans(), verdicts, st.booleans())
def test_dbt_never_runs_beside_the_build(
    is_retry: bool, verdict: Verdict | None, build_is_over: bool
) -> None:
    step = decide(Attempt(is_retry, NOW), verdict, build_is_over=build_is_over)
    assert step is not Step.RUN_ALONE or build_is_over


@given(st.booleans(), verdicts)
def test_no_task_waits_for_a_build_that_is_over(is_retry: bool, verdict: Verdict | None) -> None:
    assert decide(Attempt(is_retry, NOW), verdict, build_is_over=True) is not Step.WAIT


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
