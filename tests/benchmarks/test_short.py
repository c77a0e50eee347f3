"""What the short form of the benchmarks says of ratios that changed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pytest

from benchmarks.results import Result
from benchmarks.short import MEASUREMENTS, Measurement, hold_to_baseline, read_baseline


def measurement(unit: str, *ratios: float) -> Measurement:
    """Gives a row of each of these ratios in turn; measured more often than that it raises."""
    rest: Iterator[float] = iter(ratios)

    def measure() -> Sequence[Result]:
        return [Result("conform", 1.0, unit, "DuckDB's COPY", 1.0, next(rest))]

    return measure


@pytest.mark.parametrize(("unit", "worse"), [("CPU s", 1.3), ("rows/s", 0.7)])
def test_a_ratio_that_is_worse_by_more_than_a_quarter_twice_is_told_with_both(
    unit: str, worse: float
) -> None:
    [said] = hold_to_baseline({"conform": 1.0}, [measurement(unit, worse, worse)])
    assert said.startswith(
        f"conform was 1.00 times DuckDB's COPY and is {worse:.2f} times now, in two measurements;"
    )


@pytest.mark.parametrize(
    ("unit", "ratios"),
    [
        ("CPU s", [1.2]),
        ("rows/s", [0.85]),
        ("CPU s", [0.1]),
        ("rows/s", [9.0]),
        ("CPU s", [1.9, 1.0]),
    ],
    ids=["a little worse", "a little slower", "better", "faster", "worse in one measurement alone"],
)
def test_what_is_better_or_within_the_noise_is_not_told(unit: str, ratios: list[float]) -> None:
    assert hold_to_baseline({"conform": 1.0}, [measurement(unit, *ratios)]) == []


def test_a_row_that_was_never_kept_is_told() -> None:
    [said] = hold_to_baseline({}, [measurement("CPU s", 1.0, 1.0)])
    assert "conform has no ratio in baseline.json" in said


def test_ratios_are_kept_of_what_is_measured() -> None:
    kept = read_baseline()
    assert len(MEASUREMENTS) == 2
    assert {"parse_transform", "conform_one_file_by_cpu", "masking_four_columns_by_cpu"} <= set(
        kept
    )
    assert all(ratio > 0 for ratio in kept.values())
