"""Checks a run after it loaded: every file accounted for, every row loaded or in quarantine."""

from __future__ import annotations

from collections import Counter

from include.ingest.plan import ConformedBatch, IngestPlan, LoadReport, Noticed, RunSummary
from include.ingest.runs import IngestRun, planned_batch_id
from include.warehouse import Imbalance, Warehouse

_SHOWN = 5
_DRIFT_KEPT = 50
_PERSONAL_KEPT = 50


class VerificationError(RuntimeError):
    """Files or rows of a run are missing or too many; names them."""


def verify(run: IngestRun, warehouse: Warehouse) -> RunSummary:
    """Hold the plan, the load report, the ledger and the tables of one run against each other.

    Raises VerificationError.
    """
    plan = run.read_plan()
    if plan is None:
        raise VerificationError(f"The run {run.run_id} has no plan; clear its discover task.")
    report = run.read_report()
    conformed = [batch for key in plan.batches if (batch := run.read_conformed(key))]
    _check_files(run, plan.batches, report)
    load_ids = _load_ids(report)
    found = [
        problem
        for dataset, ids in load_ids.items()
        for problem in warehouse.check(dataset, ids, run.run_id)
    ]
    if found:
        raise VerificationError(_sentence(found))
    totals = warehouse.totals([load_id for ids in load_ids.values() for load_id in ids])
    return RunSummary(
        files=totals.files,
        unknown_files=plan.unknown_files,
        rows_read=totals.rows_read,
        rows_conformed=totals.rows_conformed,
        rows_quarantined=totals.rows_quarantined,
        rows_duplicate=totals.rows_duplicate,
        quarantined=totals.quarantined,
        refused=plan.refused,
        waiting=_waiting(plan, conformed),
        removed=plan.removed,
        drift=_drift(conformed),
        personal=_personal(conformed),
    )


def findings(summary: RunSummary) -> str | None:
    """What a person should look at although the run succeeded, in one sentence; None: nothing."""
    parts = [f"{what} in {count} files" for what, count in summary.drift.items()][:_SHOWN]
    parts += [
        f"personal data masked in text: {what} {count} times"
        for what, count in list(summary.personal.items())[:_SHOWN]
    ]
    for noticed, what in (
        (summary.refused, "files refused for their name"),
        (summary.removed, "loaded files removed from the source"),
    ):
        if noticed.count:
            shown = ", ".join(noticed.first[:_SHOWN])
            more = ", …" if noticed.count > _SHOWN else ""
            parts.append(f"{noticed.count} {what}: {shown}{more}")
    return "; ".join(parts) + "." if parts else None


def _waiting(plan: IngestPlan, conformed: list[ConformedBatch]) -> Noticed:
    names = [file.object_key for batch in conformed for file in batch.waiting]
    return Noticed(
        count=plan.waiting.count + len(names), first=(*plan.waiting.first, *names)[:_SHOWN]
    )


def _drift(conformed: list[ConformedBatch]) -> dict[str, int]:
    files = Counter(
        f"{batch.source_contract}: {drift.kind} {drift.column}"
        for batch in conformed
        for file in batch.files
        for drift in file.drift
    )
    return dict(files.most_common(_DRIFT_KEPT))


def _personal(conformed: list[ConformedBatch]) -> dict[str, int]:
    matches: Counter[str] = Counter()
    for batch in conformed:
        for file in batch.files:
            for found in file.personal:
                matches[f"{batch.source_contract}: {found.kind} in {found.field}"] += found.matches
    return dict(matches.most_common(_PERSONAL_KEPT))


def _check_files(run: IngestRun, batch_keys: tuple[str, ...], report: LoadReport) -> None:
    loaded = {
        load.batch_id: load.files_loaded + load.files_known + load.files_unchanged
        for load in report.batches
    }
    for key in batch_keys:
        conformed = run.read_conformed(key)
        planned = len(run.read_batch(key).candidates)
        found = loaded.get(conformed.batch_id, 0) + len(conformed.waiting) if conformed else 0
        if found != planned:
            raise VerificationError(
                f"Batch {planned_batch_id(key)} has {planned} files and {found} were loaded; "
                "clear its conform task."
            )


def _load_ids(report: LoadReport) -> dict[str, list[int]]:
    """The run's loads by dataset."""
    by_dataset: dict[str, list[int]] = {}
    for load in report.batches:
        by_dataset.setdefault(load.dataset, []).extend(load.load_ids)
    return by_dataset


def _sentence(found: list[Imbalance]) -> str:
    shown = "; ".join(f"{imbalance.object_key} {imbalance.problem}" for imbalance in found[:_SHOWN])
    return (
        f"{len(found)} loads of this run are not in balance: {shown}; "
        "stop loading and restore the warehouse from its snapshot."
    )
