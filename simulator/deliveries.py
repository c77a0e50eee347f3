"""What the vendor delivers after the first writing, one phase at a time.

Everything arrives the day after the history's last, in that day's directory, except the files that
replace the content at their old path: the corrected ones, and the last day's with refunds, whose
amounts lose their minus sign and get it back. Every contract takes them without it; a test of dbt
does not.
"""

from dataclasses import dataclass, replace
from pathlib import Path

from simulator.disk import write_atomically
from simulator.errors import SimulatorError
from simulator.faults import Target, sales_row, targets_of
from simulator.files import (
    SourceFile,
    replenishment_files,
    sales_files,
    transaction_id,
)
from simulator.fleet import Fleet, Machine, Placement, PriceChange
from simulator.history import simulate_machine
from simulator.masters import MasterChanges, products, vending_machines
from simulator.places import SITE_TYPES
from simulator.writer import object_key

PHASES = (
    "late",
    "corrected",
    "duplicate",
    "master-change",
    "unsigned-refunds",
    "signed-refunds",
)
_AMOUNTS_CHANGED = 3
_DISCOUNT = 10
_REFUND = b",refund,"


@dataclass(frozen=True)
class Correction:
    """A corrected sales file: the lines whose amount changed, and the ids that came and went."""

    content: bytes
    changed: tuple[int, ...]
    vanished: str
    added: str


def deliver(fleet: Fleet, out: Path, phase: str) -> tuple[str, ...]:
    """Write the files of a phase; the object keys of those that were not there yet like this."""
    if fleet.state.machines_per_file > 1:
        raise SimulatorError(
            "Later deliveries are files of one machine; these machines share theirs."
        )
    delivered = []
    for file in _files_of(fleet, phase):
        key = object_key(fleet, file.day, file.name)
        path = out / key
        if not path.exists() or path.read_bytes() != file.content:
            write_atomically(path, file.content)
            delivered.append(key)
    return tuple(delivered)


def _files_of(fleet: Fleet, phase: str) -> tuple[SourceFile, ...]:
    match phase:
        case "late":
            return late_files(fleet)
        case "corrected":
            return tuple(
                SourceFile(target.day, target.name, correct(fleet, target).content)
                for target in targets_of(fleet, "corrected_resend")
            )
        case "duplicate":
            return tuple(_again(fleet, t) for t in targets_of(fleet, "deliver_duplicate"))
        case "master-change":
            return changed_masters(fleet)
        case "unsigned-refunds":
            return tuple(_without_minus(file) for file in last_files_with_refunds(fleet))
        case "signed-refunds":
            return last_files_with_refunds(fleet)
        case _:
            raise SimulatorError(f"There is no phase {phase}: use one of {', '.join(PHASES)}.")


def late_files(fleet: Fleet) -> tuple[SourceFile, ...]:
    """The withheld files, as the day after the last brings them."""
    if "late_day" not in fleet.state.faults:
        raise SimulatorError(
            "Nothing was withheld: run `make clean` and write the fleet with --faults late_day."
        )
    return tuple(_again(fleet, target) for target in targets_of(fleet, "late_day"))


def _again(fleet: Fleet, target: Target) -> SourceFile:
    return SourceFile(fleet.state.days, target.name, good_content(fleet, target))


def good_content(fleet: Fleet, target: Target) -> bytes:
    """The content of a target's file before anything was done to it."""
    if target.machine is None:
        return products(fleet, target.day)
    history = simulate_machine(fleet, target.machine)
    files = (*sales_files(fleet, history), *replenishment_files(fleet, history))
    return next(file.content for file in files if file.name == target.name)


def correct(fleet: Fleet, target: Target) -> Correction:
    """Some amounts lower, one sale gone, one sale more.

    The new sale takes the place of the one that is gone: same slot, same moment. So what the
    files say about stock still adds up. A sale that a refund or void names stays.
    """
    numbers = simulate_machine(fleet, target.machine).transactions.original
    named = {transaction_id(number).encode() for number in numbers.tolist()}
    header, *lines = good_content(fleet, target).splitlines()
    free = [
        index
        for index, line in enumerate(lines)
        if b",sale," in line and sales_row(line).get("transaction_id") not in named
    ]
    gone, changed = free[0], free[1 : 1 + _AMOUNTS_CHANGED]
    for index in changed:
        lines[index] = _discounted(lines[index])
    old, added = sales_row(lines[gone]), transaction_id(numbers.size + 1)
    lines[gone] = old.replaced("transaction_id", added.encode()).line()
    return Correction(
        content=b"\n".join([header, *lines]) + b"\n",
        changed=tuple(index + 2 for index in changed),
        vanished=old.get("transaction_id").decode(),
        added=added,
    )


def last_files_with_refunds(fleet: Fleet) -> tuple[SourceFile, ...]:
    """The sales files with refunds of the last day that has any, as they should be."""
    files = [
        file
        for machine in fleet.machines
        for file in sales_files(fleet, simulate_machine(fleet, machine))
        if _REFUND in file.content
    ]
    if not files:
        raise SimulatorError("Nobody had a refund: ask for more days or machines.")
    last_day = max(file.day for file in files)
    return tuple(file for file in files if file.day == last_day)


def _without_minus(file: SourceFile) -> SourceFile:
    lines = [
        sales_row(line).replaced("amount", sales_row(line).get("amount").lstrip(b"-")).line()
        if _REFUND in line
        else line
        for line in file.content.splitlines()
    ]
    return replace(file, content=b"\n".join(lines) + b"\n")


def _discounted(line: bytes) -> bytes:
    row = sales_row(line)
    return row.replaced("amount", b"%d" % (int(row.get("amount")) - _DISCOUNT)).line()


def changed_masters(fleet: Fleet) -> tuple[SourceFile, ...]:
    """A price from the day of delivery on, and a move that is told a day after it happened."""
    day = fleet.state.days
    machine = next(m for m in fleet.machines if len(m.placements) == 1)
    latest = int(fleet.prices[-1, 0])
    changes = MasterChanges(
        placements={machine.machine_id: _moved(machine, day - 1)},
        price_changes=(PriceChange(day, 0, latest + 20),),
    )
    return (
        SourceFile(day, "products.csv", products(fleet, day, changes)),
        SourceFile(day, "vending_machines.csv", vending_machines(fleet, day, changes)),
    )


def _moved(machine: Machine, day: int) -> Placement:
    """Another kind of site in the same prefecture."""
    old = machine.placements[-1]
    site_type_index = (old.site_type_index + 1) % len(SITE_TYPES)
    return replace(
        old,
        from_day=day,
        site_type_index=site_type_index,
        site_name=SITE_TYPES[site_type_index].names[0],
        latitude=round(old.latitude + 0.01, 6),
    )
