"""What a test has to show beside its verdict, printed when all tests have ended."""

from __future__ import annotations

from collections.abc import Callable

import pytest

# Begins the name of a property of a test's report. Unlike output, reports travel from the
# processes of xdist to the one that prints.
_SHOWN = "shown: "


@pytest.fixture
def show(record_property: Callable[[str, object], None]) -> Callable[[str, str], None]:
    """Print a text below a title at the end of the run, whatever becomes of the test."""

    def shown(title: str, text: str) -> None:
        record_property(f"{_SHOWN}{title}", text)

    return shown


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    ended = (*terminalreporter.stats.get("passed", ()), *terminalreporter.stats.get("failed", ()))
    for report in ended:
        for name, text in report.user_properties:
            if name.startswith(_SHOWN):
                terminalreporter.section(name.removeprefix(_SHOWN))
                terminalreporter.write_line(text)
