"""Who stands in front of a machine, when, and for which slot, before stock says no."""

from dataclasses import dataclass

import numpy as np

from simulator.catalogue import PAYMENT_METHODS, PRODUCTS, Serving
from simulator.clock import SECONDS_PER_DAY
from simulator.fleet import Fleet, Machine
from simulator.order import stable_order
from simulator.places import SITE_TYPES
from simulator.randomness import Purpose, stream

# Change of a product's weight for each degree above 18 °C.
_SENSITIVITY = {Serving.COLD: 0.045, Serving.HOT: -0.085, Serving.AMBIENT: 0.0}
_REFERENCE_C = 18.0
_SHARE_OF_PAIRS, _SHARE_OF_VOIDS, _SHARE_OF_REFUNDS = 0.03, 0.004, 0.005
_PAYMENT_CDF = np.cumsum([method.share for method in PAYMENT_METHODS])
_HOUR_CDF = np.array([np.cumsum(site.hours) / np.sum(site.hours) for site in SITE_TYPES])
_POPULARITY = np.array([product.popularity for product in PRODUCTS])
_PRODUCT_SENSITIVITY = np.array([_SENSITIVITY[product.serving] for product in PRODUCTS])


@dataclass(frozen=True)
class Demand:
    """One entry a customer, in order of time; arrays of one length.

    `void_second` and `refund_second` are when the purchase would be voided or refunded, -1 for
    never; `refunded_at_most` is how many units a refund gives back at most.
    """

    second: np.ndarray
    slot: np.ndarray
    units: np.ndarray
    payment: np.ndarray
    void_second: np.ndarray
    refund_second: np.ndarray
    refunded_at_most: np.ndarray


def simulate_demand(fleet: Fleet, machine: Machine) -> Demand:
    """Customers by site type, weekday, temperature and hour, for every day since installation."""
    random = stream(fleet.state.seed, Purpose.DEMAND, machine.index)
    customers = random.poisson(_customers_per_day(fleet, machine))
    days = np.arange(fleet.state.days)
    day = np.repeat(days, customers)
    slot = _draw_by_day(random, day, _slot_cdf(fleet, machine))
    hour = _draw_by_day(random, day, _HOUR_CDF[machine.site_types(days)])
    second = day * SECONDS_PER_DAY + hour * 3600 + random.integers(0, 3600, day.size)
    end = fleet.state.days * SECONDS_PER_DAY
    order = stable_order(second, end)
    second, slot = second[order], slot[order]
    return Demand(
        second=second,
        slot=slot,
        units=1 + (random.random(second.size) < _SHARE_OF_PAIRS),
        payment=_payments(random.random(second.size)),
        void_second=_void_seconds(random, second, end),
        refund_second=_refund_seconds(random, second, end),
        refunded_at_most=random.integers(1, 3, second.size),
    )


def _temperatures(fleet: Fleet, machine: Machine) -> np.ndarray:
    days = np.arange(fleet.state.days)
    return fleet.weather.maximum_c[machine.prefectures(days), days]


def _customers_per_day(fleet: Fleet, machine: Machine) -> np.ndarray:
    """Expected customers, shape (days,); none before installation and while out of order."""
    days = np.arange(fleet.state.days)
    weekday = (fleet.state.first_day.weekday() + days) % 7
    site_types = machine.site_types(days)
    base = np.array([site.customers_per_day for site in SITE_TYPES])[site_types]
    by_weekday = np.array([site.weekdays for site in SITE_TYPES])[site_types, weekday]
    celsius = _temperatures(fleet, machine)
    thirst = 1 + 0.015 * np.maximum(celsius - 24, 0) + 0.008 * np.maximum(8 - celsius, 0)
    is_open = (days >= machine.installed_day) & ~np.isin(days, list(machine.closed_days))
    return base * by_weekday * thirst * machine.attraction * is_open


def _slot_cdf(fleet: Fleet, machine: Machine) -> np.ndarray:
    """Cumulative share of each slot on each day, shape (days, slots)."""
    degrees = (_temperatures(fleet, machine) - _REFERENCE_C)[:, None]
    products = machine.slot_products
    weights = _POPULARITY[products] * np.exp(_PRODUCT_SENSITIVITY[products] * degrees)
    cumulative = np.cumsum(weights, axis=1)
    return cumulative / cumulative[:, -1:]


def _draw_by_day(random: np.random.Generator, day: np.ndarray, cdf: np.ndarray) -> np.ndarray:
    """One draw for each entry of `day` from the distribution in that row of `cdf`.

    All rows are searched at once: row d is shifted to d..d+1, so the rows follow one another.
    """
    rows, choices = cdf.shape
    shifted = (cdf + np.arange(rows)[:, None]).ravel()
    found = np.searchsorted(shifted, day + random.random(day.size), side="right")
    return np.clip(found - day * choices, 0, choices - 1)


def _payments(draws: np.ndarray) -> np.ndarray:
    """The payment method of each draw; adding up comparisons is faster than searching."""
    payment = np.zeros(draws.size, dtype=np.int8)
    for bound in _PAYMENT_CDF[:-1]:
        payment += draws >= bound
    return payment


def _void_seconds(random: np.random.Generator, second: np.ndarray, end: int) -> np.ndarray:
    """Mostly within a minute and a half; now and then only the nightly check finds the jam."""
    void = np.flatnonzero(random.random(second.size) < _SHARE_OF_VOIDS)
    soon = second[void] + random.integers(5, 90, second.size)[void]
    next_midnight = (second[void] // SECONDS_PER_DAY + 1) * SECONDS_PER_DAY
    nightly = next_midnight + random.integers(300, 3 * 3600, second.size)[void]
    when = np.where(random.random(second.size)[void] < 0.15, nightly, soon)
    return _seconds_at(void, when, second.size, end)


def _refund_seconds(random: np.random.Generator, second: np.ndarray, end: int) -> np.ndarray:
    """Ten minutes to two days later; a refund after the end of the history does not happen."""
    refunded = np.flatnonzero(random.random(second.size) < _SHARE_OF_REFUNDS)
    when = second[refunded] + random.integers(600, 2 * SECONDS_PER_DAY, second.size)[refunded]
    return _seconds_at(refunded, when, second.size, end)


def _seconds_at(positions: np.ndarray, seconds: np.ndarray, size: int, end: int) -> np.ndarray:
    """`seconds` at these positions where they lie before the end, else -1; shape (size,)."""
    result = np.full(size, -1)
    result[positions] = np.where(seconds < end, seconds, -1)
    return result
