"""Finds what is new: compares the files of the lake with the ledger and plans batches.

A file is new if the ledger has no current load of its key under its contract, and changed if its
etag differs from that load's. A contract that changed makes no file new: loading earlier versions
again under it is a replay. Versions with rows that wait for a master are planned again once a
newer version of that master is loaded.

What is noticed besides and read by nobody is counted and reported: names that are refused, files
that no contract knows (both are kept in ``ops.unread_files`` until they are gone), that wait for
their marker, or that are gone from the source.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime

from include.contracts import Catalog, SourceContract
from include.ingest.batching import write_plan
from include.ingest.names import printable, refusal
from include.ingest.pages import PAGE_NAME, page_folder
from include.ingest.plan import Candidate, IngestPlan, Noticed
from include.ingest.removed import Listing, note_removed
from include.ingest.replay import awaiting
from include.ingest.runs import IngestRun
from include.lake import Lake, StoredObject, Zone
from include.settings import ConformLimits
from include.warehouse import ListedFile, UnreadFile, Warehouse

log = logging.getLogger(__name__)

_NAMES_SHOWN = 10


def plan_files(
    run: IngestRun, warehouse: Warehouse, catalog: Catalog, limits: ConformLimits
) -> IngestPlan:
    """Plan batches of the new and changed files below ``sources/``, and say what is not read.

    A file that several contracts know (of one vendor) is planned under each of them. Writes the
    batches and the plan to the run's folder. Raises LakeError, ContractError, WarehouseError.
    """
    noticed = _Noticed()
    listing = Listing()
    listed = listing.remember(_source_files(run.lake, catalog, noticed))
    candidates = _complete(run.lake, catalog, warehouse.new_versions(listed), noticed)
    replayed = awaiting(warehouse, catalog.file_sources)
    plan = write_plan(run, candidates, limits, replayed=replayed)
    contracts = [contract.id for contract in catalog.file_sources]
    for gone in note_removed(warehouse, contracts, listing, datetime.now(UTC)):
        noticed.removed.add(gone.object_key)
    warehouse.note_unread(noticed.unread, run.run_id, datetime.now(UTC))
    plan = noticed.described_in(plan)
    run.write_plan(plan)
    noticed.report()
    return plan


def plan_pages(
    run: IngestRun, warehouse: Warehouse, catalog: Catalog, limits: ConformLimits
) -> IngestPlan:
    """Plan batches of the API pages in raw that the ledger does not hold."""
    candidates = warehouse.new_versions(_landed_pages(run.lake, catalog))
    return write_plan(run, candidates, limits, replayed=awaiting(warehouse, catalog.api_sources))


@dataclass(slots=True)
class _Names:
    """Counts files; keeps the first names only."""

    count: int = 0
    first: list[str] = field(default_factory=list)

    def add(self, object_key: str, why: str = "") -> None:
        self.count += 1
        if len(self.first) < _NAMES_SHOWN:
            self.first.append(printable(object_key) + (f" ({why})" if why else ""))

    def warn(self, sentence: str) -> None:
        if self.count:
            names = ", ".join(self.first) + (", …" if self.count > len(self.first) else "")
            log.warning(sentence, self.count, names)

    def document(self) -> Noticed:
        return Noticed(count=self.count, first=tuple(self.first))


@dataclass(slots=True)
class _Noticed:
    """What is in the sources and not read, or no longer in the sources."""

    unknown: _Names = field(default_factory=_Names)
    refused: _Names = field(default_factory=_Names)
    waiting: _Names = field(default_factory=_Names)
    removed: _Names = field(default_factory=_Names)
    unread: list[UnreadFile] = field(default_factory=list)

    def refuse(self, object_key: str, why: str) -> None:
        self.refused.add(object_key, why)
        self.unread.append(UnreadFile(printable(object_key), why))

    def miss_contract(self, object_key: str) -> None:
        self.unknown.add(object_key)
        self.unread.append(UnreadFile(object_key, "no source contract knows it"))

    def described_in(self, plan: IngestPlan) -> IngestPlan:
        return plan.model_copy(
            update={
                "unknown_files": self.unknown.count,
                "first_unknown": tuple(self.unknown.first),
                "refused": self.refused.document(),
                "waiting": self.waiting.document(),
                "removed": self.removed.document(),
            }
        )

    def report(self) -> None:
        self.unknown.warn(
            "No source contract knows %d files, which were not read; add a contract or move them "
            "away: %s"
        )
        self.refused.warn("%d files were refused and not read; rename or remove them: %s")
        self.waiting.warn("%d files wait for the marker that says they are complete: %s")
        self.removed.warn(
            "%d files were removed from the source since the last run; what was loaded of them "
            "stays: %s"
        )


def _source_files(lake: Lake, catalog: Catalog, noticed: _Noticed) -> Iterator[ListedFile]:
    prefix = f"{Zone.SOURCES.value}/"
    for stored in lake.list(prefix):
        object_key = stored.key.removeprefix(prefix)
        if why := refusal(object_key):
            noticed.refuse(object_key, why)
            continue
        contracts = catalog.sources_for(object_key)
        if not contracts and not _is_marker(catalog, object_key):
            noticed.miss_contract(object_key)
        for contract in contracts:
            yield _listed(contract, object_key, stored)
    for key in lake.irregular(prefix):
        noticed.refuse(key.removeprefix(prefix), "it is a link or a device")


def _is_marker(catalog: Catalog, object_key: str) -> bool:
    return any(
        contract.ready_marker
        and object_key.endswith(contract.ready_marker)
        and contract.matches(object_key.removesuffix(contract.ready_marker))
        for contract in catalog.file_sources
    )


def _complete(
    lake: Lake, catalog: Catalog, candidates: Iterable[tuple[str, Candidate]], noticed: _Noticed
) -> Iterator[tuple[str, Candidate]]:
    """The candidates without those whose contract names a marker that is not there yet."""
    markers = {contract.id: contract.ready_marker for contract in catalog.file_sources}
    for contract_id, candidate in candidates:
        marker = markers.get(contract_id)
        if marker and not lake.exists(candidate.location + marker):
            noticed.waiting.add(candidate.object_key)
        else:
            yield contract_id, candidate


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
        modified_at=stored.modified_at,
    )
