"""The sink Iceberg: a mart as an Iceberg table, of which each publication is one snapshot.

A commit replaces the table's metadata as a whole, so readers see a snapshot or the one before. The
snapshot's summary names the version of the mart that it holds:

- **Nothing has changed**: the current snapshot has the mart's version, so nothing is written.
- **First time, or another layout**: schema and partitions are brought to the mart's, and all rows
  are written anew, in one commit. Columns that stay keep their field ids, so that the snapshots of
  before can be read.
- **Afterwards**: the rows that differ from the version file (see versions.py) are appended. Files
  that hold former values of changed rows, or rows that are gone, are written again without them
  (copy on write: a reader such as R2 SQL need not know of delete files).

Killed anywhere, the table is as before, for a commit has happened or not; files without a commit
are deleted by maintenance (iceberg_maintenance.py). Of two publishers at once the catalog refuses
the second one's commit.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import pyarrow as pa
from pyiceberg.manifest import DataFile
from pyiceberg.table import FileScanTask, Table, Transaction
from pyiceberg.table.metadata import TableMetadata

from include.cloudflare.iceberg import CommitUnknownError, IcebergCatalog, explained
from include.publish.digests import RowDigests, short_digest
from include.publish.iceberg_files import (
    BATCH_ROWS,
    DataFileWriter,
    current_files,
    read_file,
    written_beside,
)
from include.publish.iceberg_schema import IcebergTable, iceberg_table
from include.publish.marts import MartReader, PublishError
from include.publish.outcome import Outcome
from include.publish.spec import IcebergSpec, PublishedMart, Sink
from include.publish.versions import PublishedVersions

log = logging.getLogger(__name__)

# Of a change; from there on everything is written anew, for its keys would not fit into memory.
CHANGE_ROWS = 500_000

# Properties in the summary of a snapshot.
VERSION = "vending.version"
LAYOUT = "vending.layout"


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What a snapshot holds, as its summary says."""

    version: str
    layout: str

    @property
    def properties(self) -> dict[str, str]:
        return {VERSION: self.version, LAYOUT: self.layout}


