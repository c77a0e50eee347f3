"""The short form, for CI: ``python -m benchmarks --short [--keep]``, within three minutes.

Only ratios, and of processor time, which a busy machine changes least. Each is held to the one
that was kept in baseline.json; with --keep those of now are kept. What looks worse by more than
a quarter is measured once more, and fails only if it is worse again.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from benchmarks import conform, masking, parsing, simulator
from benchmarks.results import Result, compared, table

BASELINE = Path(__file__).with_name("baseline.json")
MOST_WORSE = 1.25

Measurement = Callable[[], Sequence[Result]]


def hold_to_baseline(kept: Mapping[str, float], measurements: Iterable[Measurement]) -> list[str]:
    """Measure and print everything; a sentence for each ratio that is worse than the one kept."""
    return [said for measurement in measurements for said in _hold(kept, measurement)]


def keep_baseline() -> None:
    """Measure everything, and keep its ratios for later runs to be held to."""
    results = [result for measurement in MEASUREMENTS for result in _measured(measurement)]
    ratios = {result.name: result.ratio for result in results}
    BASELINE.write_text(json.dumps(ratios, indent=2) + "\n", encoding="utf-8")


def read_baseline() -> dict[str, float]:
    ratios: dict[str, float] = json.loads(BASELINE.read_text(encoding="utf-8"))
    return ratios


def _hold(kept: Mapping[str, float], measurement: Measurement) -> list[str]:
    first = _complaints(kept, _measured(measurement))
    if not first:
        return []
    again = _complaints(kept, _measured(measurement))
    return [again[name] for name in first if name in again]


def _measured(measurement: Measurement) -> Sequence[Result]:
    results = measurement()
    print("\n".join(table(results)), flush=True)
    return results


def _complaints(kept: Mapping[str, float], results: Iterable[Result]) -> dict[str, str]:
    """By the name of the row."""
    complaints = {}
    for result in results:
        assert result.ratio is not None, f"{result.name} has no peer"
        before = kept.get(result.name)
        if before is None:
            complaints[result.name] = (
                f"{result.name} has no ratio in {BASELINE.name}; "
                "keep one with python -m benchmarks --short --keep."
            )
        elif _times_worse(result, before) > MOST_WORSE:
            complaints[result.name] = (
                f"{result.name} was {before:.2f} times {result.peer} and is {result.ratio:.2f} "
                "times now, in two measurements; mend what made it so, or say why and keep the new "
                "one with python -m benchmarks --short --keep."
            )
    return complaints


def _times_worse(result: Result, before: float) -> float:
    assert result.ratio
    return before / result.ratio if result.more_is_better else result.ratio / before


def _parsing() -> Sequence[Result]:
    return parsing.measure(rounds=7, names=("transform", "publish_cloudflare"))


def _rows_a_second() -> Sequence[Result]:
    """Of ingest and of the simulator, beside DuckDB's bare copy of a file."""
    measured = conform.measure_beside_duckdb(rounds=3, rows=600_000)
    conformed = [r for r in measured if r.name.endswith("_by_cpu")]
    written = simulator.measure(rounds=1)
    masked = [r for r in masking.measure(rounds=3, rows=200_000) if r.name.endswith("_by_cpu")]
    speed = conformed[0].peer_value
    assert speed is not None
    peer = "DuckDB's COPY of one clean file"
    return [
        *conformed,
        *(compared(r.name, r.unit, [r.value], peer, [speed], None) for r in [*written, *masked]),
    ]


MEASUREMENTS: tuple[Measurement, ...] = (_parsing, _rows_a_second)
