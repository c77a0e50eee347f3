"""The rules of the ledger: which loads of a batch appear, and which they retire.

Pure, so that every engine follows the same rules; an engine only reads and writes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from include.contracts import LoadMode
from include.ingest.plan import ConformedBatch, ConformedFile


@dataclass(frozen=True, slots=True)
class CurrentLoad:
    """The load that holds the rows of an object key now. ``landed_at`` is in UTC."""

    load_id: int
    landed_at: datetime


@dataclass(frozen=True, slots=True)
class LedgerView:
    """What the ledger says about a batch, read after the lock was taken.

    ``known`` are the batch's load_ids that it has already; ``current`` the current load of each
    object key under the batch's source contract.
    """

    known: frozenset[int]
    current: Mapping[str, CurrentLoad]


@dataclass(frozen=True, slots=True)
class NewLoad:
    """A ledger row to write. With ``replaced_by`` it is history at once: a newer version is in."""

    file: ConformedFile
    replaced_by: int | None = None

    @property
    def load_id(self) -> int:
        return self.file.landed.load_id

    @property
    def is_current(self) -> bool:
        return self.replaced_by is None


@dataclass(frozen=True, slots=True)
class Retirement:
    """A load of the ledger whose rows leave the raw table."""

    load_id: int
    replaced_by: int


@dataclass(frozen=True, slots=True)
class LoadDecision:
    new: tuple[NewLoad, ...]
    retired: tuple[Retirement, ...]

    @property
    def current(self) -> tuple[NewLoad, ...]:
        return tuple(load for load in self.new if load.is_current)


def decide(batch: ConformedBatch, load_mode: LoadMode, ledger: LedgerView) -> LoadDecision:
    """What loading the batch means, given the ledger as it is now and not as it was planned.

    A load that is there already changes nothing. Under ``replace`` a version retires the one that
    it was planned to replace. If the ledger has moved on since, the version that landed last is the
    current one, whatever order the batches come in: two runs that planned from the same state end
    with the same rows. Under ``append`` every version stays.
    """
    fresh = [file for file in batch.files if file.landed.load_id not in ledger.known]
    if load_mode is LoadMode.APPEND:
        return LoadDecision(tuple(NewLoad(file) for file in fresh), ())
    by_key: dict[str, list[ConformedFile]] = {}
    for file in fresh:
        by_key.setdefault(file.landed.object_key, []).append(file)
    new: list[NewLoad] = []
    retired: list[Retirement] = []
    for object_key, versions in by_key.items():
        current = ledger.current.get(object_key)
        winner = _last_landed(versions, current)
        new.extend(
            NewLoad(file, None if file.landed.load_id == winner else winner) for file in versions
        )
        if current is not None and current.load_id != winner:
            retired.append(Retirement(current.load_id, winner))
    return LoadDecision(tuple(new), tuple(retired))


def _last_landed(versions: Iterable[ConformedFile], current: CurrentLoad | None) -> int:
    """The load_id that holds the key's rows afterwards; the generation decides a tie."""
    last = max(versions, key=lambda file: (file.landed.landed_at, file.landed.generation)).landed
    # Clocks are asked only if the plan no longer holds: they may have been set back meanwhile.
    is_as_planned = current is None or current.load_id == last.replaces
    if is_as_planned or current.landed_at <= last.landed_at:
        return last.load_id
    return current.load_id