class IcebergSink:
    """Publishes one mart."""

    def __init__(
        self,
        reader: MartReader,
        mart: PublishedMart,
        spec: IcebergSpec,
        catalog: IcebergCatalog,
        versions: PublishedVersions,
    ) -> None:
        self._reader = reader
        self._mart = mart
        self._shape = iceberg_table(mart, spec)
        self._layout = short_digest(self._shape.layout)
        self._catalog = catalog
        self._versions = versions
        self._rows = mart_rows(reader, mart, self._shape)
        self.digests = mart_digests(reader, mart, self._shape)

    def publish(self) -> Outcome:
        """Bring the table to the mart's rows.

        Raises PublishError for rows that cannot be told apart, CloudflareError if the catalog
        refuses or somebody else commits meanwhile.
        """
        path = self._reader.scratch / f"{uuid4().hex}.parquet"
        self.digests.write(path)
        rows = self.digests.require_keys(path, self._mart.name, Sink.ICEBERG, self._shape.key)
        wanted = Snapshot(self.digests.version(path, self._layout), self._layout)
        table = self._catalog.load(self._mart.name)
        published = None if table is None else current_snapshot(table)
        if published is not None and published.version == wanted.version:
            if not self._versions.has(wanted.version):
                self._versions.keep(wanted.version, path)
            outcome = self._outcome(wanted, rows, "unchanged")
        else:
            outcome = self._bring(table, published, wanted, rows, path)
        self._versions.drop_all_but({wanted.version})
        return outcome

    def _bring(
        self,
        table: Table | None,
        published: Snapshot | None,
        wanted: Snapshot,
        rows: int,
        path: Path,
    ) -> Outcome:
        if table is None:
            table = self._catalog.create(self._mart.name, self._shape.schema)
        follows = published if published and self._can_follow(published) else None
        if follows is not None:
            with self._versions.lake.local_paths([self._versions.key(follows.version)]) as (old,):
                self.digests.compare(old, path)
            if max(self.digests.counted("upserts"), self.digests.counted("stale")) > CHANGE_ROWS:
                follows = None
        # Before the commit, so that whatever version the table has, its file is there.
        self._versions.keep(wanted.version, path)
        if follows is None:
            files = self._replace(table, wanted)
            return self._outcome(wanted, rows, "replaced", rows, 0, files)
        files = self._change(table, wanted)
        upserts, gone = self.digests.counted("upserts"), self.digests.counted("gone")
        return self._outcome(wanted, rows, "changed", upserts, gone, files)

    def _can_follow(self, published: Snapshot) -> bool:
        return published.layout == self._layout and self._versions.has(published.version)

    # ---- everything

    def _replace(self, table: Table, wanted: Snapshot) -> int:
        transaction = table.transaction()
        with explained(f"change {self._mart.name}"):
            _evolve(transaction, self._shape)
            left = [task.file for task in current_files(table)]
            files = list(self._write(table, transaction.table_metadata, "true"))
        return self._commit(table, transaction, wanted, left, files)

    # ---- what changed

    def _change(self, table: Table, wanted: Snapshot) -> int:
        transaction = table.transaction()
        changed = f"{self._shape.row_key} IN (SELECT key FROM upserts)"
        with explained(f"change {self._mart.name}"):
            files = list(self._write(table, table.metadata, changed))
            left = []
            for task in self._files_of_stale_rows(table):
                left.append(task.file)
                files += self._write_again(table, task)
        return self._commit(table, transaction, wanted, left, files)

    def _files_of_stale_rows(self, table: Table) -> Iterator[FileScanTask]:
        """The files with rows that changed or are gone, found by partition and then by key."""
        if self.digests.counted("stale") == 0:
            return
        partitions = [
            key.partition
            for values in self._partitions("stale", ())
            if (key := self._shape.partition_key(table.metadata, values)) is not None
        ]
        is_stale = f"{self._shape.row_key} IN (SELECT key FROM stale)"
        for task in current_files(table):
            if partitions and task.file.partition not in partitions:
                continue
            rows = read_file(table, task, self._shape.key)
            found = self._query_file(rows, f"SELECT 1 FROM file_rows WHERE {is_stale} LIMIT 1")
            if found.num_rows:
                yield task

    def _write_again(self, table: Table, task: FileScanTask) -> Iterator[DataFile]:
        """Write what a file holds beside stale rows."""
        kept = self._query_file(
            read_file(table, task, table.schema().column_names),
            f"SELECT * FROM file_rows WHERE NOT ({self._shape.row_key} IN (SELECT key FROM stale))",
        )
        return written_beside(table, task.file, [kept])

    def _query_file(self, rows: pa.Table, query: str) -> pa.Table:
        self._reader.connection.register("file_rows", rows)
        try:
            return self._reader.connection.execute(query).to_arrow_table()
        finally:
            self._reader.connection.unregister("file_rows")

    # ---- both

    def _write(self, table: Table, metadata: TableMetadata, condition: str) -> Iterator[DataFile]:
        """Write the mart's rows that meet a condition, one partition after the other."""
        writer = DataFileWriter(table.io, metadata)
        source = f"(SELECT * FROM {self._rows} WHERE {condition})"
        values = self._shape.partition_values
        for found in self._partitions(source, tuple(sql for _, sql in values)):
            partition = " AND ".join(
                ["true", *(f"{sql} IS NOT DISTINCT FROM ?" for _, sql in values)]
            )
            # A cursor of its own: results are read while other statements of the reader run.
            with self._reader.connection.cursor() as cursor:
                cursor.execute(f"SELECT * FROM {source} WHERE {partition}", list(found))
                batches = cursor.to_arrow_reader(BATCH_ROWS)
                yield from writer.write(batches, self._shape.partition_key(metadata, found))

    def _partitions(self, source: str, values: tuple[str, ...]) -> list[tuple[Any, ...]]:
        """The partitions of rows, as `partition_key` takes them; one without values if unparted."""
        if not self._shape.partition:
            return [()]
        selected = values or tuple(name for name, _ in self._shape.partition_values)
        return self._reader.connection.execute(
            f"SELECT DISTINCT {', '.join(selected)} FROM {source} ORDER BY ALL"
        ).fetchall()

    def _commit(
        self,
        table: Table,
        transaction: Transaction,
        wanted: Snapshot,
        left: list[DataFile],
        files: list[DataFile],
    ) -> int:
        try:
            with explained(f"commit {self._mart.name}"):
                change_files(transaction, wanted.properties, left, files)
                transaction.commit_transaction()
        except CommitUnknownError:
            now = self._catalog.load(self._mart.name)
            if now is None or current_snapshot(now) != wanted:
                raise
        return len(files)

    def _outcome(
        self, wanted: Snapshot, rows: int, how: str, sent: int = 0, gone: int = 0, files: int = 0
    ) -> Outcome:
        return Outcome(
            self._mart.name,
            Sink.ICEBERG,
            wanted.version,
            rows,
            how=how,
            upserted=sent,
            deleted=gone,
            written=files,
        )


