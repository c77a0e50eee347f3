"""The warehouse of a laptop: one DuckDB file.

One process may have the file open, readers included; the pool ``warehouse`` (one slot) keeps
Airflow's tasks apart, and opening waits for anyone else.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any

import duckdb
import pyarrow

from include.contracts import DatasetContract, Dialect
from include.contracts.raw_tables import LOAD_HISTORY, QUARANTINE
from include.ingest.plan import BatchLoad, Candidate, ConformedBatch, KnownVersion
from include.lake import Lake
from include.warehouse import duckdb_queries as queries
from include.warehouse import schema
from include.warehouse.base import Imbalance, ListedFile, LoadTotals, WarehouseError
from include.warehouse.duckdb_file import connect, explain_failure
from include.warehouse.ledger import CurrentLoad, LedgerView, LoadDecision, NewLoad, decide

# Listed files that are compared with the ledger at a time: some 5 MB of names.
_COMPARED_AT_ONCE = 20_000


@contextmanager
def opened(path: Path, lake: Lake, *, wait_seconds: float) -> Iterator[DuckDBWarehouse]:
    """The database file, made if it is missing, open for writing until the block ends.

    Waits up to ``wait_seconds`` while another process has it. Raises WarehouseError.
    """
    connection = connect(path, wait_seconds)
    try:
        yield DuckDBWarehouse(connection, path, lake)
    finally:
        connection.close()


class DuckDBWarehouse:
    """See `include.warehouse.base.Warehouse`."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, path: Path, lake: Lake) -> None:
        self._connection = connection
        self._path = path
        self._lake = lake

    def ensure_schema(self, datasets: Iterable[DatasetContract]) -> None:
        datasets = tuple(datasets)
        with self._transaction("creating its tables"):
            for statement in schema.creation(datasets, Dialect.DUCKDB):
                self._connection.execute(statement)
            for statement in schema.additions(datasets, self._columns(), Dialect.DUCKDB):
                self._connection.execute(statement)
            self._connection.execute(schema.INSERT_LOCK_ROW)

    def new_versions(self, listed: Iterable[ListedFile]) -> Iterator[tuple[str, Candidate]]:
        remaining = iter(listed)
        while chunk := tuple(islice(remaining, _COMPARED_AT_ONCE)):
            with self._explained("comparing files with the ledger"):
                rows = self._compare(chunk)
            for row in rows:
                yield _candidate(row)

    def load(self, batch: ConformedBatch, dataset: DatasetContract, run_id: str) -> BatchLoad:
        now = _naive(datetime.now(UTC))
        with self._transaction(f"loading batch {batch.batch_id}"):
            sequence = self._take_lock(run_id, now)
            decision = decide(batch, dataset.load_mode, self._view(batch))
            rows_loaded = self._insert_rows(batch, dataset, decision)
            rows_retired = self._delete_rows(dataset, decision)
            rows_quarantined = self._insert_quarantine(batch, decision)
            self._retire(decision, sequence, now)
            self._write_ledger(batch, decision, sequence, run_id, now)
            self._note_etags(batch)
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
        )

    def imbalances(self, dataset: str, load_ids: Sequence[int]) -> list[Imbalance]:
        with self._explained("checking the loads"):
            rows = self._fetch(queries.IMBALANCES.format(dataset=dataset), {"load_ids": load_ids})
        return [Imbalance(*row) for row in rows]

    def totals(self, load_ids: Sequence[int]) -> LoadTotals:
        with self._explained("adding up the loads"):
            [sums] = self._fetch(queries.TOTALS, {"load_ids": load_ids})
            quarantined = self._fetch(queries.QUARANTINED, {"load_ids": load_ids})
        return LoadTotals(*sums, quarantined=dict(quarantined))

    def unknown_locations(self, locations: Sequence[str]) -> list[str]:
        with self._explained("looking for orphans"), self._view_of("locations", location=locations):
            rows = self._fetch(
                "SELECT location FROM locations ANTI JOIN ops.load_history "
                "ON load_history.parquet_location = locations.location"
            )
        return [location for (location,) in rows]

    def _columns(self) -> Mapping[tuple[str, str], frozenset[str]]:
        rows = self._fetch(
            "SELECT table_schema, table_name, list(column_name) FROM information_schema.columns "
            "GROUP BY ALL"
        )
        return {(schema_name, table): frozenset(columns) for schema_name, table, columns in rows}

    def _compare(self, listed: Sequence[ListedFile]) -> list[tuple[Any, ...]]:
        columns = {name: [getattr(file, name) for file in listed] for name in ListedFile.__slots__}
        with self._view_of("listed", **columns):
            return self._fetch(queries.COMPARE)

    def _take_lock(self, run_id: str, now: datetime) -> int:
        [(sequence,)] = self._fetch(
            "UPDATE ops.load_lock SET ledger_seq = ledger_seq + 1, holder = $run_id, "
            "locked_at = $now RETURNING ledger_seq",
            {"run_id": run_id, "now": now},
        )
        return sequence

    def _view(self, batch: ConformedBatch) -> LedgerView:
        landed = [file.landed for file in batch.files]
        columns = {
            "load_id": [file.load_id for file in landed],
            "object_key": [file.object_key for file in landed],
        }
        with self._view_of("batch_files", **columns):
            known = self._fetch(
                "SELECT load_id FROM ops.load_history SEMI JOIN batch_files USING (load_id)"
            )
            current = self._fetch(queries.CURRENT, {"source_contract": batch.source_contract})
        return LedgerView(
            known=frozenset(load_id for (load_id,) in known),
            current={
                key: CurrentLoad(load_id, landed_at.replace(tzinfo=UTC))
                for key, load_id, landed_at in current
            },
        )

    def _insert_rows(
        self, batch: ConformedBatch, dataset: DatasetContract, decision: LoadDecision
    ) -> int:
        """Insert the rows of the loads that are current; refuse if a row is missing or too many."""
        columns = ", ".join(column.name for column in dataset.raw_columns)
        inserted = self._insert_parquet(
            f"raw.{dataset.name}",
            columns,
            batch.parquet_location,
            "_load_id",
            [load.load_id for load in decision.current],
        )
        promised = sum(load.file.rows_conformed for load in decision.current)
        if inserted != promised:
            raise WarehouseError(
                f"Batch {batch.batch_id} promises {promised} rows for raw.{dataset.name} and "
                f"{batch.parquet_location} holds {inserted}; clear the conform task of this batch."
            )
        return inserted

    def _insert_quarantine(self, batch: ConformedBatch, decision: LoadDecision) -> int:
        return self._insert_parquet(
            "ops.quarantine",
            ", ".join(column.name for column in QUARANTINE.columns),
            batch.quarantine_location,
            "load_id",
            [load.load_id for load in decision.new],
        )

    def _insert_parquet(
        self, table: str, columns: str, location: str | None, id_column: str, load_ids: list[int]
    ) -> int:
        if location is None or not load_ids:
            return 0
        with self._lake.local_paths([location]) as [path]:
            [(inserted,)] = self._fetch(
                f"INSERT INTO {table} ({columns}) SELECT {columns} FROM read_parquet($path) "
                f"WHERE {id_column} IN (SELECT unnest($load_ids::BIGINT[]))",
                {"path": str(path), "load_ids": load_ids},
            )
        return inserted

    def _delete_rows(self, dataset: DatasetContract, decision: LoadDecision) -> int:
        if not decision.retired:
            return 0
        [(deleted,)] = self._fetch(
            f"DELETE FROM raw.{dataset.name} "
            "WHERE _load_id IN (SELECT unnest($load_ids::BIGINT[]))",
            {"load_ids": [retirement.load_id for retirement in decision.retired]},
        )
        return deleted

    def _retire(self, decision: LoadDecision, sequence: int, now: datetime) -> None:
        if not decision.retired:
            return
        columns = {
            "load_id": [retirement.load_id for retirement in decision.retired],
            "replaced_by": [retirement.replaced_by for retirement in decision.retired],
        }
        with self._view_of("retirements", **columns):
            self._connection.execute(
                "UPDATE ops.load_history SET is_current = false, retired_seq = $sequence, "
                "retired_at = $now, replaced_by = retirements.replaced_by "
                "FROM retirements WHERE load_history.load_id = retirements.load_id",
                {"sequence": sequence, "now": now},
            )

    def _write_ledger(
        self,
        batch: ConformedBatch,
        decision: LoadDecision,
        sequence: int,
        run_id: str,
        now: datetime,
    ) -> None:
        if not decision.new:
            return
        rows = [_ledger_row(batch, load, sequence, run_id, now) for load in decision.new]
        names = [column.name for column in LOAD_HISTORY.columns]
        columns = {name: [row[name] for row in rows] for name in names}
        with self._view_of("ledger_rows", **columns):
            listed = ", ".join(names)
            self._connection.execute(
                f"INSERT INTO ops.load_history ({listed}) SELECT {listed} FROM ledger_rows"
            )

    def _note_etags(self, batch: ConformedBatch) -> None:
        """Remember how the files look now, or every discovery would read them again."""
        if not batch.unchanged:
            return
        columns = {
            "load_id": [file.load_id for file in batch.unchanged],
            "etag": [file.etag for file in batch.unchanged],
        }
        with self._view_of("unchanged", **columns):
            self._connection.execute(
                "UPDATE ops.load_history SET etag = unchanged.etag FROM unchanged "
                "WHERE load_history.load_id = unchanged.load_id "
                "AND load_history.etag <> unchanged.etag"
            )

    def _fetch(
        self, statement: str, parameters: Mapping[str, object] | None = None
    ) -> list[tuple[Any, ...]]:
        return self._connection.execute(statement, parameters or {}).fetchall()

    @contextmanager
    def _view_of(self, name: str, **columns: Sequence[object]) -> Iterator[None]:
        """Python columns as a relation that SQL can read: row by row takes 300 times as long."""
        self._connection.register(name, pyarrow.table(columns))
        try:
            yield
        finally:
            self._connection.unregister(name)

    @contextmanager
    def _transaction(self, doing: str) -> Iterator[None]:
        with self._explained(doing):
            self._connection.execute("BEGIN")
            try:
                yield
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise
            self._connection.execute("COMMIT")

    @contextmanager
    def _explained(self, doing: str) -> Iterator[None]:
        try:
            yield
        except duckdb.Error as error:
            raise WarehouseError(explain_failure(self._path, doing, error)) from error


