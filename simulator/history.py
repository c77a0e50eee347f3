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
    amount: np.ndarray
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
    sold, nothing = np.arange(purchases.second.size), np.zeros_like
    given_back = np.minimum(purchases.units, purchases.refunded_at_most)[refunded]
    kind = np.repeat([Kind.SALE, Kind.REFUND, Kind.VOID], [sold.size, refunded.size, voided.size])
    purchase = np.concatenate([sold, refunded, voided])
    quantity = np.concatenate([purchases.units, given_back, nothing(voided)])
    dispensed = np.concatenate(
        [np.where(is_voided, 0, purchases.units), nothing(refunded), nothing(voided)]
    )
    second = np.concatenate(
        [purchases.second, purchases.refund_second[refunded], purchases.void_second[voided]]
    )
    order = np.argsort(second, kind="stable")
    number = np.empty_like(order)
    number[order] = np.arange(1, order.size + 1)
    purchase, kind = purchase[order], kind[order]
    unit_price, quantity = purchases.unit_price[purchase], quantity[order]
    return Transactions(
        second=second[order],
        slot=purchases.slot[purchase],
        quantity=quantity,
        unit_price=unit_price,
        amount=np.array([1, -1, 0])[kind] * quantity * unit_price,
        payment=purchases.payment[purchase],
        kind=kind,
        # The sales come first before ordering, so a purchase's index is its sale's.
        original=np.where(kind == Kind.SALE, 0, number[purchase]),
        dispensed=dispensed[order],
    )
