"""Finds what is new: compares the files of the lake with the ledger and plans batches.

A file is new if the ledger has no current load of its key under its contract, and changed if its
etag differs from that load's. A contract that changed makes no file new: loading earlier versions
again under it is a replay.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from include.contracts import Catalog, SourceContract
from include.ingest.pages import PAGE_NAME, page_folder
from include.ingest.plan import Batch, Candidate, IngestPlan
from include.ingest.runs import IngestRun
from include.lake import Lake, StoredObject, Zone
from include.settings import ConformLimits
from include.warehouse import ListedFile, Warehouse

log = logging.getLogger(__name__)

_NAMES_SHOWN = 10
# The part of a full batch below which batches of several contracts share a task.
_SMALL = 0.1


def plan_files(
    run: IngestRun, warehouse: Warehouse, catalog: Catalog, limits: ConformLimits
) -> IngestPlan:
    """Plan batches of the new and changed files below ``sources/``, and say which are unknown.

    A file that several contracts know (of one vendor) is planned under each of them. Writes the
    batches and the plan to the run's folder. Raises LakeError, ContractError, WarehouseError.
    """
    unknown = _UnknownFiles()
    listed = _source_files(run.lake, catalog, unknown)
    return _plan(run, warehouse, listed, limits, unknown)


def plan_pages(
    run: IngestRun, warehouse: Warehouse, catalog: Catalog, limits: ConformLimits
) -> IngestPlan:
    """Plan batches of the API pages in raw that the ledger does not hold."""
    return _plan(run, warehouse, _landed_pages(run.lake, catalog), limits, _UnknownFiles())


@dataclass(slots=True)
class _UnknownFiles:
    """Counts files that no contract knows; keeps the first names only."""

    count: int = 0
    first: list[str] = field(default_factory=list)

    def add(self, object_key: str) -> None:
        self.count += 1
        if len(self.first) < _NAMES_SHOWN:
            # A name that is not UTF-8 reaches Python with surrogates, which no document can hold.
            self.first.append(object_key.encode(errors="backslashreplace").decode())

    def report(self) -> None:
        if self.count:
            log.warning(
                "No source contract knows %d files, which were not read; add a contract or move "
                "them away: %s",
                self.count,
                ", ".join(self.first) + (", …" if self.count > len(self.first) else ""),
            )


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


def _plan(
    run: IngestRun,
    warehouse: Warehouse,
    listed: Iterable[ListedFile],
    limits: ConformLimits,
    unknown: _UnknownFiles,
) -> IngestPlan:
    files = 0
    large: list[tuple[str, ...]] = []
    small: list[str] = []
    for batch in _batches(run, warehouse.new_versions(listed), limits):
        files += len(batch.candidates)
        key = run.write_batch(batch)
        if _is_small(batch, limits):
            small.append(key)
        else:
            large.append((key,))
    plan = IngestPlan(
        groups=(*large, tuple(small)) if small else tuple(large),
        files=files,
        unknown_files=unknown.count,
        first_unknown=tuple(unknown.first),
    )
    run.write_plan(plan)
    unknown.report()
    log.info("%d new or changed files in %d batches.", plan.files, len(plan.batches))
    return plan


def _is_small(batch: Batch, limits: ConformLimits) -> bool:
    """Whether a batch is too little for a task of its own, whose start costs some two seconds.

    There is at most one such batch for each contract, so together they stay a modest task.
    """
    size_bytes = sum(candidate.size_bytes for candidate in batch.candidates)
    return (
        len(batch.candidates) <= limits.batch_files * _SMALL
        and size_bytes <= limits.batch_bytes * _SMALL
    )


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
    )


def _source_files(lake: Lake, catalog: Catalog, unknown: _UnknownFiles) -> Iterator[ListedFile]:
    prefix = f"{Zone.SOURCES.value}/"
    for stored in lake.list(prefix):
        object_key = stored.key.removeprefix(prefix)
        contracts = catalog.sources_for(object_key) if _is_utf8(object_key) else ()
        if not contracts:
            unknown.add(object_key)
        for contract in contracts:
            yield _listed(contract, object_key, stored)


def _landed_pages(lake: Lake, catalog: Catalog) -> Iterator[ListedFile]:
    prefix = f"{Zone.RAW.value}/"
    for contract in catalog.api_sources:
        for stored in lake.list(page_folder(lake, contract)):
            if PAGE_NAME.fullmatch(stored.key.rpartition("/")[2]):
                object_key = stored.key.removeprefix(prefix)
                yield _listed(contract, object_key, stored, raw_location=stored.key)


def _listed(
    contract: SourceContract, object_key: str, stored: StoredObject, raw_location: str | None = None
) -> ListedFile:
    return ListedFile(
        source_contract=contract.id,
        object_key=object_key,
        location=stored.key,
        size_bytes=stored.size_bytes,
        etag=stored.etag,
        raw_location=raw_location,
    )


def _is_utf8(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
