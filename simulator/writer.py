"""Puts a fleet's files below the sources directory, once."""

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from simulator.disk import write_atomically
from simulator.faults import FaultPlan
from simulator.files import SourceFile, file_names, replenishment_files, sales_files
from simulator.fleet import Fleet, Machine
from simulator.history import simulate_machine
from simulator.masters import master_files

SOURCE = "fleet"


@dataclass(frozen=True)
class Written:
    written: int
    already_there: int

    def __add__(self, other: "Written") -> "Written":
        return Written(self.written + other.written, self.already_there + other.already_there)


def object_key(fleet: Fleet, day: int, name: str) -> str:
    """The path below the sources directory of a file delivered on a day."""
    return f"{SOURCE}/{fleet.state.day(day)}/{name}"


def write_fleet(fleet: Fleet, plan: FaultPlan, out: Path) -> Written:
    """Write what is missing; never touch a file that is there."""
    there = _existing_keys(out)
    total = _write_missing(fleet, out, there, plan.deliver(master_files(fleet)))
    for machine in fleet.machines:
        keys = _keys(fleet, plan, machine)
        if there.issuperset(keys):
            total += Written(0, len(keys))
        else:
            files = _files(fleet, machine)
            total += _write_missing(fleet, out, there, plan.deliver(files))
    return total


def _keys(fleet: Fleet, plan: FaultPlan, machine: Machine) -> list[str]:
    return [
        object_key(fleet, delivery.day, delivery.name)
        for day, name in file_names(fleet, machine)
        for delivery in plan.deliveries(day, name)
    ]


def _files(fleet: Fleet, machine: Machine) -> Iterator[SourceFile]:
    history = simulate_machine(fleet, machine)
    yield from sales_files(fleet, history)
    yield from replenishment_files(fleet, history)


def _write_missing(
    fleet: Fleet, out: Path, there: set[str], files: Iterable[SourceFile]
) -> Written:
    written = already_there = 0
    for file in files:
        key = object_key(fleet, file.day, file.name)
        if key in there:
            already_there += 1
        else:
            write_atomically(out / key, file.content)
            written += 1
    return Written(written, already_there)


def _existing_keys(out: Path) -> set[str]:
    keys: set[str] = set()
    for folder, _, names in os.walk(out / SOURCE):
        prefix = Path(folder).relative_to(out).as_posix()
        keys.update(f"{prefix}/{name}" for name in names)
    return keys
