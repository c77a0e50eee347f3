"""What was measured is kept, and shown where people look."""

from __future__ import annotations

import json
import shutil
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from benchmarks.large_run_result import LargeRun, Step, Totals
from benchmarks.report import (
    BEGIN,
    END,
    FIRST,
    LARGE_RUN,
    PAGE,
    PLOT,
    READMES,
    RESULTS,
    ROOT,
    keep,
    read,
)
from benchmarks.results import Result, alone, compared

OURS = compared(FIRST, "s", [26.0, 27.0, 28.0], "bare dbt build", [17.0, 18.0, 16.0], 1.6)
SLOW = compared("conform", "rows/s", [60.0, 50.0], "DuckDB", [100.0, 100.0], 0.75)
TOLD = alone("resident", "MB", [300.0], None)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for path in (RESULTS, PLOT):
        (tmp_path / path).parent.mkdir(parents=True)
    for readme in READMES:
        shutil.copyfile(ROOT / readme, tmp_path / readme)
    return tmp_path


def shown(root: Path, readme: Path) -> str:
    return (root / readme).read_text("utf-8").partition(BEGIN)[2].partition(END)[0]


def names(root: Path) -> list[str]:
    return [row["name"] for row in json.loads((root / RESULTS).read_text("utf-8"))]


def test_a_benchmark_that_is_run_alone_leaves_the_rows_of_others(root: Path) -> None:
    keep([SLOW, TOLD], root)
    keep([OURS], root)
    assert names(root) == [FIRST, "conform", "resident"]
    assert [kept.result for kept in read(root)] == [OURS, SLOW, TOLD]


def test_a_row_that_is_measured_again_replaces_the_one_before(root: Path) -> None:
    keep([SLOW], root)
    keep([alone("conform", "rows/s", [80.0], 0.75)], root)
    [row] = json.loads((root / RESULTS).read_text("utf-8"))
    assert row["value"] == 80.0
    assert row["runs"] == [80.0]


@pytest.mark.parametrize("readme", READMES, ids=str)
def test_the_readme_shows_each_row_with_a_target_and_whether_it_was_reached(
    root: Path, readme: Path
) -> None:
    keep([OURS, SLOW, TOLD], root)
    keep([OURS, SLOW, TOLD], root)
    rows = [line for line in shown(root, readme).splitlines() if line.startswith("|")][2:]
    assert [(row.split(" | ")[0], row.split(" | ")[-1]) for row in rows] == [
        (f"| {FIRST}", "yes |"),
        ("| conform", "no |"),
    ]


def test_the_page_says_of_each_row_minimum_maximum_and_commit(root: Path) -> None:
    keep([OURS], root)
    row = (root / PAGE).read_text("utf-8").splitlines()[-1]
    assert "| 27.00 | 26.00 | 28.00 | s | bare dbt build | 17.00 | 1.53 | 1.60 | yes |" in row
    assert row.endswith(f"| {read(root)[0].commit} |")


def test_the_page_shows_the_last_large_run_below_the_table(root: Path) -> None:
    steps = (Step("ingest", 20.0, 30.0, 500), Step("transform", 40.0, 70.0, 900))
    run = LargeRun("2026-11-21", "abc1234", "a processor", 99, 365, Totals(2_000_000, 7), steps)
    run.keep(root / LARGE_RUN)
    keep([OURS], root)
    page = (root / PAGE).read_text("utf-8")
    assert "2,000,000 rows of sales: 99 machines, 365 days, on 2026-11-21, commit abc1234" in page
    assert page.endswith("| transform | 40 | 70 | 900 |\n| in all | 60 | 100 | 900 |\n")


def test_the_plot_has_a_bar_for_each_way_to_run(root: Path) -> None:
    watcher = compared("cosmos_watcher_vs_bare_dbt", "s", [50.0], "bare dbt build", [17.0], None)
    keep([OURS, watcher], root)
    picture = ElementTree.parse(root / PLOT).getroot()
    texts = [text.text for text in picture.iter("{http://www.w3.org/2000/svg}text")]
    assert texts[1:] == [
        "bare dbt build",
        "17.0 s",
        "this DAG, every model a task",
        "27.0 s",
        "Cosmos WATCHER as it comes",
        "50.0 s",
    ]


@pytest.mark.parametrize(
    ("result", "is_reached"),
    [
        (alone("seconds", "s", [1.0], 1.0), True),
        (alone("seconds", "s", [1.1], 1.0), False),
        (alone("speed", "rows/s", [1.0], 1.0), True),
        (alone("speed", "rows/s", [0.9], 1.0), False),
        (alone("only told", "s", [9.0], None), True),
    ],
)
def test_of_rates_more_is_better_and_of_all_else_less(result: Result, is_reached: bool) -> None:
    assert result.is_reached is is_reached
