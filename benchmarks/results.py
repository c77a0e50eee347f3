"""What a benchmark found, beside its peer and its target; `report` keeps it."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

# Of these, more is better; of all others, less.
_RATES = frozenset({"rows/s", "requests/s"})


@dataclass(frozen=True, slots=True)
class Result:
    """One row of the table.

    ``value`` and ``peer_value`` are medians, in ``unit``; ``runs`` holds each run's value, and
    ``ratio`` is the median of the runs' own ratios, as each was measured beside its peer.
    ``target`` is for the ratio, or for the value where there is no peer; None where the row is
    there to be read only.
    """

    name: str
    value: float
    unit: str
    peer: str | None = None
    peer_value: float | None = None
    ratio: float | None = None
    target: float | None = None
    runs: tuple[float, ...] = ()

    @classmethod
    def of(cls, record: Mapping[str, Any]) -> Result:
        """The result of what JSON keeps of it; what else stands there is passed over."""
        values = {field.name: record[field.name] for field in fields(cls)}
        return cls(**values | {"runs": tuple(values["runs"])})

    @property
    def is_reached(self) -> bool:
        if self.target is None:
            return True
        measured = self.value if self.ratio is None else self.ratio
        return measured >= self.target if self.more_is_better else measured <= self.target

    @property
    def verdict(self) -> str:
        """As the tables show it; empty where nothing is to be reached."""
        if self.target is None:
            return ""
        return "yes" if self.is_reached else "no"

    @property
    def more_is_better(self) -> bool:
        return self.unit in _RATES


def compared(
    name: str,
    unit: str,
    values: Sequence[float],
    peer: str,
    peer_values: Sequence[float],
    target: float | None,
) -> Result:
    """The result of values that were each measured beside one of the peer's, in the same order."""
    ratios = [value / other for value, other in zip(values, peer_values, strict=True)]
    return Result(
        name=name,
        value=statistics.median(values),
        unit=unit,
        peer=peer,
        peer_value=statistics.median(peer_values),
        ratio=round(statistics.median(ratios), 3),
        target=target,
        runs=tuple(values),
    )


def alone(name: str, unit: str, values: Sequence[float], target: float | None) -> Result:
    """The result of values that have no peer."""
    return Result(name, statistics.median(values), unit, target=target, runs=tuple(values))


def show(results: Sequence[Result]) -> int:
    """Print the table; 1 if a target was missed, otherwise 0."""
    print("\n".join(table(results)))
    return 0 if all(result.is_reached for result in results) else 1


def table(results: Sequence[Result]) -> list[str]:
    """The results as the lines of a Markdown table."""
    lines = [
        "| name | median | min | max | unit | peer | its median | ratio | target | reached |",
        "| --- | ---: | ---: | ---: | --- | --- | ---: | ---: | ---: | --- |",
    ]
    for result in results:
        runs = result.runs or (result.value,)
        cells = (
            result.name,
            *(number(value) for value in (result.value, min(runs), max(runs))),
            result.unit,
            result.peer or "",
            number(result.peer_value),
            number(result.ratio),
            number(result.target),
            result.verdict,
        )
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def number(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.2f}"
