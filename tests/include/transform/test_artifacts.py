"""What a build tells the tasks of its run through the lake."""

from __future__ import annotations

from pathlib import Path

from include.lake import DiskLake
from include.transform.artifacts import RunArtifacts
from include.transform.verdicts import Outcome, Verdict

STARTED = "2026-11-20T03:00:00+00:00"
TASK = "models.marts.fct_sales.run"
PASSED = Verdict(Outcome.PASSED, STARTED, ("OK created 自販機",))


def artifacts_of(folder: Path, run_id: str = "manual__2026-11-20T03:00:00+00:00") -> RunArtifacts:
    return RunArtifacts(DiskLake(folder), run_id)


def test_a_task_finds_what_the_build_said_about_it(tmp_path: Path) -> None:
    artifacts_of(tmp_path).tell(TASK, PASSED)
    assert artifacts_of(tmp_path).verdict(TASK) == PASSED


def test_before_the_build_has_spoken_there_is_no_verdict(tmp_path: Path) -> None:
    assert artifacts_of(tmp_path).verdict(TASK) is None


def test_runs_do_not_hear_each_other(tmp_path: Path) -> None:
    artifacts_of(tmp_path).tell(TASK, PASSED)
    assert artifacts_of(tmp_path, "another run").verdict(TASK) is None


def test_a_build_that_starts_again_takes_back_what_was_said(tmp_path: Path) -> None:
    artifacts = artifacts_of(tmp_path)
    artifacts.tell(TASK, PASSED)
    artifacts.forget_verdicts()
    assert artifacts.verdict(TASK) is None
