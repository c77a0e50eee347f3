"""Looks after Iceberg tables: small files become large ones, old snapshots and lost files go."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Iterator
from datetime import datetime, timedelta

from pyarrow.fs import FileSelector, FileSystem, FileType
from pyiceberg.io.pyarrow import PyArrowFileIO
from pyiceberg.table import FileScanTask, Table

from include.cloudflare.iceberg import explained
from include.publish.iceberg import change_files, current_snapshot
from include.publish.iceberg_files import current_files, read_file, written_beside

log = logging.getLogger(__name__)

# Files of a partition are merged when so many of them are smaller than this. It is far below what
# a full file (FILE_BYTES) compresses to, or the files that were merged would be merged again.
SMALL_BYTES = 512 * 1024
SMALL_FILES = 5
# How long a version can be travelled back to.
SNAPSHOT_AGE = timedelta(days=7)
# A publisher may still be about to commit what it wrote; none takes longer than a day.
LOST_AGE = timedelta(days=1)

_OURS = (".parquet", ".avro")


def compact(table: Table) -> int:
    """Write the small files of each partition as large ones; returns how many went.

    The rows stay the same, and so does the version that the snapshot names. Raises CloudflareError.
    """
    published = current_snapshot(table)
    if published is None:
        return 0
    transaction = table.transaction()
    left, files = [], []
    with explained(f"compact {table.name()[-1]}"):
        columns = table.schema().column_names
        for tasks in _small_files(table):
            left += [task.file for task in tasks]
            rows = (read_file(table, task, columns) for task in tasks)
            files += written_beside(table, tasks[0].file, rows)
        if left:
            change_files(transaction, published.properties, left, files)
            transaction.commit_transaction()
    log.info("%s: %d small files became %d.", table.name()[-1], len(left), len(files))
    return len(left)


def expire(table: Table, now: datetime) -> int:
    """Forget snapshots older than SNAPSHOT_AGE, but the current one; returns how many."""
    before = now - SNAPSHOT_AGE
    with explained(f"forget old snapshots of {table.name()[-1]}"):
        current = table.current_snapshot()
        old = [
            snapshot.snapshot_id
            for snapshot in table.snapshots()
            if snapshot.timestamp_ms < before.timestamp() * 1000
            and (current is None or snapshot.snapshot_id != current.snapshot_id)
        ]
        if old:
            table.maintenance.expire_snapshots().by_ids(old).commit()
    log.info("%s: %d snapshots are forgotten.", table.name()[-1], len(old))
    return len(old)


def delete_lost_files(table: Table, now: datetime) -> int:
    """Delete data files and manifests that no snapshot names; returns how many.

    They are those of forgotten snapshots and of publishers that were killed. Files younger than
    LOST_AGE stay. The catalog's own metadata files are left to the catalog.
    """
    before = now - LOST_AGE
    deleted = 0
    with explained(f"tidy the files of {table.name()[-1]}"):
        system, folder = _file_system(table)
        known = set(_named_files(table))
        for found in system.get_file_info(FileSelector(folder, recursive=True)):
            is_ours = found.type is FileType.File and found.path.endswith(_OURS)
            if is_ours and found.path not in known and found.mtime < before:
                system.delete_file(found.path)
                deleted += 1
    log.info("%s: %d files that no snapshot names are deleted.", table.name()[-1], deleted)
    return deleted


def _small_files(table: Table) -> Iterator[list[FileScanTask]]:
    """The small files of each partition that has enough of them."""
    spec_id = table.spec().spec_id
    by_partition: dict[str, list[FileScanTask]] = defaultdict(list)
    for task in current_files(table):
        if task.file.file_size_in_bytes < SMALL_BYTES and task.file.spec_id == spec_id:
            by_partition[repr(task.file.partition)].append(task)
    return (tasks for tasks in by_partition.values() if len(tasks) >= SMALL_FILES)


def _named_files(table: Table) -> Iterator[str]:
    for snapshot in table.snapshots():
        yield _path(snapshot.manifest_list)
        for manifest in snapshot.manifests(table.io):
            yield _path(manifest.manifest_path)
            for entry in manifest.fetch_manifest_entry(table.io, discard_deleted=True):
                yield _path(entry.data_file.file_path)


def _file_system(table: Table) -> tuple[FileSystem, str]:
    assert isinstance(table.io, PyArrowFileIO)
    scheme, bucket, folder = PyArrowFileIO.parse_location(table.location())
    return table.io.fs_by_scheme(scheme, bucket), folder


def _path(location: str) -> str:
    return PyArrowFileIO.parse_location(location)[2]