def _candidate(row: tuple[Any, ...]) -> tuple[str, Candidate]:
    contract, object_key, location, size_bytes, etag, raw_location, earlier_loads, latest = row
    return contract, Candidate(
        object_key=object_key,
        location=location,
        size_bytes=size_bytes,
        etag=etag,
        earlier_loads=earlier_loads,
        current=None if latest is None else KnownVersion(**latest),
        raw_location=raw_location,
    )


def _ledger_row(
    batch: ConformedBatch, load: NewLoad, sequence: int, run_id: str, now: datetime
) -> dict[str, object]:
    file, landed = load.file, load.file.landed
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
        "landed_at": _naive(landed.landed_at),
        "landed_on": landed.landed_on,
        "business_date_from": file.business_date_from,
        "business_date_to": file.business_date_to,
        "rows_read": file.rows_read,
        "rows_conformed": file.rows_conformed,
        "rows_quarantined": file.rows_quarantined,
        "rows_duplicate": file.rows_duplicate,
        "is_current": load.is_current,
        "loaded_seq": sequence,
        "retired_seq": None if load.is_current else sequence,
        "replaced_by": load.replaced_by,
        "run_id": run_id,
        "loaded_at": now,
        "retired_at": None if load.is_current else now,
        "raw_location": landed.raw_location,
        "parquet_location": batch.parquet_location,
        "same_as": None,
        "note": None,
        "missing_since": None,
    }


def _naive(moment: datetime) -> datetime:
    """UTC without its zone, as TIMESTAMP columns hold it."""
    return moment.astimezone(UTC).replace(tzinfo=None)
