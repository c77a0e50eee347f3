"""What a build's events become: one verdict for each task, told as soon as it is known."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from include.transform.verdicts import Outcome, Verdict, VerdictRecorder, status_outcome

MODEL, FIRST_TEST, SECOND_TEST = "model.v.a", "test.v.first.1", "test.v.second.2"
WATCHED = {"a.run": (MODEL,), "a.test": (FIRST_TEST, SECOND_TEST)}
STARTED = "2026-11-20T03:00:00+00:00"


def event(name: str, unique_id: str, level: str = "debug", **data: Any) -> SimpleNamespace:
    """The attributes of dbt's EventMsg that the recorder reads."""
    info = SimpleNamespace(name=name, level=level, msg=data.pop("msg", ""))
    node_info = SimpleNamespace(unique_id=unique_id)
    return SimpleNamespace(info=info, data=SimpleNamespace(node_info=node_info, **data))


def finished(unique_id: str, status: str, message: str = "") -> SimpleNamespace:
    result = SimpleNamespace(status=status, message=message)
    return event("NodeFinished", unique_id, run_result=result)


def recorded(*events: SimpleNamespace, selected: set[str] | None = None) -> dict[str, Verdict]:
    told: dict[str, Verdict] = {}
    recorder = VerdictRecorder(WATCHED, STARTED, told.__setitem__)
    if selected is not None:
        recorder.leave_out(selected)
    for each in events:
        recorder(each)
    return told


def test_a_model_is_told_when_it_has_finished() -> None:
    told = recorded(
        event("LogModelResult", MODEL, "info", msg="OK created a"), finished(MODEL, "success")
    )
    assert told == {"a.run": Verdict(Outcome.PASSED, STARTED, ("OK created a",))}


def test_tests_are_told_together_when_the_last_has_finished() -> None:
    assert recorded(finished(FIRST_TEST, "pass")) == {}
    told = recorded(finished(FIRST_TEST, "pass"), finished(SECOND_TEST, "warn"))
    assert told["a.test"].outcome is Outcome.PASSED


def test_one_failing_test_fails_them_all() -> None:
    told = recorded(finished(FIRST_TEST, "fail", "Got 3 results"), finished(SECOND_TEST, "pass"))
    assert told["a.test"].outcome is Outcome.FAILED
    assert "Got 3 results" in told["a.test"].lines


def test_a_failure_comes_with_its_last_statement() -> None:
    told = recorded(event("SQLQuery", MODEL, sql="select 1/0"), finished(MODEL, "error", "oh"))
    assert told["a.run"].lines == ("oh", "The last statement was:\nselect 1/0")


def test_a_node_that_dbt_passed_over_is_not_passed() -> None:
    assert recorded(finished(MODEL, "skipped"))["a.run"].outcome is Outcome.SKIPPED


def test_events_without_a_node_or_of_other_nodes_are_nobodys() -> None:
    lonely = SimpleNamespace(info=SimpleNamespace(name="MainReportVersion"), data=object())
    assert recorded(lonely, finished("model.v.other", "success")) == {}


def test_what_is_not_selected_is_told_at_once() -> None:
    told = recorded(selected={MODEL})
    assert told == {"a.test": Verdict(Outcome.NOT_SELECTED, STARTED)}


def test_a_part_of_the_tests_may_be_selected() -> None:
    told = recorded(finished(FIRST_TEST, "pass"), selected={MODEL, FIRST_TEST})
    assert told["a.test"].outcome is Outcome.PASSED


def test_a_status_that_nobody_knows_is_a_failure() -> None:
    assert status_outcome("partial success") is Outcome.FAILED
    assert status_outcome("") is Outcome.FAILED


statuses = st.sampled_from(["success", "pass", "warn", "error", "fail", "skipped", "new"])


@given(
    st.permutations([MODEL, FIRST_TEST, SECOND_TEST]),
    st.fixed_dictionaries({MODEL: statuses, FIRST_TEST: statuses, SECOND_TEST: statuses}),
)
def test_nothing_passes_unless_all_of_its_nodes_passed(
    order: list[str], status: dict[str, str]
) -> None:
    told = recorded(*(finished(node, status[node]) for node in order))
    for task, nodes in WATCHED.items():
        all_passed = all(status_outcome(status[node]) is Outcome.PASSED for node in nodes)
        assert (told[task].outcome is Outcome.PASSED) == all_passed


@given(
    st.builds(
        Verdict,
        outcome=st.sampled_from(Outcome),
        run_started_at=st.just(STARTED),
        lines=st.lists(st.text()).map(tuple),
    )
)
def test_a_verdict_survives_its_way_through_the_lake(verdict: Verdict) -> None:

    assert Verdict.from_json(verdict.to_json()) == verdict
