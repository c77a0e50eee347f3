import os
from collections.abc import Iterator

import pytest

from include.settings import Settings, current_settings
from tests.parity.report import ACCOUNT_VARIABLE
from tests.parity.services import Cloud, running_cloud


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say that the opt-in suite was left out."""
    if os.environ.get(ACCOUNT_VARIABLE) != "1":
        terminalreporter.section("a real Snowflake account")
        terminalreporter.write_line(f"NOT RUN: {ACCOUNT_VARIABLE} is not 1 (test_account.py).")


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    """Bucket and warehouse, empty, one pair for the tests of a module."""
    with running_cloud(tmp_path_factory.mktemp("cloud")) as services:
        yield services


@pytest.fixture
def settings(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> Iterator[Settings]:
    """The settings of staging, as its tasks have them."""
    for name, value in cloud.variables.items():
        monkeypatch.setenv(name, value)
    current_settings.cache_clear()
    yield current_settings()
    current_settings.cache_clear()
