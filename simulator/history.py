"""What happened at one machine: its transactions and visits, as arrays."""

from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from simulator.clock import SECONDS_PER_DAY
from simulator.demand import simulate_demand
from simulator.fleet import Fleet, Machine
from simulator.stock import Visits, serve


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


def simulate_machine(fleet: Fleet, machine: Machine) -> MachineHistory:
    """Demand meets stock; voids and refunds follow the purchases they name."""
    demand = simulate_demand(fleet, machine)
    visits, served = serve(fleet, machine, demand)
    customer, units = served.customer, served.units
    second, slot = demand.second[customer], demand.slot[customer]
    product = machine.slot_products[slot]
    price = fleet.prices[second // SECONDS_PER_DAY, product]
    void_second = demand.void_second[customer]
    voided = np.flatnonzero(void_second >= 0)
    refunded = np.flatnonzero((demand.refund_second[customer] >= 0) & (void_second < 0))
    given_back = np.minimum(units[refunded], demand.refunded_at_most[customer][refunded])
    sold, zeros = np.arange(customer.size), np.zeros_like
    purchase = np.concatenate([sold, refunded, voided])
    kind = np.repeat([Kind.SALE, Kind.REFUND, Kind.VOID], [sold.size, refunded.size, voided.size])
    quantity = np.concatenate([units, given_back, zeros(voided)])
    when = np.concatenate([second, demand.refund_second[customer][refunded], void_second[voided]])
    dispensed = np.where(void_second < 0, units, 0)
    order = np.argsort(when, kind="stable")
    number = np.empty_like(order)
    number[order] = np.arange(1, order.size + 1)
    sign = np.array([1, -1, 0])[kind]
    original = np.where(kind == Kind.SALE, 0, number[purchase])
    transactions = Transactions(
        second=when[order],
        slot=slot[purchase][order],
        quantity=quantity[order],
        unit_price=price[purchase][order],
        amount=(sign * quantity * price[purchase])[order],
        payment=demand.payment[customer][purchase][order],
        kind=kind[order],
        original=original[order],
        dispensed=np.concatenate([dispensed, zeros(refunded), zeros(voided)])[order],
    )
    return MachineHistory(machine, visits, transactions)
