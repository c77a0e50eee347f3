"""One new day, after a short history and after ten times that.

    python -m benchmarks.history [--machines 50] [--days 30] [--rounds 5]

The files of the last day arrive in a warehouse that holds all days before it; they are ingested,
transformed and published (D1 and KV of the local Cloudflare) without Airflow, whose own work does
not depend on the data. Each round puts warehouse and edge back and takes the short history and the
long one in turn. Exits 1 if the day costs more than 1.2 times as much CPU after the long one.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from benchmarks.one_day import PARTS
from benchmarks.processes import answer_of, run_module
from benchmarks.results import Result, compared, show
from deploy.cloudflare.local_cloudflare import running_cloudflare
from deploy.local.airflow_env import preparation_environment
from deploy.local.edge import edge_environment
from deploy.local.layout import Layout
from deploy.local.preparation import Data, Fleet, build_manifest, write_files

TIMES = 10
MOST_RATIO = 1.2
LAST_DAY = date(2026, 10, 31)


@dataclass(frozen=True)
class History:
    """A platform that knows all days but the last, whose files have just arrived."""

    layout: Layout
    environment: Mapping[str, str]
    before: Path

    def put_back(self) -> None:
        shutil.copyfile(self.before, self.layout.warehouse)
        self._work("snapshot")
        self._work("publish")

    def new_day(self) -> dict[str, float]:
        """CPU seconds of each part."""
        return {part: self._work(part) for part in PARTS}

    def _work(self, part: str) -> float:
        # In a process of its own, as a task is: dbt keeps the warehouse's file until its ends.
        return float(answer_of("benchmarks.one_day", part, environment=self.environment)[part])


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="One day after a short and a long history.")
    parser.add_argument("--machines", type=int, default=50)
    parser.add_argument("--days", type=int, default=30)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args(arguments)
    return show(measure(options.rounds, options.machines, options.days))


def measure(rounds: int = 5, machines: int = 50, days: int = 30) -> list[Result]:
    with (
        tempfile.TemporaryDirectory(prefix="benchmark-history-") as name,
        _history(Path(name) / "short", Fleet(machines, days)) as short,
        _history(Path(name) / "long", Fleet(machines, TIMES * days)) as long,
    ):
        measured = [(_round(long), _round(short)) for _ in range(rounds)]
    whole = [[sum(day.values()) for day in pair] for pair in measured]
    results = [_result("day_after_long_history", whole, MOST_RATIO)]
    for part in PARTS:
        seconds = [[day[part] for day in pair] for pair in measured]
        results.append(_result(f"day_after_long_history_{part}", seconds, None))
    return results


def _result(name: str, pairs: Sequence[Sequence[float]], target: float | None) -> Result:
    long, short = zip(*pairs, strict=True)
    return compared(name, "CPU s", long, "a tenth of the history", short, target)


def _round(history: History) -> dict[str, float]:
    history.put_back()
    return history.new_day()


@contextmanager
def _history(folder: Path, fleet: Fleet) -> Iterator[History]:
    layout = Layout(folder / "data", folder / "airflow")
    with running_cloudflare(folder / "cloudflare") as cloudflare:
        environment = {**preparation_environment(layout), **edge_environment(cloudflare)}
        run_module(*build_manifest(), environment=environment)
        end = ["--end-date", LAST_DAY.isoformat()]
        run_module(*write_files(layout, Data.FLEET, fleet), *end, environment=environment)
        last_day = layout.sources / "fleet" / LAST_DAY.isoformat()
        aside = last_day.rename(folder / last_day.name)
        history = History(layout, environment, folder / "before.duckdb")
        history.new_day()
        aside.rename(last_day)
        shutil.copyfile(layout.warehouse, history.before)
        yield history


if __name__ == "__main__":
    sys.exit(main())
