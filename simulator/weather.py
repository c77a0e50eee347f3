"""Daily weather of each prefecture. Demand and the weather API see the same rounded numbers."""

from dataclasses import dataclass

import numpy as np

from simulator.places import PREFECTURES
from simulator.randomness import Purpose, stream
from simulator.state import State

COLDEST_DAY_OF_YEAR = 28
_PERSISTENCE = 0.72  # how much of yesterday's deviation from the season remains today


@dataclass(frozen=True)
class Weather:
    """Arrays of shape (prefectures, days): °C, °C, millimetres, index into CONDITIONS."""

    maximum_c: np.ndarray
    minimum_c: np.ndarray
    precipitation_mm: np.ndarray
    condition: np.ndarray


CONDITIONS = ("sunny", "cloudy", "rain", "snow")


def simulate_weather(state: State) -> Weather:
    """A yearly wave, a deviation that fades from day to day (AR(1)), and rain."""
    days = np.arange(state.days)
    day_of_year = state.first_day.timetuple().tm_yday + days
    season = -np.cos(2 * np.pi * (day_of_year - COLDEST_DAY_OF_YEAR) / 365.25)
    columns = [_one_prefecture(state.seed, index, season) for index in range(len(PREFECTURES))]
    return Weather(*(np.stack(parts) for parts in zip(*columns, strict=True)))


def _one_prefecture(seed: int, index: int, season: np.ndarray) -> tuple[np.ndarray, ...]:
    random = stream(seed, Purpose.WEATHER, index)
    place = PREFECTURES[index]
    shocks = random.normal(0, 1.8, season.size)
    spread = random.uniform(3.0, 5.5, season.size)
    is_wet = random.random(season.size) < 0.28
    amount = np.round(random.gamma(0.9, 9.0, season.size) + 0.5, 1)
    is_cloudy = random.random(season.size) < 0.4
    deviation = np.empty_like(shocks)
    previous = 0.0
    for day, shock in enumerate(shocks):
        previous = _PERSISTENCE * previous + shock
        deviation[day] = previous
    mean = place.mean_c + place.swing_c * season + deviation - np.where(is_wet, 1.5, 0.0)
    maximum, minimum = np.round(mean + spread, 1), np.round(mean - spread, 1)
    wet_kind = np.where(mean < 1.0, CONDITIONS.index("snow"), CONDITIONS.index("rain"))
    dry_kind = np.where(is_cloudy, CONDITIONS.index("cloudy"), CONDITIONS.index("sunny"))
    return maximum, minimum, np.where(is_wet, amount, 0.0), np.where(is_wet, wet_kind, dry_kind)
