"""Keeps what was measured: results.json, RESULTS.md, and the README's table and plot.

A row replaces the one of its name, so a benchmark that is run alone leaves the others as they were;
each row says of which commit and day it is.
"""

from __future__ import annotations

import json
import os
import platform
import re
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from benchmarks import large_run_result
from benchmarks.plot import Bar, bars
from benchmarks.results import Result, number, table

ROOT = Path(__file__).resolve().parents[1]
RESULTS = Path("benchmarks", "results.json")
LARGE_RUN = Path("benchmarks", "large_run.json")
PAGE = Path("benchmarks", "RESULTS.md")
PLOT = Path("docs", "pictures", "transform-seconds.svg")
READMES = (Path("README.md"), Path("README.ja.md"))

FIRST = "transform_vs_bare_dbt"
BEGIN, END = "<!-- measured -->", "<!-- /measured -->"

_VERSIONS = ("apache-airflow-core", "astronomer-cosmos", "dbt-core", "dbt-duckdb", "duckdb")


@dataclass(frozen=True, slots=True)
class Kept:
    """A result with the commit and the day that it was measured at."""

    result: Result
    commit: str
    day: str


def keep(results: Sequence[Result], root: Path = ROOT) -> None:
    """Write these results beside those that the repository at ``root`` keeps already."""
    commit, day = current_commit(), f"{datetime.now(UTC):%Y-%m-%d}"
    rows = {kept.result.name: kept for kept in read(root)}
    rows |= {result.name: Kept(result, commit, day) for result in results}
    write(sorted(rows.values(), key=lambda kept: kept.result.name != FIRST), root)


def read(root: Path = ROOT) -> list[Kept]:
    """The kept rows; none if nothing was measured yet."""
    if not (root / RESULTS).exists():
        return []
    records = json.loads((root / RESULTS).read_text("utf-8"))
    return [Kept(Result.of(record), record["commit"], record["day"]) for record in records]


def write(rows: Sequence[Kept], root: Path = ROOT) -> None:
    """Write the rows as JSON, and the page, the plot and the README's tables that show them."""
    records = [asdict(kept.result) | {"commit": kept.commit, "day": kept.day} for kept in rows]
    (root / RESULTS).write_text(json.dumps(records, indent=2) + "\n", "utf-8")
    large_run = large_run_result.section(root / LARGE_RUN)
    (root / PAGE).write_text("\n".join((*_page(rows), *large_run)) + "\n", "utf-8")
    results = {kept.result.name: kept.result for kept in rows}
    if FIRST in results:
        plot = bars("Seconds of a whole transform run", transform_bars(results))
        (root / PLOT).write_text(plot, "utf-8")
    for readme in (root / name for name in READMES):
        readme.write_text(_shown_in(readme.read_text("utf-8"), results.values()), "utf-8")


def transform_bars(results: dict[str, Result]) -> list[Bar]:
    """Bare dbt, this DAG, and Cosmos as it comes where that was measured."""
    ours = results[FIRST]
    named = [
        ("bare dbt build", ours.peer_value),
        ("this DAG, every model a task", ours.value),
        *(
            (f"Cosmos {mode.upper()} as it comes", results[name].value)
            for mode in ("watcher", "local")
            if (name := f"cosmos_{mode}_vs_bare_dbt") in results
        ),
    ]
    return [Bar(name, seconds) for name, seconds in named if seconds is not None]


def _page(rows: Sequence[Kept]) -> list[str]:
    versions = ", ".join(f"{name} {version(name)}" for name in _VERSIONS)
    head, line, *cells = table([kept.result for kept in rows])
    measured = [
        f"{row} {kept.day} | {kept.commit} |" for row, kept in zip(cells, rows, strict=True)
    ]
    return [
        "# Results",
        "",
        f"Written by `make bench` on {os.cpu_count()} cores ({processor()}), Python "
        f"{platform.python_version()}, {versions}. What each row compares is in "
        "[README.md](README.md); each run's value is in results.json.",
        "",
        f"{head} day | commit |",
        f"{line} --- | --- |",
        *measured,
    ]


def _shown_in(text: str, results: Iterable[Result]) -> str:
    """The page with the table of all results that have a target between its two marks."""
    lines = ["| name | median | unit | ratio | target | reached |"]
    lines.append("| --- | ---: | --- | ---: | ---: | --- |")
    for result in results:
        if result.target is not None:
            figures = (number(result.value), result.unit, number(result.ratio))
            cells = (result.name, *figures, number(result.target), result.verdict)
            lines.append(f"| {' | '.join(cells)} |")
    block = "\n".join((BEGIN, "", *lines, "", END))
    return re.sub(f"{BEGIN}.*{END}", lambda _: block, text, flags=re.DOTALL)


def current_commit() -> str:
    command = ["git", "rev-parse", "--short", "HEAD"]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True).stdout.strip()


def processor() -> str:
    information = Path("/proc/cpuinfo")
    if not information.exists():
        return platform.processor()
    lines = information.read_text(encoding="utf-8").splitlines()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
