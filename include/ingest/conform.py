"""Turns landed raw files into conformed rows and quarantine, losing none.

A batch of files of one source contract becomes one Parquet file of rows (the raw table's columns)
and one of rejected rows (the columns of ``ops.quarantine``). Files are read fast where that is
proved right, exactly otherwise; see `fast_read` and `exact_read`. Whatever way a row went, for
each file rows read = conformed + quarantined + skipped as duplicates, or the batch fails.

A file that is rejected as a whole (header, page, compression) has one row in quarantine without a
row number; all rows that it may have held count as read and as quarantined, which is none where
not even lines can be told apart.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from types import MappingProxyType

import duckdb
import pyarrow as pa
from cryptography.fernet import MultiFernet

from include.contracts import SourceContract
from include.contracts.raw_tables import QUARANTINE
from include.ingest.exact_read import ExactRead
from include.ingest.expressions import ConformExpressions, unknown_keys_table
from include.ingest.fast_read import (
    FastResult,
    accepted_rows,
    drop_partly_read,
    is_complete,
    read_fast,
)
from include.ingest.judge import count_personal, count_rejections, refusals
from include.ingest.judge import drift as find_drift
from include.ingest.judge import warnings as count_warnings
from include.ingest.originals import seal_originals
from include.ingest.plan import ColumnDrift, ConformedBatch, ConformedFile, LandedFile
from include.ingest.spelling import literal, register_functions
from include.ingest.workspace import RawFile, Workspace, open_connection
from include.lake import Lake, Zone
from include.privacy.masking_sql import prepare_masking
from include.privacy.pepper import Pepper, PepperError
from include.privacy.vault import VaultError, vault_key
from include.settings import ConformLimits

# Of each field the values that refer to nothing known.
UnknownKeys = Mapping[str, Sequence[str]]


class ConformError(RuntimeError):
    """A batch cannot be conformed; the message names it and the remedy."""


@dataclass(frozen=True, slots=True)
class ConformedFiles:
    """What became of files. The Parquet files lie in the scratch folder; None means no rows."""

    files: tuple[ConformedFile, ...]
    parquet: Path | None
    quarantine: Path | None
    vault: Path | None = None


@dataclass(frozen=True, slots=True)
class _Stored:
    """Rows of one load in the Parquet file, with their least and greatest business date."""

    rows: int = 0
    first: date | None = None
    last: date | None = None


def conformed_batch_id(
    planned: str,
    landed: Sequence[LandedFile],
    unknown_keys: UnknownKeys = MappingProxyType({}),
) -> str:
    """The name of a planned batch's results, by its contents too.

    What is conformed differently when a task is run again must not change Parquet that the ledger
    names already.
    """
    contents = [[file.load_id for file in landed]]
    if unknown_keys:
        contents.append(sorted((field, list(keys)) for field, keys in unknown_keys.items()))
    return f"{planned}-{hashlib.sha256(json.dumps(contents).encode()).hexdigest()[:8]}"


def conform_batch(
    lake: Lake,
    contract: SourceContract,
    batch_id: str,
    landed: Sequence[LandedFile],
    limits: ConformLimits,
    run_id: str,
    unknown_keys: UnknownKeys = MappingProxyType({}),
    pepper: Pepper | None = None,
    vault_keys: MultiFernet | None = None,
) -> ConformedBatch:
    """Conform landed files and put the results into the lake, each complete or absent.

    Rows with ``unknown_keys`` are rejected. Running it again writes the same objects again. Raises
    ConformError, LakeError and PepperError.
    """
    locations = [file.raw_location for file in landed]
    with lake.scratch() as scratch, lake.local_paths(locations) as paths:
        files = [RawFile(file, path) for file, path in zip(landed, paths, strict=True)]
        try:
            conformed = conform_files(
                contract, files, scratch, limits, run_id, unknown_keys, pepper, vault_keys
            )
        except duckdb.Error as error:
            raise ConformError(_sentence(contract, batch_id, error)) from error
        name = f"{batch_id}.parquet"
        if conformed.vault is not None:
            # First, so that no token is in the lake of which the vault knows nothing.
            lake.put_file(conformed.vault, vault_key(lake, contract.id, batch_id))
        return ConformedBatch(
            batch_id=batch_id,
            source_contract=contract.id,
            source=contract.source,
            dataset=contract.dataset.name,
            contract_version=contract.version,
            contract_fingerprint=contract.fingerprint,
            files=conformed.files,
            same_content=contract.same_content,
            references=contract.references,
            parquet_location=_put(lake, Zone.PROCESSED, contract, name, conformed.parquet),
            quarantine_location=_put(lake, Zone.QUARANTINE, contract, name, conformed.quarantine),
        )


def conform_files(
    contract: SourceContract,
    files: Sequence[RawFile],
    scratch: Path,
    limits: ConformLimits,
    run_id: str,
    unknown_keys: UnknownKeys = MappingProxyType({}),
    pepper: Pepper | None = None,
    vault_keys: MultiFernet | None = None,
) -> ConformedFiles:
    """Conform files into Parquet files in ``scratch``, an empty folder.

    Raises ConformError if rows are not accounted for, PepperError or VaultError if masking needs a
    pepper or the vault's keys and they are not given, duckdb.Error for want of disk or memory, and
    OSError.
    """
    if contract.needs_pepper and pepper is None:
        raise PepperError(f"{contract.id} has keyed fields; give conform the pepper.")
    if contract.makes_tokens and vault_keys is None:
        raise VaultError(f"{contract.id} makes tokens; give conform the keys of the vault.")
    with open_connection(scratch, limits) as connection:
        expressions = ConformExpressions(contract, unknown_keys)
        work = Workspace(contract, expressions, connection, scratch, limits.threads)
        register_functions(connection, contract)
        for field, keys in unknown_keys.items():
            connection.register("keys", pa.table({"key": pa.array(keys, pa.string())}))
            connection.execute(f"CREATE TABLE {unknown_keys_table(field)} AS FROM keys")
        prepare_masking(connection, pepper)
        fast = read_fast(work, files)
        exact = ExactRead(work)
        _read_rest(fast, exact)
        exact.finish()
        drift = _judge_files(work, files, fast, exact)
        parquet = _write_rows(work, fast)
        quarantine = _write_quarantine(work, files, run_id)
        conformed = _account(work, files, fast, exact, parquet, drift)
        vault = seal_originals(work, vault_keys)
    return ConformedFiles(conformed, parquet, quarantine, vault)


def _read_rest(fast: FastResult, exact: ExactRead) -> None:
    """Read exactly what was not accepted; a part whose proof fails is read as a whole."""
    for partly in list(fast.partly):
        chosen = exact.add(partly.file, partly.choice)
        if partly.accepted_rows + chosen != partly.rows:
            exact.forget(partly.file.load_id)
            drop_partly_read(fast, partly)
    for file in fast.exact:
        exact.add(file)


def _judge_files(
    work: Workspace, files: Sequence[RawFile], fast: FastResult, exact: ExactRead
) -> dict[int, tuple[ColumnDrift, ...]]:
    """Quarantine the files that the contract refuses as a whole; returns the drift of all."""
    read = exact.rows | {partly.file.load_id: partly.rows for partly in fast.partly}
    rejections = count_rejections(work)
    drift = find_drift(work, files, fast.headers | exact.headers, rejections, read)
    partly_read = {partly.file.load_id: partly for partly in fast.partly}
    for load_id, reason in refusals(work.contract, rejections, read):
        if load_id in partly_read:
            drop_partly_read(fast, partly_read[load_id])
        exact.reject_file(load_id, reason, read[load_id])
    return drift


def _write_rows(work: Workspace, fast: FastResult) -> Path | None:
    if is_complete(fast) and not work.rows("SELECT 1 FROM exact_rows LIMIT 1"):
        return fast.parquets[0]
    columns = ", ".join(column.name for column in work.contract.dataset.raw_columns)
    queries = [f"SELECT {columns} FROM exact_rows"]
    if fast_rows := accepted_rows(work, fast):
        queries.append(f"SELECT {columns} FROM ({fast_rows})")
    return _copy(work, " UNION ALL ".join(queries), "conformed.parquet")


def _write_quarantine(work: Workspace, files: Sequence[RawFile], run_id: str) -> Path | None:
    if not work.rows("SELECT 1 FROM rejected LIMIT 1"):
        return None
    batch = pa.table(
        {
            "load_id": pa.array([file.load_id for file in files], pa.int64()),
            "object_key": [file.landed.object_key for file in files],
            "raw_location": [file.landed.raw_location for file in files],
        }
    )
    contract = work.contract
    values = {
        "source": literal(contract.source),
        "source_contract": literal(contract.id),
        "dataset": literal(contract.dataset.name),
        "row_number": "line_number",
        "contract_version": literal(contract.version),
        "run_id": literal(run_id),
        "quarantined_at": f"TIMESTAMP {literal(str(datetime.now(UTC).replace(tzinfo=None)))}",
    }
    columns = ", ".join(
        f"{values.get(column.name, column.name)} AS {column.name}" for column in QUARANTINE.columns
    )
    work.connection.register("batch", batch)
    query = f"SELECT {columns} FROM rejected JOIN batch USING (load_id)"
    return _copy(work, query, "quarantine.parquet")


def _copy(work: Workspace, query: str, name: str) -> Path | None:
    """Write a query's rows to a Parquet file; None, and no file, if there are none."""
    path = work.scratch / name
    written = work.rows(f"COPY ({query}) TO {literal(str(path))} (FORMAT parquet)")
    if written[0][0]:
        return path
    path.unlink()
    return None


