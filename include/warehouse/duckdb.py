"""The warehouse of a laptop: one DuckDB file.

One process may have the file open, readers included; the pool ``warehouse`` (one slot) keeps
Airflow's tasks apart, and opening waits for anyone else.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime
from itertools import islice
from pathlib import Path
from typing import Any

import duckdb
import pyarrow

from include.contracts import DatasetContract, Dialect
from include.contracts.raw_tables import (
    LOAD_HISTORY,
    PII_FINDINGS,
    QUARANTINE,
    SCHEMA_DRIFT,
    Table,
)
from include.ingest.plan import (
    BatchLoad,
    Candidate,
    ConformedBatch,
    KnownVersion,
    RuleWarning,
)
from include.lake import Lake
from include.warehouse import duckdb_queries as queries
from include.warehouse import schema
from include.warehouse.base import (
    Coverage,
    CurrentFile,
    Imbalance,
    ListedFile,
    LoadTotals,
    ReplaySelection,
    UnreadFile,
    WarehouseError,
)
from include.warehouse.duckdb_file import connect, explain_failure
from include.warehouse.ledger import CurrentLoad, LedgerView, LoadDecision, Original, decide
from include.warehouse.references import broken_references, refuse_outdated
from include.warehouse.rows import batch_load, drift_rows, ledger_row, naive, personal_rows

# Listed files that are compared with the ledger at a time: some 5 MB of names.
_COMPARED_AT_ONCE = 20_000
_FETCHED_AT_ONCE = 10_000


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
            for statement in schema.class_comments(datasets, self._comments()):
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
        now = naive(datetime.now(UTC))
        with self._transaction(f"loading batch {batch.batch_id}"):
            sequence = self._take_lock(run_id, now)
            decision = decide(batch, dataset.load_mode, self._view(batch))
            refuse_outdated(batch, decision, sequence)
            rows_loaded = self._insert_rows(batch, dataset, decision)
            rows_retired = self._delete_rows(dataset, decision)
            unreferenced = self._judge_references(batch, decision, sequence)
            rows_quarantined = self._insert_quarantine(batch, decision)
            self._retire(decision, sequence, now)
            self._write_ledger(batch, decision, sequence, run_id, now, unreferenced)
            self._write_noticed(batch, decision, run_id, now)
            self._settle(batch, decision, sequence, run_id, now)
            self._note_etags(batch)
        return batch_load(batch, decision, sequence, rows_loaded, rows_retired, rows_quarantined)

    def check(self, dataset: str, load_ids: Sequence[int], run_id: str) -> list[Imbalance]:
        now = naive(datetime.now(UTC))
        with self._transaction("checking the loads"):
            self._connection.execute(
                "DELETE FROM ops.load_checks WHERE run_id = $run_id "
                "AND load_id IN (SELECT unnest($load_ids::BIGINT[]))",
                {"run_id": run_id, "load_ids": load_ids},
            )
            self._connection.execute(
                queries.CHECK.format(dataset=dataset),
                {"run_id": run_id, "now": now, "load_ids": load_ids},
            )
            rows = self._fetch(queries.IMBALANCES, {"run_id": run_id, "load_ids": load_ids})
        return [Imbalance(*row) for row in rows]

    def current_files(self, source_contracts: Sequence[str]) -> Iterator[CurrentFile]:
        rows = self._stream(queries.CURRENT_FILES, {"contracts": list(source_contracts)})
        return (CurrentFile(*row) for row in rows)

    def note_missing(
        self, gone: Sequence[CurrentFile], returned: Sequence[CurrentFile], now: datetime
    ) -> None:
        with self._transaction("noting removed files"):
            for files, missing_since in ((gone, naive(now)), (returned, None)):
                columns = {
                    "source_contract": [file.source_contract for file in files],
                    "object_key": [file.object_key for file in files],
                }
                with self._view_of("noted", **columns):
                    self._connection.execute(
                        "UPDATE ops.load_history SET missing_since = $missing_since FROM noted "
                        "WHERE load_history.source_contract = noted.source_contract "
                        "AND load_history.object_key = noted.object_key AND is_current",
                        {"missing_since": missing_since},
                    )

    def note_unread(self, files: Iterable[UnreadFile], run_id: str, now: datetime) -> None:
        look = {"now": naive(now), "run_id": run_id}
        remaining = iter(files)
        with self._transaction("noting unread files"):
            while chunk := tuple(islice(remaining, _COMPARED_AT_ONCE)):
                columns = {
                    name: [getattr(file, name) for file in chunk] for name in UnreadFile.__slots__
                }
                with self._view_of("unread", **columns):
                    self._connection.execute(queries.SEE_UNREAD, {"now": look["now"]})
                    self._connection.execute(queries.ADD_UNREAD, look)
            self._connection.execute(queries.RESOLVE_UNREAD, look)

    def replayable(self, selection: ReplaySelection) -> Iterator[tuple[str, Candidate]]:
        rows = self._stream(
            queries.REPLAYABLE,
            {
                "source": selection.source,
                "object_key": selection.object_key,
                "text_in_reasons": selection.text_in_reasons,
                "contract_version": selection.contract_version,
                "first_day": selection.first_day,
                "last_day": selection.last_day,
                "awaited": list(selection.awaited),
            },
        )
        return map(_candidate, rows)

    def covered_days(self, first_day: date, last_day: date) -> list[Coverage]:
        with self._explained("reading the ledger"):
            rows = self._fetch(queries.COVERED, {"first_day": first_day, "last_day": last_day})
        return [Coverage(*row) for row in rows]

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

    def _comments(self) -> Mapping[tuple[str, str], str | None]:
        rows = self._fetch(
            "SELECT table_name, column_name, comment FROM duckdb_columns() "
            "WHERE schema_name = 'raw'"
        )
        return {(table, column): comment for table, column, comment in rows}

    def _compare(self, listed: Sequence[ListedFile]) -> list[tuple[Any, ...]]:
        columns = dict(zip(ListedFile._fields, map(list, zip(*listed, strict=True)), strict=True))
        columns["modified_at"] = [each and naive(each) for each in columns["modified_at"]]
        with self._view_of("listed", **columns):
            return self._fetch(queries.COMPARE)

    def _stream(
        self, statement: str, parameters: Mapping[str, object]
    ) -> Iterator[tuple[Any, ...]]:
        """The rows of a result of any size; nothing else may use the connection meanwhile."""
        with self._explained("reading the ledger"):
            result = self._connection.execute(statement, parameters)
            while rows := result.fetchmany(_FETCHED_AT_ONCE):
                yield from rows

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
            "checksum": [file.checksum for file in landed],
        }
        contract = {"source_contract": batch.source_contract}
        with self._view_of("batch_files", **columns):
            known = self._fetch(
                "SELECT load_id FROM ops.load_history SEMI JOIN batch_files USING (load_id)"
            )
            current = self._fetch(queries.CURRENT, contract)
            copied = self._fetch(queries.ORIGINALS, contract)
        originals: dict[str, list[Original]] = {}
        for checksum, load_id, object_key in copied:
            originals.setdefault(checksum, []).append(Original(load_id, object_key))
        return LedgerView(
            known=frozenset(load_id for (load_id,) in known),
            current={
                key: CurrentLoad(load_id, landed_at.replace(tzinfo=UTC))
                for key, load_id, landed_at, _ in current
            },
            versions={raw_location: load_id for _, load_id, _, raw_location in current},
            originals=originals,
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
            [load.load_id for load in decision.loaded],
        )
        promised = sum(load.file.rows_conformed for load in decision.loaded)
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
            [load.load_id for load in decision.rejecting],
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

    def _judge_references(
        self, batch: ConformedBatch, decision: LoadDecision, sequence: int
    ) -> Mapping[int, Sequence[RuleWarning]]:
        loaded = {"load_ids": [load.load_id for load in decision.loaded]}
        return broken_references(
            batch,
            schema.RAW_SCHEMA,
            "SELECT unnest($load_ids::BIGINT[])",
            lambda statement: self._fetch(statement, loaded),
            sequence,
        )

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
        unreferenced: Mapping[int, Sequence[RuleWarning]],
    ) -> None:
        if not decision.new:
            return
        rows = [
            ledger_row(batch, load, sequence, run_id, now, unreferenced.get(load.load_id, ()))
            for load in decision.new
        ]
        self._insert(LOAD_HISTORY, rows)

    def _write_noticed(
        self, batch: ConformedBatch, decision: LoadDecision, run_id: str, now: datetime
    ) -> None:
        for table, rows_of in ((SCHEMA_DRIFT, drift_rows), (PII_FINDINGS, personal_rows)):
            rows = [row for load in decision.new for row in rows_of(batch, load, run_id, now)]
            if rows:
                self._insert(table, rows)

    def _insert(self, table: Table, rows: Sequence[Mapping[str, object]]) -> None:
        names = [column.name for column in table.columns]
        columns = {name: [row[name] for row in rows] for name in names}
        with self._view_of("new_rows", **columns):
            listed = ", ".join(names)
            self._connection.execute(
                f"INSERT INTO ops.{table.name} ({listed}) SELECT {listed} FROM new_rows"
            )

    def _settle(
        self,
        batch: ConformedBatch,
        decision: LoadDecision,
        sequence: int,
        run_id: str,
        now: datetime,
    ) -> None:
        """Mark rejections that a new load resolved, and copies whose original has gone."""
        if not decision.new:
            return
        columns = {"object_key": [load.file.landed.object_key for load in decision.new]}
        with self._view_of("batch_files", **columns):
            self._connection.execute(
                queries.RESOLVE,
                {"source_contract": batch.source_contract, "run_id": run_id, "now": now},
            )
        if decision.retired:
            retired = {"retired": [retirement.load_id for retirement in decision.retired]}
            self._connection.execute(queries.FOLLOW_ORIGINALS, retired)
            self._connection.execute(
                queries.RETURN_COPIES, retired | {"sequence": sequence, "now": now}
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
    contract, object_key, location, size_bytes, etag, raw_location, earlier_loads, latest = row[:8]
    landed_at, modified_at = row[8:]
    return contract, Candidate(
        object_key=object_key,
        location=location,
        size_bytes=size_bytes,
        etag=etag,
        earlier_loads=earlier_loads,
        current=None if latest is None else KnownVersion(**latest),
        raw_location=raw_location,
        landed_at=landed_at and landed_at.replace(tzinfo=UTC),
        modified_at=modified_at and modified_at.replace(tzinfo=UTC),
    )
