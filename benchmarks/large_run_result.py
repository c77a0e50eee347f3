"""What a large run took, kept as JSON and shown on the page of results."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

CORES = 2
LIMIT_MB = 8192


@dataclass(frozen=True, slots=True)
class Step:
    """What one step took: seconds by the clock and of processor time, and the most megabytes that
    its processes held at once."""

    name: str
    seconds: float
    cpu_seconds: float
    peak_mb: int


@dataclass(frozen=True, slots=True)
class Totals:
    """Rows of sales of every type, and revenue in yen."""

    sales_rows: int
    revenue: int


@dataclass(slots=True)
class Done:
    """What is done of a run, in a file beside its data; ``written`` is what the files hold."""

    path: Path
    steps: list[Step]
    written: Totals | None

    @classmethod
    def read(cls, path: Path) -> Done:
        """Nothing, where there is no such file."""
        if not path.exists():
            return cls(path, [], None)
        content = json.loads(path.read_text(encoding="utf-8"))
        written = Totals(**content["written"]) if content["written"] else None
        return cls(path, [Step(**step) for step in content["steps"]], written)

    def note(self, step: Step) -> None:
        self.steps.append(step)
        self._keep()

    def note_written(self, totals: Totals) -> None:
        self.written = totals
        self._keep()

    def _keep(self) -> None:
        written = None if self.written is None else asdict(self.written)
        content = {"steps": [asdict(step) for step in self.steps], "written": written}
        self.path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


@dataclass(frozen=True, slots=True)
class LargeRun:
    day: str
    commit: str
    processor: str
    machines: int
    days: int
    totals: Totals
    steps: tuple[Step, ...]

    def keep(self, path: Path) -> None:
        path.write_text(json.dumps(asdict(self), indent=2) + "\n", encoding="utf-8")

    @classmethod
    def read(cls, path: Path) -> LargeRun:
        content = json.loads(path.read_text(encoding="utf-8"))
        totals, steps = Totals(**content["totals"]), tuple(Step(**s) for s in content["steps"])
        return cls(**content | {"totals": totals, "steps": steps})


def section(path: Path) -> list[str]:
    """The lines of the page on the run that is kept there; none if there was no run."""
    if not path.exists():
        return []
    run = LargeRun.read(path)
    return [
        "",
        "## The large run",
        "",
        f"{run.totals.sales_rows:,} rows of sales: {run.machines:,} machines, {run.days} days, on "
        f"{run.day}, commit {run.commit}, {CORES} cores ({run.processor}), within {LIMIT_MB:,} MB "
        f"of a memory cgroup. Raw holds every row of the files, and fct_sales their revenue, "
        f"{run.totals.revenue:,} yen.",
        "",
        *table(run),
    ]


def table(run: LargeRun) -> list[str]:
    """The times of the steps as the lines of a Markdown table."""
    steps = [*run.steps, _whole(run.steps)]
    return [
        "| step | s | CPU s | peak MB |",
        "| --- | ---: | ---: | ---: |",
        *(f"| {s.name} | {s.seconds:,.0f} | {s.cpu_seconds:,.0f} | {s.peak_mb:,} |" for s in steps),
    ]


def _whole(steps: Sequence[Step]) -> Step:
    seconds, cpu_seconds = sum(s.seconds for s in steps), sum(s.cpu_seconds for s in steps)
    return Step("in all", seconds, cpu_seconds, max(s.peak_mb for s in steps))
