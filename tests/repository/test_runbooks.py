"""A runbook helps the person who was alerted: what to do first, what it means, how to rerun."""

import re
from pathlib import Path

import pytest

from include.alerts.callbacks import runbook_of
from tests.repository.files import ROOT, RUNBOOKS

STEPS = 3


def section(runbook: Path, heading: str) -> str:
    """The text below a heading, empty where there is none."""
    text = runbook.read_text(encoding="utf-8")
    found = re.search(rf"^## {heading}\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    return found[1] if found else ""


@pytest.fixture(params=RUNBOOKS, ids=lambda path: path.stem)
def runbook(request: pytest.FixtureRequest) -> Path:
    return request.param


def test_it_begins_with_three_things_to_do(runbook: Path) -> None:
    steps = re.findall(r"^(\d)\. ", section(runbook, "First three things"), re.MULTILINE)
    assert steps == [str(number + 1) for number in range(STEPS)]


def test_it_says_what_each_alert_means_and_what_to_do(runbook: Path) -> None:
    rows = re.findall(r"^\|(.+)\|$", section(runbook, "What an alert means"), re.MULTILINE)
    header, _, *meanings = [[cell.strip() for cell in row.split(" | ")] for row in rows]
    assert header == ["says", "means", "do"]
    assert meanings
    assert [row for row in meanings if len(row) != len(header) or not all(row)] == []


def test_it_says_how_to_run_again(runbook: Path) -> None:
    headings = ("Running it again", "Publishing a mart from nothing")
    assert any(section(runbook, heading).strip() for heading in headings)


def test_an_alert_names_a_runbook_that_exists(runbook: Path) -> None:
    assert ROOT / runbook_of(runbook.stem) == runbook


def test_every_task_that_a_runbook_names_in_an_alert_exists(runbook: Path) -> None:
    rows = re.findall(r"^\| `(\w+)`", section(runbook, "What an alert means"), re.MULTILINE)
    code = "\n".join(path.read_text("utf-8") for path in (ROOT / "include").rglob("*.py"))
    assert [task for task in rows if not re.search(rf"def {task}\(|\"{task}\"", code)] == []
