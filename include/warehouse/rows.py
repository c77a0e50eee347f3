"""The rows that a load writes to ``ops``, as every engine writes them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from include.ingest.plan import BatchLoad, ConformedBatch, RuleWarning
from include.warehouse.ledger import LoadDecision, NewLoad


def naive(moment: datetime) -> datetime:
    """UTC without its zone, as TIMESTAMP columns hold it."""
    return moment.astimezone(UTC).replace(tzinfo=None)


def batch_load(
    batch: ConformedBatch,
    decision: LoadDecision,
    sequence: int,
    rows_loaded: int,
    rows_retired: int,
    rows_quarantined: int,
) -> BatchLoad:
    """What a load did, for the report of its run."""
    return BatchLoad(
        batch_id=batch.batch_id,
        source_contract=batch.source_contract,
        dataset=batch.dataset,
        ledger_seq=sequence,
        load_ids=tuple(file.landed.load_id for file in batch.files),
        files_loaded=len(decision.new),
        files_known=len(batch.files) - len(decision.new),
        files_unchanged=len(batch.unchanged),
        loads_retired=len(decision.retired),
        rows_loaded=rows_loaded,
        rows_retired=rows_retired,
        rows_quarantined=rows_quarantined,
        files_skipped=sum(load.is_skipped for load in decision.new),
    )


def ledger_row(
    batch: ConformedBatch,
    load: NewLoad,
    sequence: int,
    run_id: str,
    now: datetime,
    unreferenced: Sequence[RuleWarning] = (),
) -> dict[str, object]:
    """``unreferenced`` are the rows that refer to nothing known and are loaded all the same."""
    file, landed = load.file, load.file.landed
    rows_duplicate = file.rows_read if load.is_skipped else file.rows_duplicate
    return {
        "load_id": landed.load_id,
        "source": batch.source,
        "source_contract": batch.source_contract,
        "dataset": batch.dataset,
        "contract_version": batch.contract_version,
        "contract_fingerprint": batch.contract_fingerprint,
        "object_key": landed.object_key,
        "size_bytes": landed.size_bytes,
        "checksum": landed.checksum,
        "etag": landed.etag,
        "generation": landed.generation,
        "landed_at": naive(landed.landed_at),
        "landed_on": landed.landed_on,
        "business_date_from": file.business_date_from,
        "business_date_to": file.business_date_to,
        "rows_read": file.rows_read,
        "rows_conformed": 0 if load.is_skipped else file.rows_conformed,
        "rows_quarantined": 0 if load.is_skipped else file.rows_quarantined,
        "rows_duplicate": rows_duplicate,
        "is_current": load.is_current,
        "loaded_seq": sequence,
        "retired_seq": None if load.is_current else sequence,
        "replaced_by": load.replaced_by,
        "run_id": run_id,
        "loaded_at": now,
        "retired_at": None if load.is_current else now,
        "raw_location": landed.raw_location,
        "parquet_location": batch.parquet_location,
        "same_as": load.same_as.load_id if load.same_as else None,
        "note": _note(load, unreferenced),
        "missing_since": None,
    }


def _note(load: NewLoad, unreferenced: Sequence[RuleWarning]) -> str | None:
    sentences = [
        f"{warning.rows} rows break {warning.field}.{warning.code}, which only warns."
        for warning in (*load.file.warnings, *unreferenced)
    ]
    if load.same_as is not None:
        outcome = "was skipped" if load.is_skipped else "was loaded as well"
        sentences.append(f"Has the content of {load.same_as.object_key}, and {outcome}.")
    return " ".join(sentences) or None


def drift_rows(
    batch: ConformedBatch, load: NewLoad, run_id: str, now: datetime
) -> Iterator[dict[str, object]]:
    for drift in load.file.drift:
        yield _of_load(batch, load, run_id) | {
            "kind": drift.kind.value,
            "column_name": drift.column,
            "expected": drift.expected,
            "found": drift.found,
            "detected_at": now,
        }


def personal_rows(
    batch: ConformedBatch, load: NewLoad, run_id: str, now: datetime
) -> Iterator[dict[str, object]]:
    for personal in load.file.personal:
        yield _of_load(batch, load, run_id) | {
            "field": personal.field,
            "kind": personal.kind,
            "matches": personal.matches,
            "found_at": now,
        }


def _of_load(batch: ConformedBatch, load: NewLoad, run_id: str) -> dict[str, object]:
    return {
        "load_id": load.load_id,
        "source": batch.source,
        "source_contract": batch.source_contract,
        "dataset": batch.dataset,
        "object_key": load.file.landed.object_key,
        "contract_version": batch.contract_version,
        "run_id": run_id,
    }
