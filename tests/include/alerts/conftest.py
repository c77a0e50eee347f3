"""A Slack that answers on loopback, and an alert to send to it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from include import settings as settings_module
from include.alerts.formatter import Alert, Outcome
from include.alerts.routing import QuietHours
from include.settings import Environment, Settings
from tests.services.slack import SlackServer, running_slack, webhook


@pytest.fixture
def slack_server() -> Iterator[SlackServer]:
    with running_slack() as slack:
        yield slack


@pytest.fixture
def connect_slack(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Defines the Airflow connection `slack` as a webhook at an address."""

    def connect(url: str) -> None:
        monkeypatch.setenv("AIRFLOW_CONN_SLACK", webhook(url))

    monkeypatch.delenv("AIRFLOW_CONN_SLACK", raising=False)
    return connect


@pytest.fixture
def dev(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, connect_slack: object
) -> Iterator[Settings]:
    """The settings of dev with a data folder of the test's own, without quiet hours."""
    monkeypatch.setenv("VENDING_ENV", "dev")
    monkeypatch.setenv("VENDING_DATA_DIR", str(tmp_path))
    monkeypatch.setattr(QuietHours, "end_of", lambda self, moment: None)
    settings_module.current_settings.cache_clear()
    yield settings_module.current_settings()
    settings_module.current_settings.cache_clear()


@pytest.fixture
def failed_test() -> Alert:
    return Alert(
        outcome=Outcome.FAILED,
        environment=Environment.DEV,
        dag_id="transform",
        run_id="asset_triggered__2026-11-20T03:00:00+00:00",
        subject="check_results",
        sentence="1 of 60 dbt nodes failed: test not_null_fct_sales_amount (3 rows).",
        log_url="http://127.0.0.1:8080/dags/transform/runs/1/tasks/check_results?try_number=1",
        runbook="docs/runbooks/transform.md",
    )
