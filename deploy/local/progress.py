"""What a person sees while it runs: a live view on a terminal, a line a change elsewhere."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from deploy.local.follow import BROKEN, FINE, Progress, TaskKey

ALERTS_SHOWN = 5
NAMES_SHOWN = 3
TOLD = FINE | BROKEN | {"up_for_retry"}
STYLES = {"success": "green", "failed": "red", "running": "cyan", "waiting": "dim"}


class Alerts:
    """The lines that callbacks append to the alert file from now on."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._position = path.stat().st_size if path.exists() else 0

    def new_lines(self) -> list[str]:
        if not self._path.exists():
            return []
        with self._path.open(encoding="utf-8", errors="replace") as file:
            file.seek(self._position)
            lines = file.readlines()
            self._position = file.tell()
        return [line.strip() for line in lines if line.strip()]


class View:
    """Steps while things start, then the runs. One instance for one command."""

    def __init__(self, console: Console, alerts: Alerts) -> None:
        self.console = console
        self._alerts = alerts
        self._started = time.monotonic()

    @property
    def elapsed(self) -> float:
        """Seconds since the command started."""
        return time.monotonic() - self._started

    def say(self, text: str) -> None:
        """One line, with the seconds since the start."""
        self.console.print(
            Text(f"{self.elapsed:6.1f} s  ", style="dim").append(text, style="default"),
            soft_wrap=True,
        )

    def show(self, rounds: Iterable[list[Progress]]) -> None:
        """Show the runs until they are over."""
        if self.console.is_terminal:
            self._show_live(rounds)
        else:
            self._show_lines(rounds)

    def _show_live(self, rounds: Iterable[list[Progress]]) -> None:
        alerts: list[str] = []
        with Live(console=self.console, refresh_per_second=4) as live:
            for progress in rounds:
                alerts += self._alerts.new_lines()
                live.update(_picture(progress, alerts[-ALERTS_SHOWN:], self.elapsed))

    def _show_lines(self, rounds: Iterable[list[Progress]]) -> None:
        told: dict[tuple[str, TaskKey | None], str] = {}
        for progress in rounds:
            for line in _changes(progress, told):
                self.say(line)
            for alert in self._alerts.new_lines():
                self.say(f"alert: {alert}")


def _changes(
    rounds: Iterable[Progress], told: dict[tuple[str, TaskKey | None], str]
) -> Iterator[str]:
    """Lines for what has changed since the last call; ``told`` remembers what was said."""
    for progress in rounds:
        for key, task in progress.tasks.items():
            if task.state in TOLD and told.get((progress.dag_id, key)) != task.state:
                told[progress.dag_id, key] = task.state
                yield f"{progress.dag_id}.{task.name} {task.state}"
        if told.get((progress.dag_id, None)) != progress.state:
            told[progress.dag_id, None] = progress.state
            yield f"{progress.dag_id} {progress.state}"


def _picture(rounds: Iterable[Progress], alerts: list[str], elapsed: float) -> Group:
    table = Table(box=None, pad_edge=False)
    for heading in ("DAG", "state", "done", "running", "failed", "at work"):
        table.add_column(heading)
    for progress in rounds:
        table.add_row(*_row(progress))
    warnings = [Text(alert, style="yellow", overflow="fold") for alert in alerts]
    return Group(table, Text(f"{elapsed:.0f} s", style="dim"), *warnings)


def _row(progress: Progress) -> tuple[Text, ...]:
    names = [task.name for task in progress.at_work]
    shown = ", ".join(names[:NAMES_SHOWN]) + (" …" if len(names) > NAMES_SHOWN else "")
    broken = len(progress.broken)
    return (
        Text(progress.dag_id),
        Text(progress.state, style=STYLES.get(progress.state, "default")),
        Text(f"{progress.finished}/{len(progress.tasks)}"),
        Text(str(len(names))),
        Text(str(broken), style="red" if broken else "default"),
        Text(shown, style="dim"),
    )
