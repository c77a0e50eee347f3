"""The usual range of a metric, from its own history: by weekday, and unmoved by outliers.

A value is compared on the scale on which it varies evenly: counts and sums by ratio (logarithm),
shares as they are. What a weekday adds is the difference of medians; the level is the median of the
last four weeks, so that growth is followed; the spread is the median absolute deviation, scaled to
a standard deviation (1.4826: Rousseeuw and Croux, 1993). Outliers in the history move none of them
until they are half of it, or half of one weekday in eight weeks.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from statistics import median

HISTORY_DAYS = 56
LEVEL_DAYS = 28
# With fewer days there is no range, and so no finding.
LEAST_DAYS = 21
# Weekdays are told apart from three weeks on.
LEAST_OF_WEEKDAY = 3
MAD_TO_DEVIATION = 1.4826
# Tuned on seed 7 of the simulator; tests/include/quality judges other seeds and the retail year.
DEVIATIONS = 6.0
# From so many different values on, one more or fewer is not remarkable.
MANY = 5


@dataclass(frozen=True, slots=True)
class Scale:
    """How a kind of metric varies.

    ``least_width`` is the half-width that a range has at least, on the scale; ``margin`` is added
    to both ends, in the metric's own unit, where there are many: one machine more or fewer is
    nothing, a second currency is something.
    """

    is_ratio: bool
    least_width: float
    margin: float = 0.0

    def to(self, value: float) -> float:
        # The sign is kept: a sum may be negative where refunds outweigh sales.
        return math.copysign(math.log1p(abs(value)), value) if self.is_ratio else value

    def back(self, value: float) -> float:
        return math.copysign(math.expm1(abs(value)), value) if self.is_ratio else value


SCALES: Mapping[str, Scale] = {
    "volume": Scale(is_ratio=True, least_width=0.25),
    "sum": Scale(is_ratio=True, least_width=0.30),
    "distinct": Scale(is_ratio=True, least_width=0.08, margin=1.0),
    "nulls": Scale(is_ratio=False, least_width=0.03),
}


@dataclass(frozen=True, slots=True)
class UsualRange:
    """Bounds (inclusive) of what is usual for one day, in the metric's own unit."""

    low: float
    high: float

    def holds(self, value: float) -> bool:
        return self.low <= value <= self.high


def usual_range(metric: str, history: Mapping[date, float], day: date) -> UsualRange | None:
    """What the metric usually is on such a day, from the eight weeks before it.

    ``metric`` is ``volume`` or begins with its kind (``sum:amount``). None: too little is known.
    """
    scale = SCALES[metric.partition(":")[0]]
    first = day - timedelta(days=HISTORY_DAYS)
    known = {d: scale.to(value) for d, value in history.items() if first <= d < day}
    if len(known) < LEAST_DAYS:
        return None
    added = _weekday_effects(known)
    level_from = day - timedelta(days=LEVEL_DAYS)
    without_weekday = {d: value - added[d.weekday()] for d, value in known.items()}
    recent = [value for d, value in without_weekday.items() if d >= level_from]
    level = median(recent or without_weekday.values())
    width = max(_deviation(list(without_weekday.values())) * DEVIATIONS, scale.least_width)
    expected = level + added[day.weekday()]
    margin = scale.margin if scale.back(expected) >= MANY else 0.0
    low, high = scale.back(expected - width) - margin, scale.back(expected + width) + margin
    return UsualRange(low if metric.startswith("sum") else max(low, 0.0), high)


def _weekday_effects(known: Mapping[date, float]) -> Mapping[int, float]:
    overall = median(known.values())
    effects = {}
    for weekday in range(7):
        values = [value for d, value in known.items() if d.weekday() == weekday]
        effects[weekday] = median(values) - overall if len(values) >= LEAST_OF_WEEKDAY else 0.0
    return effects


def _deviation(values: Sequence[float]) -> float:
    middle = median(values)
    return MAD_TO_DEVIATION * median(abs(value - middle) for value in values)
