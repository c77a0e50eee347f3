from __future__ import annotations

import re
import subprocess

from deploy.local.layout import REPOSITORY


def make(*arguments: str) -> str:
    return subprocess.run(
        ["make", "--no-print-directory", *arguments],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=True,
    ).stdout


def test_help_lists_every_target_that_a_person_may_call() -> None:
    makefile = (REPOSITORY / "Makefile").read_text()
    phony = re.search(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)
    assert phony is not None

    listed = {line.split()[0] for line in make("help").splitlines()}

    assert set(phony[1].split()) <= listed


def test_without_a_target_make_explains_itself() -> None:
    assert make() == make("help")


def test_the_variables_reach_the_simulator() -> None:
    command = make("--dry-run", "run", "MACHINES=3", "DAYS=5", "SEED=1", "FAULTS=all")

    assert "-m deploy.local run" in command
    assert "--machines 3 --days 5 --seed 1 --faults all" in " ".join(command.split())


def test_a_variable_that_is_not_given_is_left_to_the_simulator() -> None:
    assert "--machines" not in make("--dry-run", "run")
