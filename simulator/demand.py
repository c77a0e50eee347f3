"""Who stands in front of a machine, when, and for which slot, before stock says no."""

from dataclasses import dataclass

import numpy as np

from simulator.catalogue import PAYMENT_METHODS, PRODUCTS, Serving
from simulator.clock import SECONDS_PER_DAY
from simulator.fleet import Fleet, Machine
from simulator.places import SITE_TYPES
from simulator.randomness import Purpose, stream

# Change of a product's weight for each degree above 18 °C.
_SENSITIVITY = {Serving.COLD: 0.045, Serving.HOT: -0.085, Serving.AMBIENT: 0.0}
_REFERENCE_C = 18.0
_SHARE_OF_PAIRS, _SHARE_OF_VOIDS, _SHARE_OF_REFUNDS = 0.03, 0.004, 0.005
_PAYMENT_CDF = np.cumsum([method.share for method in PAYMENT_METHODS])
_HOUR_SHARES = np.array([np.divide(site.hours, np.sum(site.hours)) for site in SITE_TYPES])
_HOURS, _SECONDS_PER_HOUR = 24, 3600
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
    customers = random.poisson(_customers_per_hour(fleet, machine)).ravel()
    hour = np.repeat(np.arange(customers.size, dtype=np.int32), customers)
    second = hour * _SECONDS_PER_HOUR + random.integers(0, _SECONDS_PER_HOUR, hour.size, np.int32)
    # Sorted before anything is drawn for them: sorting numbers takes a tenth of sorting positions.
    second.sort()
    end = fleet.state.days * SECONDS_PER_DAY
    return Demand(
        second=second,
        slot=_slots(random, fleet, machine, hour // _HOURS),
        units=1 + (random.random(second.size, np.float32) < _SHARE_OF_PAIRS).astype(np.int32),
        payment=_payments(random.random(second.size, np.float32)),
        void_second=_void_seconds(random, second, end),
        refund_second=_refund_seconds(random, second, end),
        refunded_at_most=random.integers(1, 3, second.size, np.int32),
    )


def _temperatures(fleet: Fleet, machine: Machine) -> np.ndarray:
    days = np.arange(fleet.state.days)
    return fleet.weather.maximum_c[machine.prefectures(days), days]


def _customers_per_hour(fleet: Fleet, machine: Machine) -> np.ndarray:
    """Expected customers, shape (days, 24); none before installation and while out of order."""
    days = np.arange(fleet.state.days)
    weekday = (fleet.state.first_day.weekday() + days) % 7
    site_types = machine.site_types(days)
    base = np.array([site.customers_per_day for site in SITE_TYPES])[site_types]
    by_weekday = np.array([site.weekdays for site in SITE_TYPES])[site_types, weekday]
    celsius = _temperatures(fleet, machine)
    thirst = 1 + 0.015 * np.maximum(celsius - 24, 0) + 0.008 * np.maximum(8 - celsius, 0)
    is_open = (days >= machine.installed_day) & ~np.isin(days, list(machine.closed_days))
    by_day = base * by_weekday * thirst * machine.attraction * is_open
    return by_day[:, None] * _HOUR_SHARES[site_types]


def _slots(
    random: np.random.Generator, fleet: Fleet, machine: Machine, day: np.ndarray
) -> np.ndarray:
    """The slot that each customer wants, by the whole degree of the day.

    The cumulative shares of all degrees are searched at once: row n is shifted to n..n+1, so the
    rows follow one another. With a row for each day they would not fit the processor's cache.
    """
    degrees = np.rint(_temperatures(fleet, machine)).astype(np.int32)
    lowest = degrees.min()
    shares = _slot_cdf(machine, np.arange(lowest, degrees.max() + 1))
    rows, slots = shares.shape
    shifted = (shares + np.arange(rows)[:, None]).ravel()
    row = (degrees - lowest)[day]
    found = np.searchsorted(shifted, row + random.random(day.size), side="right")
    return np.clip(found - row * slots, 0, slots - 1).astype(np.int32)


def _slot_cdf(machine: Machine, degrees: np.ndarray) -> np.ndarray:
    """Cumulative share of each slot at each temperature, shape (degrees, slots)."""
    products = machine.slot_products
    warmth = (degrees - _REFERENCE_C)[:, None]
    weights = _POPULARITY[products] * np.exp(_PRODUCT_SENSITIVITY[products] * warmth)
    cumulative = np.cumsum(weights, axis=1)
    return cumulative / cumulative[:, -1:]


def _payments(draws: np.ndarray) -> np.ndarray:
    """The payment method of each draw; adding up comparisons is faster than searching."""
    payment = np.zeros(draws.size, dtype=np.int8)
    for bound in _PAYMENT_CDF[:-1]:
        payment += draws >= bound
    return payment


def _void_seconds(random: np.random.Generator, second: np.ndarray, end: int) -> np.ndarray:
    """Mostly within a minute and a half; now and then only the nightly check finds the jam."""
    void = np.flatnonzero(random.random(second.size, np.float32) < _SHARE_OF_VOIDS)
    soon = second[void] + random.integers(5, 90, void.size)
    next_midnight = (second[void] // SECONDS_PER_DAY + 1) * SECONDS_PER_DAY
    nightly = next_midnight + random.integers(300, 3 * 3600, void.size)
    when = np.where(random.random(void.size) < 0.15, nightly, soon)
    return _seconds_at(void, when, second.size, end)


def _refund_seconds(random: np.random.Generator, second: np.ndarray, end: int) -> np.ndarray:
    """Ten minutes to two days later; a refund after the end of the history does not happen."""
    refunded = np.flatnonzero(random.random(second.size, np.float32) < _SHARE_OF_REFUNDS)
    when = second[refunded] + random.integers(600, 2 * SECONDS_PER_DAY, refunded.size)
    return _seconds_at(refunded, when, second.size, end)


def _seconds_at(positions: np.ndarray, seconds: np.ndarray, size: int, end: int) -> np.ndarray:
    """`seconds` at these positions where they lie before the end, else -1; shape (size,)."""
    result = np.full(size, -1, np.int32)
    result[positions] = np.where(seconds < end, seconds, -1)
    return result