def mart_rows(reader: MartReader, mart: PublishedMart, shape: IcebergTable) -> str:
    """The mart's rows as the table's types, in SQL."""
    return f"(SELECT {shape.select_list} FROM {reader.relation(mart)})"


def mart_digests(reader: MartReader, mart: PublishedMart, shape: IcebergTable) -> RowDigests:
    rows = mart_rows(reader, mart, shape)
    return RowDigests(reader, rows, shape.row_key, shape.row, shape.partition_values)


def current_snapshot(table: Table) -> Snapshot | None:
    """The version that readers see; None if there is none, or somebody else wrote the table."""
    snapshot = table.current_snapshot()
    if snapshot is None or snapshot.summary is None:
        return None
    version, layout = snapshot.summary.get(VERSION), snapshot.summary.get(LAYOUT)
    return Snapshot(version, layout) if version and layout else None


def change_files(
    transaction: Transaction,
    properties: dict[str, str],
    left: list[DataFile],
    files: list[DataFile],
) -> None:
    """Make a snapshot in which some files are left out and some are new."""
    update = transaction.update_snapshot(snapshot_properties=properties)
    with update.overwrite() if left or not files else update.merge_append() as snapshot:
        for file in left:
            snapshot.delete_data_file(file)
        for file in files:
            snapshot.append_data_file(file)


def _evolve(transaction: Transaction, shape: IcebergTable) -> None:
    """Bring schema and partitions to the mart's. All rows are written anew in the same commit."""
    _evolve_schema(transaction, shape)
    metadata = transaction.table_metadata
    if not shape.has_partitions_of(metadata.spec(), metadata.schema()):
        with transaction.update_spec() as spec:
            for field in metadata.spec().fields:
                spec.remove_field(field.name)
            for column, transform in shape.partition:
                spec.add_field(column, transform.value)


def _evolve_schema(transaction: Transaction, shape: IcebergTable) -> None:
    metadata = transaction.table_metadata
    existing = {field.name: field for field in metadata.schema().fields}
    wanted = {field.name: field for field in shape.schema.fields}
    kept = {
        name
        for name, field in existing.items()
        if name in wanted and wanted[name].field_type == field.field_type
    }
    _refuse_to_lose_partitions(metadata, shape.name, existing.keys() - kept)
    # A required column, or one of another type, is nothing that old files have; none of them stays.
    with transaction.update_schema(allow_incompatible_changes=True) as update:
        for name in existing.keys() - kept:
            update.delete_column(name)
        for name, field in wanted.items():
            if name in kept:
                update.update_column(name, required=field.required)
            else:
                update.add_column(name, field.field_type, required=field.required)
        update.set_identifier_fields(*shape.key)


def _refuse_to_lose_partitions(metadata: TableMetadata, mart: str, lost: Collection[str]) -> None:
    """Files that are parted by a column cannot be told apart in a commit without it (pyiceberg)."""
    for spec in metadata.specs().values():
        for field in spec.fields:
            column = metadata.schema().find_column_name(field.source_id)
            if column in lost:
                raise PublishError(
                    f"{mart}.{column} parts the files of the Iceberg table and can neither go nor "
                    "change its type; drop the table and run the task again."
                )
