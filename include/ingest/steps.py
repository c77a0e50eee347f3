"""What each task of the ingest DAGs does, free of Airflow; fetching is in `include.ingest.api`.

Every step may be killed at any point and run again: documents and raw files are complete or
absent, and the ledger turns a second load of the same version into nothing.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from cryptography.fernet import MultiFernet

from include.contracts import Catalog, ContractError, SourceContract, load_catalog
from include.ingest.batching import write_plan
from include.ingest.conform import ConformError, conform_batch, conformed_batch_id
from include.ingest.discover import plan_files, plan_pages
from include.ingest.landing import land_batch
from include.ingest.plan import (
    BatchLoad,
    ConformedBatch,
    IngestPlan,
    LoadReport,
    RunSummary,
)
from include.ingest.raw_versions import raw_versions
from include.ingest.replay import describe_dry_run, land_again, plan_replay
from include.ingest.runs import IngestRun, planned_batch_id
from include.ingest.settle import settle
from include.ingest.sweep import sweep
from include.ingest.verify import verify
from include.lake import Lake, LakeError
from include.privacy.pepper import Pepper, PepperError, read_pepper
from include.privacy.vault import VaultError, vault_keys
from include.settings import Settings
from include.warehouse import (
    ReplaySelection,
    UnknownReferences,
    Warehouse,
    WarehouseError,
    open_warehouse,
)

# Plans what a run takes; returns the keys of the batches of each conform task.
Discover = Callable[[IngestRun, Settings], list[list[str]]]

log = logging.getLogger(__name__)

_NAMES_SHOWN = 5
# Once because of unknown references, and again whenever another load comes between.
_REFUSALS = 4


class IngestError(RuntimeError):
    """A part of a run failed while the rest of it was done; names what failed and the remedy."""


def discover_files(run: IngestRun, settings: Settings) -> list[list[str]]:
    """Plan what is new below ``sources/``; returns the keys of the batches of each conform task."""
    catalog = load_catalog()
    with _warehouse(run.lake, settings, catalog) as warehouse:
        return _groups(plan_files(run, warehouse, catalog, settings.conform))


def discover_pages(run: IngestRun, settings: Settings) -> list[list[str]]:
    """Plan the API pages in raw that are not loaded; returns as `discover_files` does."""
    catalog = load_catalog()
    with _warehouse(run.lake, settings, catalog) as warehouse:
        return _groups(plan_pages(run, warehouse, catalog, settings.conform))


def discover_replay(
    run: IngestRun, settings: Settings, selection: ReplaySelection, *, is_dry_run: bool
) -> list[list[str]]:
    """Plan to conform a selection of loads again from raw; returns as `discover_files` does."""
    catalog = load_catalog()
    with _warehouse(run.lake, settings, catalog) as warehouse:
        plan = plan_replay(
            run, warehouse, catalog, settings.conform, selection, is_dry_run=is_dry_run
        )
    return _groups(plan)


def discover_raw(run: IngestRun, settings: Settings) -> list[list[str]]:
    """Plan every file version in raw, for a warehouse that is made again; as `discover_files`."""
    catalog = load_catalog()
    return _groups(write_plan(run, raw_versions(run.lake, catalog), settings.conform))


def conform(
    run: IngestRun, settings: Settings, batch_keys: Sequence[str]
) -> tuple[ConformedBatch, ...]:
    """Land the files of each batch in raw and conform them; returns what became of the batches.

    A batch or a file that cannot be read stops no other: the rest is conformed and kept for the
    loader, and then the step fails and names them. Raises IngestError.
    """
    conformed: list[ConformedBatch] = []
    problems: list[str] = []
    for key in batch_keys:
        try:
            conformed.append(_conform_batch(run, settings, key))
        except (LakeError, ConformError, ContractError, PepperError, VaultError) as error:
            problems.append(str(error))
        else:
            problems += [file.message for file in conformed[-1].failed]
    if problems:
        raise IngestError(_and_more(problems))
    return tuple(conformed)


def load(run: IngestRun, settings: Settings, *, sweeps: bool = True) -> LoadReport | None:
    """Load every batch that was conformed, one transaction each, and sweep up orphans.

    A batch that cannot be loaded stops no other: the rest is loaded, then the step fails. None if
    there is nothing to do: discovery left no plan, or one for a dry run, which is described in the
    log instead. Raises IngestError.
    """
    plan = run.read_plan()
    if plan is None:
        return None
    conformed = {key: batch for key in plan.batches if (batch := run.read_conformed(key))}
    catalog = load_catalog()
    with _warehouse(run.lake, settings, catalog) as warehouse:
        if plan.is_dry_run:
            log.info("%s", describe_dry_run(run, warehouse, plan, list(conformed.values())))
            return None
        loaded, problems = _load_each(run, settings, warehouse, catalog, conformed)
        if sweeps:
            sweep(run.lake, warehouse)
    report = LoadReport(batches=tuple(loaded))
    run.write_report(report)
    if problems:
        raise IngestError(_and_more(problems))
    return report


def verify_run(run: IngestRun, settings: Settings) -> RunSummary | None:
    """Check that no row of the run's loads is missing, and sum them up; None for a dry run.

    Raises VerificationError.
    """
    plan = run.read_plan()
    if plan is not None and plan.is_dry_run:
        return None
    with open_warehouse(settings.warehouse, run.lake) as warehouse:
        summary = verify(run, warehouse)
    log.info(
        "%d files, %d rows read: %d conformed, %d quarantined (%s), %d duplicates.",
        summary.files,
        summary.rows_read,
        summary.rows_conformed,
        summary.rows_quarantined,
        ", ".join(f"{reason} {count}" for reason, count in summary.quarantined.items()) or "none",
        summary.rows_duplicate,
    )
    return summary


def ingest(
    run: IngestRun,
    settings: Settings,
    discover: Discover,
    *,
    sweeps: bool = True,
) -> RunSummary | None:
    """All steps of a run, one after another in this process, for work without Airflow.

    Raises what the steps raise.
    """
    for group in discover(run, settings):
        conform(run, settings, group)
    load(run, settings, sweeps=sweeps)
    return verify_run(run, settings)


def _groups(plan: IngestPlan) -> list[list[str]]:
    return [list(group) for group in plan.groups]


def _conform_batch(run: IngestRun, settings: Settings, batch_key: str) -> ConformedBatch:
    """Conform what can be read of one batch, and keep what became of it."""
    batch, waiting = settle(run.lake, run.read_batch(batch_key))
    contract = load_catalog().source(batch.source_contract)
    land = land_again if batch.is_replay else land_batch
    landed = land(run.lake, batch, contract)
    waiting += landed.waiting
    for file in waiting:
        log.warning("%s waits for the next run: %s", file.object_key, file.reason)
    conformed = conform_batch(
        run.lake,
        contract,
        conformed_batch_id(batch.batch_id, landed.landed),
        landed.landed,
        settings.conform,
        run.run_id,
        pepper=_pepper(settings, contract),
        vault_keys=_vault_keys(settings, contract),
    )
    outcome = {"unchanged": landed.unchanged, "failed": landed.failed, "waiting": waiting}
    conformed = conformed.model_copy(update=outcome)
    run.write_conformed(batch_key, conformed)
    return conformed


def _pepper(settings: Settings, contract: SourceContract) -> Pepper | None:
    return read_pepper(settings.pepper) if contract.needs_pepper else None


def _vault_keys(settings: Settings, contract: SourceContract) -> MultiFernet | None:
    return vault_keys(settings.vault) if contract.makes_tokens else None


def _conform_again(
    run: IngestRun,
    settings: Settings,
    contract: SourceContract,
    batch_key: str,
    batch: ConformedBatch,
    refused: UnknownReferences,
) -> ConformedBatch:
    """Conform a batch from raw without the rows that the warehouse refused, and keep that."""
    if contract.fingerprint != batch.contract_fingerprint:
        raise ConformError(
            f"The contract {contract.id} changed while {batch.batch_id} was on its way; "
            "clear its conform task."
        )
    landed = [file.landed for file in batch.files]
    conformed = conform_batch(
        run.lake,
        contract,
        conformed_batch_id(planned_batch_id(batch_key), landed, refused.keys),
        landed,
        settings.conform,
        run.run_id,
        refused.keys,
        _pepper(settings, contract),
        _vault_keys(settings, contract),
    )
    outcome = {
        "unchanged": batch.unchanged,
        "failed": batch.failed,
        "waiting": batch.waiting,
        "judged_seq": refused.sequence if refused.keys else None,
    }
    conformed = conformed.model_copy(update=outcome)
    run.write_conformed(batch_key, conformed)
    return conformed


@contextmanager
def _warehouse(lake: Lake, settings: Settings, catalog: Catalog) -> Iterator[Warehouse]:
    with open_warehouse(settings.warehouse, lake) as warehouse:
        warehouse.ensure_schema(catalog.datasets)
        yield warehouse


def _load_each(
    run: IngestRun,
    settings: Settings,
    warehouse: Warehouse,
    catalog: Catalog,
    conformed: Mapping[str, ConformedBatch],
) -> tuple[list[BatchLoad], list[str]]:
    """Load batches, given by their keys: what others refer to first."""
    loaded: list[BatchLoad] = []
    problems: list[str] = []
    order = catalog.loading_order
    for key, batch in sorted(conformed.items(), key=lambda item: order.index(item[1].dataset)):
        try:
            load = _load_batch(run, settings, warehouse, catalog, key, batch)
        except (WarehouseError, LakeError, ConformError, PepperError, VaultError) as error:
            log.error("%s", error)
            problems.append(str(error))
            continue
        log.info(
            "%s: %d files loaded, %d skipped as copies, %d known, %d unchanged; %d rows in, "
            "%d rows of %d earlier loads out, %d quarantined.",
            load.batch_id,
            load.files_loaded - load.files_skipped,
            load.files_skipped,
            load.files_known,
            load.files_unchanged,
            load.rows_loaded,
            load.rows_retired,
            load.loads_retired,
            load.rows_quarantined,
        )
        loaded.append(load)
    return loaded, problems


def _load_batch(
    run: IngestRun,
    settings: Settings,
    warehouse: Warehouse,
    catalog: Catalog,
    batch_key: str,
    batch: ConformedBatch,
) -> BatchLoad:
    """Load a batch; one that the warehouse refuses is conformed again without what it refused."""
    dataset = catalog.dataset(batch.dataset)
    for _ in range(_REFUSALS):
        try:
            return warehouse.load(batch, dataset, run.run_id)
        except UnknownReferences as refused:
            contract = catalog.source(batch.source_contract)
            batch = _conform_again(run, settings, contract, batch_key, batch, refused)
    return warehouse.load(batch, dataset, run.run_id)


def _and_more(sentences: list[str]) -> str:
    shown = " ".join(sentences[:_NAMES_SHOWN])
    more = len(sentences) - _NAMES_SHOWN
    return f"{shown} And {more} more." if more > 0 else shown
