"""What happened at one machine: its transactions and visits, as arrays."""

from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from simulator.clock import SECONDS_PER_DAY
from simulator.demand import Demand, simulate_demand
from simulator.fleet import Fleet, Machine
from simulator.stock import Served, Visits, serve


class Kind(IntEnum):
    SALE = 0
    REFUND = 1
    VOID = 2


@dataclass(frozen=True)
class Transactions:
    """One entry a row of the sales files, in order of time.

    The transaction number is the position + 1; `original` is a transaction number, 0 for none.
    `dispensed` are the units that left the slot: 0 for a refund, a void and a voided sale.
    """

    second: np.ndarray
    slot: np.ndarray  # from 0
    quantity: np.ndarray
    unit_price: np.ndarray
    payment: np.ndarray
    kind: np.ndarray
    original: np.ndarray
    dispensed: np.ndarray


@dataclass(frozen=True)
class MachineHistory:
    machine: Machine
    visits: Visits
    transactions: Transactions


@dataclass(frozen=True)
class _Purchases:
    """Customers who got something, or whose purchase jammed and is voided; see Demand."""

    second: np.ndarray
    slot: np.ndarray
    units: np.ndarray
    unit_price: np.ndarray
    payment: np.ndarray
    void_second: np.ndarray
    refund_second: np.ndarray
    refunded_at_most: np.ndarray


def simulate_machine(fleet: Fleet, machine: Machine) -> MachineHistory:
    """Demand meets stock; voids and refunds follow the purchases they name."""
    demand = simulate_demand(fleet, machine)
    visits, served = serve(fleet, machine, demand)
    purchases = _purchases(fleet, machine, demand, served)
    return MachineHistory(machine, visits, _transactions(purchases))


def _purchases(fleet: Fleet, machine: Machine, demand: Demand, served: Served) -> _Purchases:
    second, slot = demand.second[served.customer], demand.slot[served.customer]
    day, product = second // SECONDS_PER_DAY, machine.slot_products[slot]
    return _Purchases(
        second=second,
        slot=slot,
        units=served.units,
        unit_price=fleet.prices[day, product],
        payment=demand.payment[served.customer],
        void_second=demand.void_second[served.customer],
        refund_second=demand.refund_second[served.customer],
        refunded_at_most=demand.refunded_at_most[served.customer],
    )


def _transactions(purchases: _Purchases) -> Transactions:
    """Sales, refunds and voids in one order of time; a voided purchase is never refunded."""
    is_voided = purchases.void_second >= 0
    voided = np.flatnonzero(is_voided)
    refunded = np.flatnonzero((purchases.refund_second >= 0) & ~is_voided)
    given_back = np.minimum(purchases.units, purchases.refunded_at_most)[refunded]

    # Purchases are in order of time; the few refunds and voids go in between, after a purchase of
    # the same second.
    second = np.concatenate([purchases.refund_second[refunded], purchases.void_second[voided]])
    order = np.argsort(second, kind="stable")
    original = np.concatenate([refunded, voided])[order]
    positions = np.searchsorted(purchases.second, second[order], side="right")
    # The purchase that each row is, or that it takes back.
    purchase = np.insert(np.arange(purchases.second.size, dtype=np.int32), positions, original)
    later = positions + np.arange(positions.size)

    kind = np.zeros(purchase.size, np.int8)
    kind[later] = np.repeat([Kind.REFUND, Kind.VOID], [refunded.size, voided.size])[order]
    number = np.flatnonzero(kind == Kind.SALE) + 1
    quantity = purchases.units[purchase]
    quantity[later] = np.concatenate([given_back, 0 * voided])[order]
    dispensed = quantity.copy()
    dispensed[later] = 0
    dispensed[number[voided] - 1] = 0
    return Transactions(
        second=_with(purchases.second[purchase], later, second[order]),
        slot=purchases.slot[purchase],
        quantity=quantity,
        unit_price=purchases.unit_price[purchase],
        payment=purchases.payment[purchase],
        kind=kind,
        original=_with(np.zeros(purchase.size, np.int32), later, number[original]),
        dispensed=dispensed,
    )


def _with(values: np.ndarray, positions: np.ndarray, others: np.ndarray) -> np.ndarray:
    values[positions] = others
    return values
