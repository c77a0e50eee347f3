"""The rules of the ledger: which loads of a batch appear, and which they retire.

Pure, so that every engine follows the same rules; an engine only reads and writes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from include.contracts import LoadMode, SameContent
from include.ingest.plan import ConformedBatch, ConformedFile


@dataclass(frozen=True, slots=True)
class CurrentLoad:
    """The load that holds the rows of an object key now. ``landed_at`` is in UTC."""

    load_id: int
    landed_at: datetime


@dataclass(frozen=True, slots=True)
class Original:
    """A load that brought a content first, and the name it came under."""

    load_id: int
    object_key: str


@dataclass(frozen=True, slots=True)
class LedgerView:
    """What the ledger says about a batch, read after the lock was taken.

    ``known`` are the batch's load_ids that it has already; ``current`` the current load of each
    object key under the batch's source contract, ``versions`` the current load of each raw
    location, and ``originals`` the current loads that hold rows, by checksum, oldest first.
    """

    known: frozenset[int]
    current: Mapping[str, CurrentLoad]
    versions: Mapping[str, int] = field(default_factory=dict)
    originals: Mapping[str, Sequence[Original]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class NewLoad:
    """A ledger row to write.

    With ``replaced_by`` it is history at once: a newer version is in. ``same_as`` is a load of the
    same content under another name; if it ``is_skipped``, all of its rows are duplicates of that.
    """

    file: ConformedFile
    replaced_by: int | None = None
    same_as: Original | None = None
    is_skipped: bool = False

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
    def loaded(self) -> tuple[NewLoad, ...]:
        """The new loads whose rows go to the raw table."""
        return tuple(load for load in self.new if load.is_current and not load.is_skipped)

    @property
    def rejecting(self) -> tuple[NewLoad, ...]:
        """The new loads whose rejected rows go to quarantine."""
        return tuple(load for load in self.new if not load.is_skipped)


def decide(batch: ConformedBatch, load_mode: LoadMode, ledger: LedgerView) -> LoadDecision:
    """What loading the batch means, given the ledger as it is now and not as it was planned.

    A load that is there already changes nothing. Under ``replace`` a version retires the one that
    it was planned to replace. If the ledger has moved on since, the version that landed last is the
    current one, whatever order the batches come in: two runs that planned from the same state end
    with the same rows. Under ``append`` every version stays, and is current once: a replay of a
    version retires the load of it that is there.
    """
    fresh = [file for file in batch.files if file.landed.load_id not in ledger.known]
    appends = load_mode is LoadMode.APPEND
    decision = _append(fresh, ledger) if appends else _replace(fresh, ledger)
    return LoadDecision(_recognise_copies(decision, batch.same_content, ledger), decision.retired)


def _append(fresh: Iterable[ConformedFile], ledger: LedgerView) -> LoadDecision:
    new = tuple(NewLoad(file) for file in fresh)
    retired = tuple(
        Retirement(ledger.versions[load.file.landed.raw_location], load.load_id)
        for load in new
        if load.file.landed.raw_location in ledger.versions
    )
    return LoadDecision(new, retired)


def _replace(fresh: Iterable[ConformedFile], ledger: LedgerView) -> LoadDecision:
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


def _recognise_copies(
    decision: LoadDecision, same_content: SameContent, ledger: LedgerView
) -> tuple[NewLoad, ...]:
    """The new loads, those of a content that is loaded under another name marked as copies."""
    retired = {retirement.load_id for retirement in decision.retired}
    originals = {
        checksum: [original for original in loads if original.load_id not in retired]
        for checksum, loads in ledger.originals.items()
    }
    marked: list[NewLoad] = []
    # Of two names that come together, the one that landed first is the original.
    for load in sorted(decision.new, key=lambda load: load.file.landed.landed_at):
        landed = load.file.landed
        candidates = originals.setdefault(landed.checksum, [])
        others = [each for each in candidates if each.object_key != landed.object_key]
        if load.is_current and others:
            is_skipped = same_content is SameContent.SKIP
            load = replace(load, same_as=others[0], is_skipped=is_skipped)
        if load.is_current and not load.is_skipped:
            candidates.append(Original(load.load_id, landed.object_key))
        marked.append(load)
    return tuple(marked)


def _last_landed(versions: Iterable[ConformedFile], current: CurrentLoad | None) -> int:
    """The load_id that holds the key's rows afterwards; the generation decides a tie."""
    last = max(versions, key=lambda file: (file.landed.landed_at, file.landed.generation)).landed
    # Clocks are asked only if the plan no longer holds: they may have been set back meanwhile.
    is_as_planned = current is None or current.load_id == last.replaces
    if is_as_planned or current.landed_at <= last.landed_at:
        return last.load_id
    return current.load_id
