"""Small charts as SVG shapes: coordinates only, so that colours stay in the style sheet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

WIDTH = 168
HEIGHT = 36
GAP = 0.25


@dataclass(frozen=True, slots=True)
class Bar:
    x: float
    y: float
    width: float
    height: float
    is_last: bool


@dataclass(frozen=True, slots=True)
class Band:
    """The usual range, from its upper edge down."""

    y: float
    height: float


@dataclass(frozen=True, slots=True)
class Chart:
    bars: tuple[Bar, ...]
    band: Band | None
    width: int = WIDTH
    height: int = HEIGHT


def bar_chart(
    values: Sequence[float], low: float | None = None, high: float | None = None
) -> Chart | None:
    """Bars from the base line up, with the usual range behind them; None without values."""
    if not values:
        return None
    top = max(*values, high or 0.0, 1e-9)
    step = WIDTH / len(values)
    bars = tuple(
        Bar(
            x=round(index * step, 2),
            y=round(HEIGHT - HEIGHT * max(value, 0) / top, 2),
            width=round(step * (1 - GAP), 2),
            height=round(HEIGHT * max(value, 0) / top, 2),
            is_last=index == len(values) - 1,
        )
        for index, value in enumerate(values)
    )
    return Chart(bars, _band(low, high, top))


def _band(low: float | None, high: float | None, top: float) -> Band | None:
    if low is None or high is None:
        return None
    y = HEIGHT - HEIGHT * high / top
    return Band(y=round(y, 2), height=round(HEIGHT * (high - max(low, 0)) / top, 2))
