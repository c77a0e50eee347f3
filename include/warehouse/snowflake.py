"""The warehouse of staging and prod: one database in Snowflake.

Loads take the lock row first, so they follow one another; Snowflake's own history of copied files
decides nothing. Rows come from the lake by COPY, never through the task's memory or disk.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar

from snowflake.connector.errors import Error

from include.contracts import DatasetContract, Dialect
from include.contracts.model import Column
from include.contracts.raw_tables import (
    LOAD_HISTORY,
    OPS_TABLES,
    PII_FINDINGS,
    QUARANTINE,
    SCHEMA_DRIFT,
    create_ops_tables,
    create_raw_tables,
)
from include.ingest.plan import (
    BatchLoad,
    Candidate,
    ConformedBatch,
    KnownVersion,
    RuleWarning,
)
from include.lake import Zone
from include.settings import SnowflakeSettings
from include.warehouse import schema
from include.warehouse import snowflake_queries as queries
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
from include.warehouse.ledger import CurrentLoad, LedgerView, LoadDecision, Original, decide
from include.warehouse.references import broken_references, refuse_outdated
from include.warehouse.rows import batch_load, drift_rows, ledger_row, naive, personal_rows
from include.warehouse.snowflake_session import explain_failure, session

if TYPE_CHECKING:
    from snowflake.connector import SnowflakeConnection

log = logging.getLogger(__name__)

T = TypeVar("T")

# Rows that are bound at a time: some 2 MB of JSON, of the 16 MB that a value may have.
_BOUND_AT_ONCE = 2_000
_FETCHED_AT_ONCE = 10_000

# deploy/snowflake makes both stages over the bucket of the lake, and the format.
_STAGES = {Zone.PROCESSED: "ops.processed_data", Zone.QUARANTINE: "ops.quarantine_data"}
_FILE_FORMAT = "ops.parquet_rows"


@contextmanager
def opened(settings: SnowflakeSettings) -> Iterator[SnowflakeWarehouse]:
    """The database in a session of its own, until the block ends. Raises WarehouseError."""
    with session(settings) as connection:
        yield SnowflakeWarehouse(connection, settings)


class SnowflakeWarehouse:
    """See `include.warehouse.base.Warehouse`."""

    def __init__(self, connection: SnowflakeConnection, settings: SnowflakeSettings) -> None:
        self._connection = connection
        self._settings = settings

    def ensure_schema(self, datasets: Iterable[DatasetContract]) -> None:
        # Only what is missing is created: the loader's role owns its tables, and needs no right to
        # make schemas where deploy/snowflake has made them.
        datasets = tuple(datasets)
        raw = self._settings.load_schema
        with self._explained("creating its tables"):
            self._create_schemas(raw)
            if created := [*self._missing_tables(datasets, raw)]:
                for statement in created:
                    self._execute(statement)
            for statement in schema.additions(datasets, self._columns(raw), Dialect.SNOWFLAKE, raw):
                self._execute(statement)
            if not self._fetch(queries.LEDGER_SEQ):
                self._execute(schema.INSERT_LOCK_ROW)

    def new_versions(self, listed: Iterable[ListedFile]) -> Iterator[tuple[str, Candidate]]:
        for chunk in _chunks(listed):
            rows = [file._asdict() for file in chunk]
            with self._explained("comparing files with the ledger"):
                found = self._fetch(queries.COMPARE, _json(rows))
            yield from map(_candidate, found)

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
            self._settle(batch, decision, sequence, run_id, now)
            self._note_etags(batch)
        return batch_load(batch, decision, sequence, rows_loaded, rows_retired, rows_quarantined)

    def check(self, dataset: str, load_ids: Sequence[int], run_id: str) -> list[Imbalance]:
        now = naive(datetime.now(UTC))
        statement = queries.CHECK.format(
            dataset=dataset, raw_schema=self._settings.load_schema, load_ids=queries.LOAD_IDS
        )
        with self._transaction("checking the loads"):
            self._execute(queries.FORGET_CHECKS, run_id, _json(load_ids))
            self._execute(statement, _json(load_ids), run_id, now)
            rows = self._fetch(queries.IMBALANCES, run_id, _json(load_ids))
        return [Imbalance(*row) for row in rows]

    def current_files(self, source_contracts: Sequence[str]) -> Iterator[CurrentFile]:
        contracts = [{"source_contract": contract} for contract in source_contracts]
        rows = self._stream(queries.CURRENT_FILES, _json(contracts))
        return (CurrentFile(*row) for row in rows)

    def note_missing(
        self, gone: Sequence[CurrentFile], returned: Sequence[CurrentFile], now: datetime
    ) -> None:
        with self._transaction("noting removed files"):
            for files, missing_since in ((gone, naive(now)), (returned, None)):
                for chunk in _chunks(files):
                    names = [
                        {"source_contract": file.source_contract, "object_key": file.object_key}
                        for file in chunk
                    ]
                    self._execute(queries.NOTE_MISSING, missing_since, _json(names))

    def note_unread(self, files: Iterable[UnreadFile], run_id: str, now: datetime) -> None:
        seen = naive(now)
        with self._transaction("noting unread files"):
            for chunk in _chunks(files):
                rows = _json(
                    [{"object_key": file.object_key, "reason": file.reason} for file in chunk]
                )
                self._execute(queries.SEE_UNREAD, seen, rows)
                self._execute(queries.ADD_UNREAD, seen, seen, run_id, rows)
            self._execute(queries.RESOLVE_UNREAD, seen, run_id, seen)

    def replayable(self, selection: ReplaySelection) -> Iterator[tuple[str, Candidate]]:
        rows = self._stream(
            queries.REPLAYABLE,
            selection.source,
            selection.object_key,
            selection.text_in_reasons,
            selection.contract_version,
            selection.first_day,
            selection.last_day,
            bool(selection.awaited),
            _json([{"dataset": dataset} for dataset in selection.awaited]),
        )
        return map(_candidate, rows)

    def covered_days(self, first_day: date, last_day: date) -> list[Coverage]:
        with self._explained("reading the ledger"):
            rows = self._fetch(queries.COVERED, last_day, first_day)
        return [Coverage(*row) for row in rows]

    def totals(self, load_ids: Sequence[int]) -> LoadTotals:
        with self._explained("adding up the loads"):
            [sums] = self._fetch(queries.TOTALS, _json(load_ids))
            quarantined = self._fetch(queries.QUARANTINED, _json(load_ids))
        return LoadTotals(
            *map(int, sums), quarantined={reason: int(count) for reason, count in quarantined}
        )

    def unknown_locations(self, locations: Sequence[str]) -> list[str]:
        unknown: list[str] = []
        for chunk in _chunks(locations):
            rows = [{"location": location} for location in chunk]
            with self._explained("looking for orphans"):
                found = self._fetch(queries.UNKNOWN_LOCATIONS, _json(rows))
            unknown += [location for (location,) in found]
        return unknown

    def _create_schemas(self, raw: str) -> None:
        present = {name for (name,) in self._fetch(queries.SCHEMAS)}
        for name in (raw, schema.OPS_SCHEMA):
            if name.lower() not in present:
                self._execute(f"CREATE SCHEMA IF NOT EXISTS {name}")

    def _missing_tables(self, datasets: Sequence[DatasetContract], raw: str) -> Iterator[str]:
        present = self._columns(raw)
        for dataset in datasets:
            if (raw, dataset.name) not in present:
                [statement] = create_raw_tables([dataset], Dialect.SNOWFLAKE, raw)
                # Raw rows can be loaded again from the lake: no days of fail-safe are paid for.
                yield statement.replace("CREATE TABLE", "CREATE TRANSIENT TABLE", 1)
        statements = create_ops_tables(Dialect.SNOWFLAKE, schema.OPS_SCHEMA)
        for table, statement in zip(OPS_TABLES, statements, strict=True):
            if (schema.OPS_SCHEMA, table.name) not in present:
                yield statement

    def _columns(self, raw: str) -> Mapping[tuple[str, str], frozenset[str]]:
        written = {raw.lower(): raw, schema.OPS_SCHEMA: schema.OPS_SCHEMA}
        columns: dict[tuple[str, str], set[str]] = {}
        for schema_name, table, column in self._fetch(queries.COLUMNS, raw, schema.OPS_SCHEMA):
            columns.setdefault((written[schema_name], table), set()).add(column)
        return {table: frozenset(names) for table, names in columns.items()}

    def _take_lock(self, run_id: str, now: datetime) -> int:
        self._execute(queries.TAKE_LOCK, run_id, now)
        [(sequence,)] = self._fetch(queries.LEDGER_SEQ)
        return int(sequence)

    def _view(self, batch: ConformedBatch) -> LedgerView:
        known: set[int] = set()
        current: dict[str, CurrentLoad] = {}
        versions: dict[str, int] = {}
        originals: dict[str, list[Original]] = {}
        contract = batch.source_contract
        for files in _chunks(file.landed for file in batch.files):
            ids = _json([file.load_id for file in files])
            known.update(load_id for (load_id,) in self._fetch(queries.KNOWN, ids))
            keys = _json([{"object_key": file.object_key} for file in files])
            for key, load_id, landed_at, raw in self._fetch(queries.CURRENT, contract, keys):
                current[key] = CurrentLoad(load_id, landed_at.replace(tzinfo=UTC))
                versions[raw] = load_id
            contents = _json([{"checksum": file.checksum} for file in files])
            for checksum, load_id, key in self._fetch(queries.ORIGINALS, contract, contents):
                originals.setdefault(checksum, []).append(Original(load_id, key))
        return LedgerView(frozenset(known), current, versions, originals)

    def _insert_rows(
        self, batch: ConformedBatch, dataset: DatasetContract, decision: LoadDecision
    ) -> int:
        """Insert the rows of the loads that are current; refuse if a row is missing or too many."""
        inserted = self._insert_file(
            f"{self._settings.load_schema}.{dataset.name}",
            dataset.raw_columns,
            batch.parquet_location,
            "_load_id",
            [load.load_id for load in decision.loaded],
            is_whole=len(decision.loaded) == len(batch.files),
        )
        promised = sum(load.file.rows_conformed for load in decision.loaded)
        if inserted != promised:
            raise WarehouseError(
                f"Batch {batch.batch_id} promises {promised} rows for {dataset.name} and "
                f"{batch.parquet_location} gave {inserted}; clear the conform task of this batch."
            )
        return inserted

    def _insert_quarantine(self, batch: ConformedBatch, decision: LoadDecision) -> int:
        return self._insert_file(
            "ops.quarantine",
            QUARANTINE.columns,
            batch.quarantine_location,
            "load_id",
            [load.load_id for load in decision.rejecting],
            is_whole=len(decision.rejecting) == len(batch.files),
        )

    def _insert_file(
        self,
        table: str,
        columns: Sequence[Column],
        location: str | None,
        id_column: str,
        load_ids: Sequence[int],
        *,
        is_whole: bool,
    ) -> int:
        if location is None or not load_ids:
            return 0
        stage, file = _staged(location)
        if not is_whole:
            statement = queries.insert_part_of_file(
                table, columns, stage, file, _FILE_FORMAT, id_column
            )
            return self._execute(statement, _json(load_ids))
        copied = self._fetch(queries.copy_file(table, columns, stage, file, _FILE_FORMAT))
        # One row for each file: its name, its status, rows parsed, rows loaded, and more. A file
        # that is not there gives one row of one column.
        return sum(int(row[3]) for row in copied if len(row) > 3)

    def _delete_rows(self, dataset: DatasetContract, decision: LoadDecision) -> int:
        if not decision.retired:
            return 0
        return self._execute(
            f"DELETE FROM {self._settings.load_schema}.{dataset.name} "
            f"WHERE _load_id IN ({queries.LOAD_IDS})",
            _json([retirement.load_id for retirement in decision.retired]),
        )

    def _judge_references(
        self, batch: ConformedBatch, decision: LoadDecision, sequence: int
    ) -> Mapping[int, Sequence[RuleWarning]]:
        loaded = _json([load.load_id for load in decision.loaded])
        return broken_references(
            batch,
            self._settings.load_schema,
            queries.LOAD_IDS,
            lambda statement: self._fetch(statement, loaded),
            sequence,
        )

    def _retire(self, decision: LoadDecision, sequence: int, now: datetime) -> None:
        for chunk in _chunks(decision.retired):
            rows = [
                {"load_id": retirement.load_id, "replaced_by": retirement.replaced_by}
                for retirement in chunk
            ]
            self._execute(queries.RETIRE, sequence, now, _json(rows))

    def _write_ledger(
        self,
        batch: ConformedBatch,
        decision: LoadDecision,
        sequence: int,
        run_id: str,
        now: datetime,
        unreferenced: Mapping[int, Sequence[RuleWarning]],
    ) -> None:
        loads = [
            ledger_row(batch, load, sequence, run_id, now, unreferenced.get(load.load_id, ()))
            for load in decision.new
        ]
        drift = [row for load in decision.new for row in drift_rows(batch, load, run_id, now)]
        personal = [row for load in decision.new for row in personal_rows(batch, load, run_id, now)]
        for table, rows in ((LOAD_HISTORY, loads), (SCHEMA_DRIFT, drift), (PII_FINDINGS, personal)):
            statement = queries.insert_rows(f"ops.{table.name}", table.columns)
            for chunk in _chunks(rows):
                self._execute(statement, _json(chunk))

    def _settle(
        self,
        batch: ConformedBatch,
        decision: LoadDecision,
        sequence: int,
        run_id: str,
        now: datetime,
    ) -> None:
        """Mark rejections that a new load resolved, and copies whose original has gone."""
        for chunk in _chunks(decision.new):
            keys = _json([{"object_key": load.file.landed.object_key} for load in chunk])
            self._execute(queries.RESOLVE, run_id, now, batch.source_contract, keys)
        if decision.retired:
            retired = _json([retirement.load_id for retirement in decision.retired])
            self._execute(queries.FOLLOW_ORIGINALS, retired)
            self._execute(queries.RETURN_COPIES, sequence, now, retired)

    def _note_etags(self, batch: ConformedBatch) -> None:
        """Remember how the files look now, or every discovery would read them again."""
        for chunk in _chunks(batch.unchanged):
            rows = [{"load_id": file.load_id, "etag": file.etag} for file in chunk]
            self._execute(queries.NOTE_ETAGS, _json(rows))

    def _execute(self, statement: str, *values: object) -> int:
        """Run a statement; returns the number of rows that it changed."""
        with self._connection.cursor() as cursor:
            cursor.execute(statement, _bound(values))
            return cursor.rowcount or 0

    def _fetch(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        with self._connection.cursor() as cursor:
            return cursor.execute(statement, _bound(values)).fetchall()

    def _stream(self, statement: str, *values: object) -> Iterator[tuple[Any, ...]]:
        """The rows of a result of any size."""
        with self._explained("reading the ledger"), self._connection.cursor() as cursor:
            cursor.execute(statement, _bound(values))
            while rows := cursor.fetchmany(_FETCHED_AT_ONCE):
                yield from rows

    @contextmanager
    def _transaction(self, doing: str) -> Iterator[None]:
        with self._explained(doing):
            self._execute("BEGIN TRANSACTION")
            try:
                yield
            except BaseException:
                self._roll_back()
                raise
            self._execute("COMMIT")

    def _roll_back(self) -> None:
        try:
            self._execute("ROLLBACK")
        except Error as error:
            # The session's end rolls back too; what is raised is why it came to this.
            log.warning("The transaction could not be rolled back (error %s).", error.errno)

    @contextmanager
    def _explained(self, doing: str) -> Iterator[None]:
        try:
            yield
        except Error as error:
            raise WarehouseError(explain_failure(self._settings, doing, error)) from error


def _chunks(rows: Iterable[T]) -> Iterator[tuple[T, ...]]:
    remaining = iter(rows)
    while chunk := tuple(islice(remaining, _BOUND_AT_ONCE)):
        yield chunk


def _staged(location: str) -> tuple[str, str]:
    """The stage of a lake key and the file's name in it."""
    zone, _, file = location.partition("/")
    return _STAGES[Zone(zone)], file


