"""Data files of Iceberg tables: written from batches of rows, and read back one at a time.

pyiceberg's own `append` takes all rows at once; here at most one file's rows are in memory.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import count
from uuid import uuid4

import pyarrow as pa
from pyiceberg.expressions import AlwaysTrue
from pyiceberg.io import FileIO
from pyiceberg.io.pyarrow import ArrowScan, write_file
from pyiceberg.manifest import DataFile
from pyiceberg.partitioning import PartitionFieldValue, PartitionKey
from pyiceberg.table import FileScanTask, Table, WriteTask
from pyiceberg.table.metadata import TableMetadata

# Of rows as Arrow holds them, some four times at once where a file is written again; a file is a
# fifth of it and less.
FILE_BYTES = 12 * 1024 * 1024
BATCH_ROWS = 25_000


class DataFileWriter:
    """Writes data files of one transaction. They are no part of the table before it commits."""

    def __init__(self, io: FileIO, metadata: TableMetadata) -> None:
        self._io, self._metadata = io, metadata
        self._id, self._numbers = uuid4(), count()

    def write(
        self, batches: Iterable[pa.RecordBatch], partition: PartitionKey | None
    ) -> Iterator[DataFile]:
        """Write rows of one partition as files of about FILE_BYTES."""
        gathered: list[pa.RecordBatch] = []
        size = 0
        for batch in batches:
            if batch.num_rows == 0:
                continue
            gathered.append(batch)
            size += batch.nbytes
            if size >= FILE_BYTES:
                yield from self._write_file(gathered, partition)
                gathered, size = [], 0
        if gathered:
            yield from self._write_file(gathered, partition)

    def _write_file(
        self, batches: list[pa.RecordBatch], partition: PartitionKey | None
    ) -> Iterator[DataFile]:
        task = WriteTask(
            write_uuid=self._id,
            task_id=next(self._numbers),
            schema=self._metadata.schema(),
            record_batches=batches,
            partition_key=partition,
        )
        return write_file(self._io, self._metadata, iter([task]))


def current_files(table: Table) -> list[FileScanTask]:
    """The files that hold the table's rows now."""
    return list(table.scan().plan_files())


def read_file(table: Table, task: FileScanTask, columns: Iterable[str]) -> pa.Table:
    """Columns of the rows of one file."""
    schema = table.schema().select(*columns)
    scan = ArrowScan(table.metadata, table.io, schema, AlwaysTrue())
    return scan.to_table([task])


def written_beside(table: Table, file: DataFile, rows: Iterable[pa.Table]) -> Iterator[DataFile]:
    """Write rows as files of the partition that a file of the table lies in."""
    writer = DataFileWriter(table.io, table.metadata)
    batches = (batch for each in rows for batch in each.to_batches(BATCH_ROWS))
    return writer.write(batches, _partition_of(table, file))


def _partition_of(table: Table, file: DataFile) -> PartitionKey | None:
    spec = table.specs()[file.spec_id]
    if spec.is_unpartitioned():
        return None
    values = zip(spec.fields, file.partition, strict=True)
    return PartitionKey([PartitionFieldValue(*pair) for pair in values], spec, table.schema())
