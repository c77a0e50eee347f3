"""A bad day: a vendor's till forgets the minus sign of refunds. Every contract takes the file.

From the fault to one message, to the page, to the runbook's steps as they are written, to recovery
and the message that says so: with the real scheduler and the real page, and a Slack on loopback.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from deploy.local.airflow_api import AirflowApi
from deploy.local.layout import REPOSITORY, Layout
from deploy.local.stack import read_state
from tests.services.slack import SlackServer, running_slack

FLEET = "MACHINES=4 DAYS=8 SEED=11 FAULTS=broken_rows"
COMMAND_SECONDS = 600
MESSAGE_SECONDS = 660
# What a laptop has of the repository to work with.
PARTS = ("dags", "dbt", "deploy", "docs", "include", "plugins", "simulator", "locks", "Makefile")
SHELL = re.compile(r"^ *```sh\n(.*?)^ *```", re.MULTILINE | re.DOTALL)

pytestmark = pytest.mark.timeout(6 * COMMAND_SECONDS)


def _shell_of_a_person(root: Path) -> dict[str, str]:
    """The environment without what other tests of this process have left in it for dbt."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("VENDING_")}
    return own | {"PATH": f"{root}/.venv/bin:{os.environ['PATH']}"}


@dataclass(frozen=True)
class Laptop:
    """A copy of the repository in which a person types commands."""

    root: Path

    @property
    def layout(self) -> Layout:
        return Layout(self.root / "data", self.root / ".airflow")

    def type(self, command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["bash", "-euc", command],
            cwd=self.root, env=_shell_of_a_person(self.root),
            capture_output=True, text=True, timeout=COMMAND_SECONDS, check=False,
        )  # fmt: skip

    def vendor_delivers(self, phase: str) -> None:
        state, sources = self.layout.simulator_state, self.layout.sources
        command = f"python -m simulator deliver --state {state} --out {sources} {phase}"
        delivered = self.type(command)
        assert "Delivered" in delivered.stdout, delivered.stderr

    def runbook(self, name: str, heading: str) -> list[str]:
        """The commands below a heading of a runbook."""
        text = (self.root / name).read_text(encoding="utf-8")
        section = re.search(rf"^## {heading}\n(.*?)(?=^## )", text, re.MULTILINE | re.DOTALL)
        assert section, f"{name} has no section {heading}"
        return SHELL.findall(section[1])

    def look_at(self, path: str) -> httpx.Response:
        """A page of the UI, as a logged-in person gets it."""
        state = read_state(self.layout.stack_state)
        assert state is not None
        api = AirflowApi(state.address)
        api.log_in(self.layout.passwords)
        answer = api._client.get(path, headers={"Accept-Language": "en"})
        assert answer.status_code == httpx.codes.OK
        return answer

    def page(self) -> str:
        """Data health."""
        return self.look_at("/data-health/").text


@pytest.fixture
def slack() -> Iterator[SlackServer]:
    with running_slack() as slack:
        yield slack


@pytest.fixture
def laptop(tmp_path: Path, slack: SlackServer) -> Iterator[Laptop]:
    """With Airflow up, before the first run."""
    for part in PARTS:
        copy = shutil.copytree if (REPOSITORY / part).is_dir() else shutil.copy2
        copy(REPOSITORY / part, tmp_path / part, **_left_out(part))
    _link_environment(tmp_path / ".venv")
    (tmp_path / ".env").write_text(
        f"AIRFLOW_CONN_SLACK='{slack.connection}'\nVENDING_RETRY_DELAY_SECONDS=0\n"
    )
    laptop = Laptop(tmp_path)
    try:
        up = laptop.type(f"make up {FLEET}")
        assert up.returncode == 0, up.stdout + up.stderr
        yield laptop
    finally:
        laptop.type("make down")


def test_a_bad_day_from_the_fault_to_the_message_that_it_is_over(
    laptop: Laptop, slack: SlackServer
) -> None:
    laptop.vendor_delivers("unsigned-refunds")
    assert laptop.type("make run").returncode != 0

    (message,) = told(slack, " failed in dev: ")
    test, rows = re.search(r"test (holds_\w+) \((\d+) rows\)", message).groups()
    (compiled,) = re.findall(r"SQL (dbt-artifacts/\S+\.sql)", message)
    assert int(rows) > 0
    assert '"transaction_type": "refund"' in message
    assert "amount <= 0" in (laptop.layout.data / compiled).read_text(encoding="utf-8")
    assert re.search(r"affects .*operators_dashboard", message)
    runbook, run_id = (re.search(rf"\| {word} (\S+)", message)[1] for word in ("runbook", "run"))

    page = laptop.page()
    assert test in page
    assert "malformed_row" in page
    assert answers(page) == {"there": "Yes", "complete": "Yes", "right": "No", "published": "No"}
    assert not laptop.layout.snapshot.exists()
    tasks = f"/api/v2/dags/transform/dagRuns/{run_id}/taskInstances"
    failed = laptop.look_at(f"{tasks}/models.staging.stg_vending__sales.test/links")
    links = failed.json()["extra_links"]
    assert "passed" in laptop.look_at(links["Last runs of the model"]).text
    assert "dbt Docs" in laptop.look_at(links["dbt documentation"]).text

    look, again = laptop.runbook(runbook, "After a failed test")
    shown = laptop.type(look.replace("<test name>", test))
    assert shown.returncode == 0, shown.stdout + shown.stderr
    assert shown.stdout.count("| fleet ") == int(rows)
    laptop.vendor_delivers("signed-refunds")
    recovered = laptop.type(again)
    assert recovered.returncode == 0, recovered.stdout + recovered.stderr

    (recovery,) = told(slack, "is back to normal")
    assert told(slack, " failed in dev: ") == [message]
    assert "transform is back to normal in dev: Back to normal after 1 run." in recovery
    assert test in recovery
    assert set(answers(laptop.page()).values()) == {"Yes"}
    assert laptop.layout.snapshot.exists()


def told(slack: SlackServer, part: str) -> list[str]:
    """The messages with these words: what a slow machine did not send comes ten minutes later."""
    patience = time.monotonic() + MESSAGE_SECONDS
    while not (found := [text for text in slack.texts if part in text]):
        if time.monotonic() > patience:
            raise TimeoutError(f"Nobody was told {part!r}.")
        time.sleep(0.5)
    return found


def answers(page: str) -> dict[str, str]:
    """Yes or No to each of the page's questions."""
    found = re.findall(r'class="question">Is (.*?)\?</span>\s*<strong>(\w+)</strong>', page)
    return {question.split()[-1]: answer for question, answer in found}


def _left_out(part: str) -> dict[str, object]:
    made = shutil.ignore_patterns("__pycache__", "node_modules", "target", "logs")
    return {"ignore": made} if (REPOSITORY / part).is_dir() else {}


def _link_environment(venv: Path) -> None:
    """This environment, as up to date as `make` wants it."""
    venv.mkdir()
    for part in Path(sys.prefix).iterdir():
        if part.name != "installed-locks":
            (venv / part.name).symlink_to(part)
    (venv / "installed-locks").touch()
