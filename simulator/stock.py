"""What the slots can give: refills, and which customers still find something.

A slot's level after a visit depends on the visit alone or on the level before it, never on the
order of the customers in between. So the levels at all visits are cumulative sums since the last
refill, and between two visits a customer gets what the level leaves after everyone before: another
cumulative sum instead of a loop over customers.
"""

from dataclasses import dataclass

import numpy as np

from simulator.demand import Demand
from simulator.fleet import Fleet, Machine
from simulator.order import stable_order
from simulator.randomness import Purpose, stream

SERVICE_SECONDS = 600  # the machine is open and sells nothing
_SHARE_EXPIRED, _SHARE_NOT_ON_TRUCK = 0.03, 0.05
MOST_UNITS = 2  # that a customer wants


@dataclass(frozen=True)
class Visits:
    """`second` has shape (visits,), the others (visits, slots), in units.

    before - removed + added = after, and `after` is what is counted.
    """

    second: np.ndarray
    before: np.ndarray
    removed: np.ndarray
    added: np.ndarray
    after: np.ndarray


@dataclass(frozen=True)
class Served:
    """Customers who got something: their index in the demand and the units they got."""

    customer: np.ndarray
    units: np.ndarray


def serve(fleet: Fleet, machine: Machine, demand: Demand) -> tuple[Visits, Served]:
    """Apply visits and stock to the demand. Voided purchases dispense nothing."""
    visit_times = fleet.visit_times(machine)
    slots = machine.model.slot_count
    visit = _last_visits(visit_times, demand.second)
    is_open = (visit >= 0) & (demand.second - visit_times[visit] >= SERVICE_SECONDS)
    customer = np.flatnonzero(is_open)
    interval = visit[customer] * slots + demand.slot[customer]
    dispensed = np.where(demand.void_second[customer] < 0, demand.units[customer], 0)
    intervals = visit_times.size * slots
    wanted = np.bincount(interval, dispensed, intervals).astype(np.int64).reshape(-1, slots)
    visits = _carry_levels(fleet, machine, visit_times, wanted)
    units = demand.units[customer]
    # Where enough is left for one more after all that is wanted, everyone is served.
    may_run_out = (visits.after - wanted < MOST_UNITS).ravel()
    short = np.flatnonzero(may_run_out[interval])
    taken = _taken_before(interval[short], dispensed[short], intervals)
    units[short] = np.clip(visits.after.ravel()[interval[short]] - taken, 0, units[short])
    is_served = units > 0
    return visits, Served(customer[is_served], units[is_served])


def _last_visits(visit_times: np.ndarray, seconds: np.ndarray) -> np.ndarray:
    """Index of the last visit until each of `seconds`, -1 before the first; both are ascending."""
    first_after = np.searchsorted(seconds, visit_times)
    bounds = np.concatenate([[0], first_after, [seconds.size]])
    return np.repeat(np.arange(-1, visit_times.size), np.diff(bounds))


def _taken_before(interval: np.ndarray, units: np.ndarray, intervals: int) -> np.ndarray:
    """Units wanted by earlier customers of the same slot since the same visit."""
    order = stable_order(interval, intervals)
    grouped, units_in_order = interval[order], units[order]
    before = np.cumsum(units_in_order) - units_in_order
    is_first = np.ones(grouped.size, dtype=bool)
    is_first[1:] = grouped[1:] != grouped[:-1]
    starts = np.flatnonzero(is_first)
    lengths = np.diff(np.append(starts, grouped.size))
    taken = np.empty_like(before)
    taken[order] = before - np.repeat(before[starts], lengths)
    return taken


def _carry_levels(
    fleet: Fleet, machine: Machine, visit_times: np.ndarray, wanted: np.ndarray
) -> Visits:
    """Levels at every visit; `wanted` is demand between a visit and the next, by slot."""
    random = stream(fleet.state.seed, Purpose.REFILLS, machine.index)
    capacity = machine.model.slot_capacity
    is_expired = random.random(wanted.shape) < _SHARE_EXPIRED
    expired = np.where(is_expired, random.integers(1, 4, wanted.shape), 0)
    is_refilled = random.random(wanted.shape) >= _SHARE_NOT_ON_TRUCK
    is_refilled[0] = True  # the installation fills every slot
    # Since a slot was filled to capacity it has lost what was wanted and what had expired, until
    # nothing was left.
    gone = np.where(is_refilled, 0, expired) + wanted
    gone_until = np.cumsum(gone, axis=0)
    visit = np.arange(visit_times.size)[:, None]
    last_refill = np.maximum.accumulate(np.where(is_refilled, visit, 0), axis=0)
    gone_before_refill = np.take_along_axis(gone_until - gone, last_refill, axis=0)
    before = np.zeros_like(wanted)
    before[1:] = np.maximum(capacity - gone_until + gone_before_refill, 0)[:-1]
    removed = np.minimum(expired, before)
    added = np.where(is_refilled, capacity - (before - removed), 0)
    return Visits(visit_times, before, removed, added, before - removed + added)