def _account(
    work: Workspace,
    files: Sequence[RawFile],
    fast: FastResult,
    exact: ExactRead,
    parquet: Path | None,
    drift: Mapping[int, tuple[ColumnDrift, ...]],
) -> tuple[ConformedFile, ...]:
    """Count what was written, and check that it is what was read."""
    stored = _stored_rows(work, parquet)
    warned = count_warnings(work, None if parquet is None else str(parquet))
    personal = count_personal(work, parquet)
    rejected = dict(work.rows("SELECT load_id, count(*) FROM rejected GROUP BY 1"))
    rejected |= exact.rejected_files
    read = exact.rows | fast.rows | {partly.file.load_id: partly.rows for partly in fast.partly}
    duplicates = exact.duplicates
    conformed = []
    for file in files:
        rows = stored.get(file.load_id, _Stored())
        conformed.append(
            ConformedFile(
                landed=file.landed,
                rows_read=read.get(file.load_id, 0),
                rows_conformed=rows.rows,
                rows_quarantined=rejected.get(file.load_id, 0),
                rows_duplicate=duplicates.get(file.load_id, 0),
                business_date_from=rows.first,
                business_date_to=rows.last,
                drift=drift.get(file.load_id, ()),
                warnings=warned.get(file.load_id, ()),
                personal=personal.get(file.load_id, ()),
            )
        )
        _check_conservation(conformed[-1])
    return tuple(conformed)


