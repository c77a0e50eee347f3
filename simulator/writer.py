"""Puts a fleet's files below the sources directory, once."""

import os
from collections.abc import Iterable, Iterator, Sequence
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
    for machines in _sharing_files(fleet):
        keys = _keys(fleet, plan, machines)
        if there.issuperset(keys):
            total += Written(0, len(keys))
        else:
            files = _files(fleet, machines)
            total += _write_missing(fleet, out, there, plan.deliver(files))
    return total


def _sharing_files(fleet: Fleet) -> Iterator[tuple[Machine, ...]]:
    size = fleet.state.machines_per_file
    for first in range(0, len(fleet.machines), size):
        yield fleet.machines[first : first + size]


def _keys(fleet: Fleet, plan: FaultPlan, machines: Sequence[Machine]) -> list[str]:
    return [
        object_key(fleet, delivery.day, delivery.name)
        for day, name in file_names(fleet, *machines)
        for delivery in plan.deliveries(day, name)
    ]


def _files(fleet: Fleet, machines: Sequence[Machine]) -> Iterator[SourceFile]:
    histories = [simulate_machine(fleet, machine) for machine in machines]
    yield from sales_files(fleet, *histories)
    yield from replenishment_files(fleet, *histories)


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