def _json(rows: Iterable[object]) -> str:
    # Text for what JSON has no type for; load ids too, lest a parser takes them for floats.
    return json.dumps([_texts(row) for row in rows], default=str, ensure_ascii=False)


def _texts(row: object) -> object:
    if isinstance(row, Mapping):
        return {name: _texts(value) for name, value in row.items()}
    if isinstance(row, datetime) and row.tzinfo is not None:
        return naive(row)
    is_number = isinstance(row, int) and not isinstance(row, bool)
    return str(row) if is_number else row


def _bound(values: Iterable[object]) -> list[str | None]:
    """Values as text: the statements say what they are cast to."""
    return [None if value is None else str(value) for value in values]


def _candidate(row: tuple[Any, ...]) -> tuple[str, Candidate]:
    contract, object_key, location, size_bytes, etag, raw_location = row[:6]
    earlier_loads, landed_at, modified_at = row[6:9]
    load_id, checksum, latest_etag, generation, fingerprint = row[9:]
    current = None
    if load_id is not None:
        current = KnownVersion(
            load_id=load_id,
            checksum=checksum,
            etag=latest_etag,
            generation=generation,
            contract_fingerprint=fingerprint,
        )
    return contract, Candidate(
        object_key=object_key,
        location=location,
        size_bytes=size_bytes,
        etag=etag,
        earlier_loads=earlier_loads,
        current=current,
        raw_location=raw_location,
        landed_at=landed_at and landed_at.replace(tzinfo=UTC),
        modified_at=modified_at and modified_at.replace(tzinfo=UTC),
    )
