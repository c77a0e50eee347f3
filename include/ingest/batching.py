"""Groups what is to be conformed into batches, and batches into tasks."""

from __future__ import annotations

import logging
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
    is_replay: bool = False,
    is_dry_run: bool = False,
) -> IngestPlan:
    """Write the batches of a run and its plan. ``candidates`` come with their contract's id."""
    files = 0
    loads: dict[str, float] = {}
    for batch in _batches(run, candidates, limits):
        files += len(batch.candidates)
        key = run.write_batch(batch.model_copy(update={"is_replay": is_replay}))
        loads[key] = _load(batch, limits)
    plan = IngestPlan(groups=_balanced(loads), files=files, is_dry_run=is_dry_run)
    run.write_plan(plan)
    what = "files to conform again" if is_replay else "new or changed files"
    log.info("%d %s in %d batches.", plan.files, what, len(plan.batches))
    return plan


@dataclass(slots=True)
class _OpenBatch:
    """The candidates of one contract that are collected for its next batch."""

    candidates: list[Candidate] = field(default_factory=list)
    size_bytes: int = 0
    written: int = 0

    def has_room(self, candidate: Candidate, limits: ConformLimits) -> bool:
        return not self.candidates or (
            len(self.candidates) < limits.batch_files
            and self.size_bytes + candidate.size_bytes <= limits.batch_bytes
        )


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


def _batches(
    run: IngestRun, candidates: Iterable[tuple[str, Candidate]], limits: ConformLimits
) -> Iterator[Batch]:
    """Group by contract; a batch is closed when it is full, so few of them are held at a time."""
    collected: dict[str, _OpenBatch] = {}
    for contract_id, candidate in candidates:
        batch = collected.setdefault(contract_id, _OpenBatch())
        if not batch.has_room(candidate, limits):
            yield _close(run, contract_id, batch)
        batch.candidates.append(candidate)
        batch.size_bytes += candidate.size_bytes
    for contract_id, batch in sorted(collected.items()):
        yield _close(run, contract_id, batch)


def _close(run: IngestRun, contract_id: str, batch: _OpenBatch) -> Batch:
    batch.written += 1
    # Sorted by key, so that rows of one machine and of neighbouring days lie together.
    candidates = sorted(batch.candidates, key=lambda candidate: candidate.object_key)
    batch.candidates, batch.size_bytes = [], 0
    return Batch(
        batch_id=run.batch_id(contract_id, batch.written),
        source_contract=contract_id,
        candidates=tuple(candidates),
        planned_at=datetime.now(UTC),
    )
