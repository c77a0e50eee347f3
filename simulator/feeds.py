"""What the vendor API serves: two change feeds, telemetry and weather, in order of arrival."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from simulator.clock import SECONDS_PER_DAY, timestamp
from simulator.fleet import Fleet
from simulator.history import MachineHistory, simulate_machine
from simulator.places import PREFECTURES
from simulator.randomness import Purpose, stream
from simulator.weather import CONDITIONS

READINGS_PER_DAY = 6
_READING_SECONDS = SECONDS_PER_DAY // READINGS_PER_DAY
_ERROR_CODES = ("E01", "E03", "E07", "E12")
_OUT_OF_ORDER = "E03"
_SHARE_LATE, _SHARE_ERRORS, _SHARE_DOOR_OPEN = 0.01, 0.006, 0.003

Item = dict[str, object]


class Feed(Protocol):
    """Items in order of arrival. Positions never change once an item is there."""

    name: str

    def __len__(self) -> int: ...

    def items(self, start: int, stop: int) -> list[Item]: ...


@dataclass(frozen=True)
class _Readings:
    """The telemetry of one machine: arrays of one length, `stock` (readings, slots) in units."""

    measured: np.ndarray
    arrived: np.ndarray
    celsius: np.ndarray
    is_door_open: np.ndarray
    error: np.ndarray  # index into _ERROR_CODES, -1 for none
    stock: np.ndarray


class TelemetryFeed:
    """Every four hours each machine says what it has; a few readings arrive hours late."""

    name = "telemetry"

    def __init__(self, fleet: Fleet, arrived_before: int | None = None) -> None:
        self._fleet = fleet
        self._readings = [
            _read(fleet, simulate_machine(fleet, machine)) for machine in fleet.machines
        ]
        machine = np.repeat(
            np.arange(len(self._readings)), [r.arrived.size for r in self._readings]
        )
        reading = np.concatenate([np.arange(r.arrived.size) for r in self._readings])
        arrived = np.concatenate([r.arrived for r in self._readings])
        order = np.lexsort((machine, arrived))
        if arrived_before is not None:
            order = order[: np.searchsorted(arrived[order], arrived_before)]
        self._machine, self._reading = machine[order], reading[order]

    def __len__(self) -> int:
        return self._machine.size

    def items(self, start: int, stop: int) -> list[Item]:
        pairs = zip(self._machine[start:stop], self._reading[start:stop], strict=True)
        return [self._item(int(machine), int(reading)) for machine, reading in pairs]

    def _item(self, machine: int, reading: int) -> Item:
        readings = self._readings[machine]
        machine_id = self._fleet.machines[machine].machine_id
        error = int(readings.error[reading])
        stock = readings.stock[reading].tolist()
        return {
            "event_id": f"{machine_id}-{reading + 1:06d}",
            "machine_id": machine_id,
            "measured_at": timestamp(self._fleet.state.first_day, int(readings.measured[reading])),
            "temperature_c": float(readings.celsius[reading]),
            "door_open": bool(readings.is_door_open[reading]),
            "error_code": None if error < 0 else _ERROR_CODES[error],
            "stock": {str(slot): units for slot, units in enumerate(stock, start=1)},
        }


class WeatherFeed:
    """The weather of a day is known the next morning, for every prefecture with a machine."""

    name = "weather"
    _ARRIVAL = SECONDS_PER_DAY + 6 * 3600

    def __init__(self, fleet: Fleet, arrived_before: int | None = None) -> None:
        self._fleet = fleet
        self._prefectures = sorted(
            {p.prefecture_index for machine in fleet.machines for p in machine.placements}
        )
        days = fleet.state.days
        if arrived_before is not None:
            days = max(0, min(days, (arrived_before - self._ARRIVAL - 1) // SECONDS_PER_DAY + 1))
        self._days = days

    def __len__(self) -> int:
        return self._days * len(self._prefectures)

    def items(self, start: int, stop: int) -> list[Item]:
        return [self._item(position) for position in range(start, min(stop, len(self)))]

    def _item(self, position: int) -> Item:
        day, place = divmod(position, len(self._prefectures))
        prefecture, weather = self._prefectures[place], self._fleet.weather
        return {
            "prefecture": PREFECTURES[prefecture].name,
            "date": self._fleet.state.day(day).isoformat(),
            "temperature_max_c": float(weather.maximum_c[prefecture, day]),
            "temperature_min_c": float(weather.minimum_c[prefecture, day]),
            "precipitation_mm": float(weather.precipitation_mm[prefecture, day]),
            "condition": CONDITIONS[weather.condition[prefecture, day]],
        }


def _read(fleet: Fleet, history: MachineHistory) -> _Readings:
    machine = history.machine
    random = stream(fleet.state.seed, Purpose.TELEMETRY, machine.index)
    grid = np.arange(fleet.state.days * READINGS_PER_DAY) * _READING_SECONDS
    measured = grid + int(random.integers(0, 600))
    count = measured.size
    delay = random.integers(2, 120, count)
    is_late = random.random(count) < _SHARE_LATE
    delay = np.where(is_late, random.integers(3600, 2 * SECONDS_PER_DAY, count), delay)
    is_closed = np.isin(grid // SECONDS_PER_DAY, list(machine.closed_days))
    has_error = random.random(count) < _SHARE_ERRORS
    error = np.where(has_error, random.integers(0, len(_ERROR_CODES), count), -1)
    error = np.where(is_closed, _ERROR_CODES.index(_OUT_OF_ORDER), error)
    warmth = random.normal(5.0, 0.6, count) + np.where(error >= 0, random.uniform(2, 9, count), 0)
    is_door_open = random.random(count) < _SHARE_DOOR_OPEN
    is_installed = measured >= history.visits.second[0]
    arrays = (measured, measured + delay, np.round(warmth, 1), is_door_open, error)
    kept = (array[is_installed] for array in arrays)
    return _Readings(*kept, stock=stock_at(history, measured[is_installed]))


def stock_at(history: MachineHistory, moments: np.ndarray) -> np.ndarray:
    """Units in each slot after everything up to and including each moment.

    `moments` are ascending seconds; the result has shape (moments, slots).
    """
    rows, visits = history.transactions, history.visits
    slots = history.machine.model.slot_count
    changes = np.zeros((moments.size + 1, slots), dtype=np.int64)
    np.subtract.at(changes, (np.searchsorted(moments, rows.second), rows.slot), rows.dispensed)
    np.add.at(changes, np.searchsorted(moments, visits.second), visits.added - visits.removed)
    return np.cumsum(changes[:-1], axis=0)