def _stored_rows(work: Workspace, parquet: Path | None) -> dict[int, _Stored]:
    if parquet is None:
        return {}
    day = work.contract.dataset.business_date.field
    rows = work.rows(
        f"SELECT _load_id, count(*), min({day}), max({day}) "
        f"FROM read_parquet({literal(str(parquet))}) GROUP BY 1"
    )
    return {load_id: _Stored(count, first, last) for load_id, count, first, last in rows}


def _check_conservation(file: ConformedFile) -> None:
    accounted = file.rows_conformed + file.rows_quarantined + file.rows_duplicate
    if accounted != file.rows_read:
        raise ConformError(
            f"{file.landed.object_key}: {file.rows_read} rows were read and {accounted} accounted "
            f"for, so nothing of the batch is loaded; keep {file.landed.raw_location} and report "
            "this as a defect."
        )


def _put(
    lake: Lake, zone: Zone, contract: SourceContract, name: str, path: Path | None
) -> str | None:
    if path is None:
        return None
    key = lake.key(zone, contract.dataset.name, name)
    lake.put_file(path, key)
    return key


def _sentence(contract: SourceContract, batch_id: str, error: duckdb.Error) -> str:
    # Other messages of DuckDB may quote a value, which may be personal.
    is_resource = isinstance(error, duckdb.IOException | duckdb.OutOfMemoryException)
    reason = str(error).splitlines()[0] if is_resource else type(error).__name__
    return (
        f"Batch {batch_id} of {contract.id} cannot be conformed ({reason}); free disk space or "
        "raise VENDING_CONFORM_MEMORY_MB, and run the task again."
    )
