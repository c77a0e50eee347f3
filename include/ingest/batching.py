"""Groups what is to be conformed into batches, and batches into tasks."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from math import ceil

from include.ingest.plan import Batch, Candidate, IngestPlan
from include.ingest.runs import IngestRun
from include.settings import ConformLimits

log = logging.getLogger(__name__)


def write_plan(
    run: IngestRun,
    candidates: Iterable[tuple[str, Candidate]],
    limits: ConformLimits,
    *,
    replayed: Iterable[tuple[str, Candidate]] = (),
    is_dry_run: bool = False,
) -> IngestPlan:
    """Write the batches of a run and its plan.

    ``candidates`` come with their contract's id; those that are ``replayed`` lie in raw.
    """
    loads: dict[str, float] = {}
    numbers: Counter[str] = Counter()
    files: Counter[bool] = Counter()
    for is_replay, found in ((False, candidates), (True, replayed)):
        for contract_id, part in _parts(found, limits):
            numbers[contract_id] += 1
            batch = Batch(
                batch_id=run.batch_id(contract_id, numbers[contract_id]),
                source_contract=contract_id,
                candidates=part,
                planned_at=datetime.now(UTC),
                is_replay=is_replay,
            )
            loads[run.write_batch(batch)] = _load(batch, limits)
            files[is_replay] += len(part)
    plan = IngestPlan(groups=_balanced(loads), files=files.total(), is_dry_run=is_dry_run)
    run.write_plan(plan)
    log.info(
        "%d new or changed files and %d files to conform again in %d batches.",
        files[False],
        files[True],
        len(plan.batches),
    )
    return plan


@dataclass(slots=True)
class _OpenBatch:
    """The candidates of one contract that are collected for its next batch."""

    candidates: list[Candidate] = field(default_factory=list)
    size_bytes: int = 0

    def has_room(self, candidate: Candidate, limits: ConformLimits) -> bool:
        return not self.candidates or (
            len(self.candidates) < limits.batch_files
            and self.size_bytes + candidate.size_bytes <= limits.batch_bytes
        )

    def close(self) -> tuple[Candidate, ...]:
        """The candidates by key, so that rows of one machine and of neighbouring days lie together;
        the batch is empty then."""
        candidates = sorted(self.candidates, key=lambda candidate: candidate.object_key)
        self.candidates, self.size_bytes = [], 0
        return tuple(candidates)


def _load(batch: Batch, limits: ConformLimits) -> float:
    """The part of a full task that a batch is: small files cost by number, large ones by bytes."""
    size_bytes = sum(candidate.size_bytes for candidate in batch.candidates)
    return len(batch.candidates) / limits.batch_files + size_bytes / limits.batch_bytes


def _balanced(loads: dict[str, float]) -> tuple[tuple[str, ...], ...]:
    """Batches in as few tasks as their loads fill, for each task's start costs some two seconds.

    The largest first, each to the task that has least.
    """
    tasks: list[tuple[float, list[str]]] = [(0.0, []) for _ in range(ceil(sum(loads.values())))]
    for key in sorted(loads, key=lambda key: (-loads[key], key)):
        least = min(range(len(tasks)), key=lambda number: tasks[number][0])
        load, keys = tasks[least]
        tasks[least] = (load + loads[key], [*keys, key])
    return tuple(tuple(keys) for _, keys in tasks if keys)


def _parts(
    candidates: Iterable[tuple[str, Candidate]], limits: ConformLimits
) -> Iterator[tuple[str, tuple[Candidate, ...]]]:
    """Group by contract; a part is closed when it is full, so few candidates are held at a time."""
    collected: dict[str, _OpenBatch] = {}
    for contract_id, candidate in candidates:
        batch = collected.setdefault(contract_id, _OpenBatch())
        if not batch.has_room(candidate, limits):
            yield contract_id, batch.close()
        batch.candidates.append(candidate)
        batch.size_bytes += candidate.size_bytes
    for contract_id, batch in sorted(collected.items()):
        yield contract_id, batch.close()
