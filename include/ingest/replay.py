"""Conforms loads again from raw, under the contracts as they are now.

A replay is an ingest run whose files come from the ledger instead of a listing. Each of its loads
takes the place of the one it repeats, in one transaction; what is accepted now is marked resolved
in quarantine. Nothing is asked of the source.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from zoneinfo import ZoneInfo

from include.contracts import Catalog, Severity, SourceContract
from include.ingest.batching import write_plan
from include.ingest.expressions import ReasonCode
from include.ingest.landing import LandedBatch, load_id
from include.ingest.plan import (
    Batch,
    Candidate,
    ConformedBatch,
    FailedFile,
    IngestPlan,
    LandedFile,
)
from include.ingest.runs import IngestRun
from include.lake import Lake, LakeError
from include.settings import ConformLimits
from include.warehouse import ReplaySelection, Warehouse

_CHUNK_BYTES = 1 << 20
LONGEST_RANGE_DAYS = 366


class ReplayError(ValueError):
    """What was asked for makes no sense; one sentence with the remedy."""


def rejected_rows(
    catalog: Catalog, *, source: str, object_key: str, reason: str, contract_version: str
) -> ReplaySelection:
    """The loads with rejected rows that the parameters name; an empty one does not restrict.

    Raises ReplayError for a source or a reason that does not exist.
    """
    _check_source(catalog, source)
    reasons = [code.value for code in ReasonCode]
    if reason and reason not in reasons:
        raise ReplayError(f"{reason!r} is no reason code; use one of {', '.join(sorted(reasons))}.")
    return ReplaySelection(
        source=source or None,
        object_key=object_key or None,
        reason=reason or None,
        contract_version=contract_version or None,
    )


def whole_days(
    catalog: Catalog, *, first_day: str, last_day: str, source: str = ""
) -> ReplaySelection:
    """The loads with rows of the days (as in 2026-10-05, both included; no last day: one day).

    Raises ReplayError for no date, a range that ends before it begins or is longer than a year.
    """
    _check_source(catalog, source)
    first = _day(first_day)
    last = _day(last_day) if last_day else first
    if not 0 <= (last - first).days < LONGEST_RANGE_DAYS:
        raise ReplayError(
            f"{first} to {last} is no range of 1 to {LONGEST_RANGE_DAYS} days; correct the days."
        )
    return ReplaySelection(source=source or None, first_day=first, last_day=last)


def plan_replay(
    run: IngestRun,
    warehouse: Warehouse,
    catalog: Catalog,
    limits: ConformLimits,
    selection: ReplaySelection,
    *,
    is_dry_run: bool,
) -> IngestPlan:
    """Write batches of the selected loads, and the plan, to the run's folder.

    Raises ReplayError if the contract of a load no longer exists, LakeError, WarehouseError.
    """
    known = {contract.id for contract in (*catalog.sources, *catalog.exports)}
    candidates = _of_known_contracts(warehouse.replayable(selection), known)
    return write_plan(run, (), limits, replayed=candidates, is_dry_run=is_dry_run)


def awaiting(
    warehouse: Warehouse, contracts: Iterable[SourceContract]
) -> Iterator[tuple[str, Candidate]]:
    """The loads with rows that wait for a master, of which a newer one has come since."""
    for contract in contracts:
        # Not the dataset itself: two versions that wait would each be newer than the other in turn.
        awaited = {
            reference.dataset
            for reference in contract.references
            if reference.severity is not Severity.WARN
        } - {contract.dataset.name}
        if awaited:
            yield from warehouse.replayable(
                ReplaySelection(
                    source=contract.id,
                    reason=ReasonCode.UNKNOWN_REFERENCE.value,
                    awaited=tuple(sorted(awaited)),
                )
            )


def land_again(lake: Lake, batch: Batch, contract: SourceContract) -> LandedBatch:
    """The versions in raw as files that landed: with the time of then and a load_id of now.

    A version that is not what the ledger says, or cannot be read, is reported and stops no other.
    """
    landed: list[LandedFile] = []
    failed: list[FailedFile] = []
    with ThreadPoolExecutor(lake.transfers) as threads:
        outcomes = threads.map(lambda each: _landed_again(lake, each, contract), batch.candidates)
        for outcome in outcomes:
            if isinstance(outcome, FailedFile):
                failed.append(outcome)
            else:
                landed.append(outcome)
    return LandedBatch(tuple(landed), (), tuple(failed))


def describe_dry_run(
    run: IngestRun,
    warehouse: Warehouse,
    plan: IngestPlan,
    conformed: Sequence[ConformedBatch],
) -> str:
    """What loading a replay would change, in one sentence."""
    replayed = [
        candidate.current.load_id
        for key in plan.batches
        for candidate in run.read_batch(key).candidates
        if candidate.current
    ]
    before = warehouse.totals(replayed)
    files = [file for batch in conformed for file in batch.files]
    return (
        f"Dry run: {len(files)} files would be loaded again; rows loaded "
        f"{before.rows_conformed} now and {sum(file.rows_conformed for file in files)} then, "
        f"quarantined {before.rows_quarantined} now and "
        f"{sum(file.rows_quarantined for file in files)} then; nothing was changed."
    )


def _check_source(catalog: Catalog, source: str) -> None:
    known = {contract.source for contract in catalog.sources}
    known |= {contract.id for contract in catalog.sources}
    if source and source not in known:
        raise ReplayError(f"{source!r} is no source; use one of {', '.join(sorted(known))}.")


def _day(value: str) -> date:
    try:
        return date.fromisoformat(value)
    except ValueError:
        raise ReplayError(f"{value!r} is no day; write it as in 2026-10-05.") from None


def _of_known_contracts(
    candidates: Iterator[tuple[str, Candidate]], known: set[str]
) -> Iterator[tuple[str, Candidate]]:
    for contract_id, candidate in candidates:
        if contract_id not in known:
            raise ReplayError(
                f"The contract {contract_id} of {candidate.object_key} no longer exists; restore "
                "it, or restrict the replay to another source."
            )
        yield contract_id, candidate


def _landed_again(
    lake: Lake, candidate: Candidate, contract: SourceContract
) -> LandedFile | FailedFile:
    try:
        return _landed_file(lake, candidate, contract)
    except (LakeError, ReplayError) as error:
        return FailedFile(object_key=candidate.object_key, message=str(error))


def _landed_file(lake: Lake, candidate: Candidate, contract: SourceContract) -> LandedFile:
    current, landed_at = candidate.current, candidate.landed_at
    if current is None or landed_at is None:
        raise ReplayError(f"{candidate.object_key} was planned without its load; start a new run.")
    if _checksum(lake, candidate.location) != current.checksum:
        raise ReplayError(
            f"{candidate.location!r} in raw is not what was loaded from {candidate.object_key}; "
            "restore it from a backup."
        )
    generation = candidate.earlier_loads
    return LandedFile(
        load_id=load_id(
            contract.id, candidate.object_key, current.checksum, contract.fingerprint, generation
        ),
        object_key=candidate.object_key,
        raw_location=candidate.location,
        size_bytes=candidate.size_bytes,
        checksum=current.checksum,
        etag=candidate.etag,
        generation=generation,
        landed_at=landed_at,
        landed_on=landed_at.astimezone(ZoneInfo(contract.time_zone)).date(),
        replaces=current.load_id,
    )


def _checksum(lake: Lake, location: str) -> str:
    digest = hashlib.sha256()
    with lake.open(location) as stream:
        while chunk := stream.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()
