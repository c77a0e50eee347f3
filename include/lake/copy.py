"""A copy of the lake in another store: what is new is copied, and a check says what differs.

bronze/raw/...           every version of every file, and every API page, as it came
silver/staging/...       conformed rows
silver/quarantine/...    rejected rows
manifests/<layer>/<time>-<id>.parquet
                         what was copied, with its checksum: one file for each step of a copy

Gold, the marts, are Iceberg tables (include/publish/iceberg.py).

A step writes its objects and then its manifest, so that a copy that was killed goes on with the
step it was in. Listings and manifests are compared in DuckDB: memory is bounded, whatever the
number of objects.
"""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from enum import StrEnum
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, TypeVar
from uuid import uuid4

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from include.lake.base import Lake, LakeError, Zone

log = logging.getLogger(__name__)

# Objects of one step, and those that travel at the same time.
STEP_OBJECTS = 500
THREADS = 8

_MEMORY_MB = 128
_LISTED_AT_ONCE = 10_000
_CHUNK_BYTES = 1 << 20

T = TypeVar("T")


class CopyDiffersError(RuntimeError):
    """A copy does not hold what the lake holds; the message says what and how much."""


class Layer(StrEnum):
    """A part of the copy. Values are its folders."""

    BRONZE = "bronze"
    SILVER = "silver"

    @property
    def zones(self) -> tuple[Zone, ...]:
        """The zones of the lake that it copies."""
        return (Zone.RAW,) if self is Layer.BRONZE else (Zone.PROCESSED, Zone.QUARANTINE)


class Difference(StrEnum):
    """``changed``: in the lake or in the copy, since it was copied."""

    MISSING = "missing"
    EXTRA = "extra"
    CHANGED = "changed"


@dataclass(frozen=True, slots=True)
class CopiedObject:
    """A row of a manifest. ``key`` is the lake's, ``sha256`` in hexadecimal, times are in UTC.

    ``lake_etag`` and ``copy_etag`` tell whether either of the two has changed since.
    """

    key: str
    size_bytes: int
    sha256: str
    lake_etag: str
    copy_etag: str
    copied_at: datetime


@dataclass(frozen=True, slots=True)
class Listed:
    """An object of the lake as it was listed."""

    key: str
    etag: str


@dataclass(frozen=True, slots=True)
class LayerCopied:
    """What one copy of a layer did."""

    layer: Layer
    copied: int
    deleted: int

    def __str__(self) -> str:
        return f"{self.layer}: {self.copied} objects copied, {self.deleted} deleted."


@dataclass(frozen=True, slots=True)
class Found:
    """How many objects differ in one way, and the key of one of them."""

    difference: Difference
    objects: int
    example: str

    def __str__(self) -> str:
        return f"{self.objects} {self.difference} (such as {self.example!r})"


class LakeCopy:
    """One layer of a lake and its copy."""

    def __init__(self, lake: Lake, copy: Lake, layer: Layer) -> None:
        self._lake, self._copy, self._layer = lake, copy, layer

    def bring(self, *, delete_extra: bool = False) -> LayerCopied:
        """Copy what the copy lacks or has otherwise; of the rest it deletes nothing unless asked.

        Raises LakeError.
        """
        copied = deleted = 0
        with self._books() as books, self._lake.scratch() as scratch:
            for step in _batches(books.wanted(), STEP_OBJECTS):
                copied += self._copy_step(step, scratch)
            if delete_extra:
                for key in books.extra():
                    self._copy.delete(self._place(key))
                    deleted += 1
        return LayerCopied(self._layer, copied, deleted)

    def check(self, *, before: datetime | None = None, read_back: bool = False) -> list[Found]:
        """What differs, by the listings and the manifests; nothing is an empty list.

        What the lake got from ``before`` on (UTC) is not due yet. With ``read_back`` every object
        of the copy is read and held to its checksum. Raises LakeError.
        """
        with self._books(before) as books:
            found = books.found()
            if read_back:
                damaged = [key for key, sha256 in books.copied() if self._sha256(key) != sha256]
                if damaged:
                    found.append(Found(Difference.CHANGED, len(damaged), damaged[0]))
        return found

    def _copy_step(self, step: list[Listed], scratch: Path) -> int:
        with ThreadPoolExecutor(THREADS) as threads:
            rows = threads.map(lambda listed: self._copy_object(listed, scratch), step)
            copied = [row for row in rows if row is not None]
        if copied:
            self._write_manifest(copied, scratch)
        return len(copied)

    def _copy_object(self, listed: Listed, scratch: Path) -> CopiedObject | None:
        """Copy one object; None if it has been swept from the lake since it was listed."""
        path = scratch / uuid4().hex
        try:
            with self._lake.open(listed.key) as stream, path.open("wb") as file:
                sha256 = _transfer(stream, file)
        except LakeError:
            if self._lake.exists(listed.key):
                raise
            log.info("%s is no longer in the lake.", listed.key)
            return None
        size = path.stat().st_size
        place = self._place(listed.key)
        self._copy.put_file(path, place)
        now = self._copy.describe(place)
        if now.size_bytes != size:
            raise LakeError(
                f"{place!r} arrived with {now.size_bytes} of {size} bytes; run the task again."
            )
        return CopiedObject(listed.key, size, sha256, listed.etag, now.etag, datetime.now(UTC))

    def _sha256(self, key: str) -> str:
        with self._copy.open(self._place(key)) as stream, Path(os.devnull).open("wb") as nowhere:
            return _transfer(stream, nowhere)

    def _write_manifest(self, copied: list[CopiedObject], scratch: Path) -> None:
        path = scratch / f"{uuid4().hex}.parquet"
        pq.write_table(_rows(copied), path)
        name = f"{datetime.now(UTC):%Y%m%dT%H%M%S%fZ}-{uuid4().hex[:8]}.parquet"
        self._copy.put_file(path, self._copy.key(Zone.MANIFESTS, self._layer.value, name))

    def _place(self, key: str) -> str:
        return f"{self._layer}/{key}"

    @contextmanager
    def _books(self, before: datetime | None = None) -> Iterator[_Books]:
        with self._lake.scratch() as scratch, duckdb.connect() as connection:
            connection.execute(f"SET memory_limit = '{_MEMORY_MB}MB'")
            connection.execute(f"SET temp_directory = '{scratch / 'spill'}'")
            books = _Books(connection)
            books.take_listing("lake", self._lake_listing(before))
            books.take_listing("copy", self._copy_listing())
            manifests = [
                part.key for part in self._copy.list(f"{Zone.MANIFESTS.value}/{self._layer}")
            ]
            with self._copy.local_paths(manifests) as paths:
                books.take_manifests(paths)
            yield books

    def _lake_listing(self, before: datetime | None) -> Iterator[Listed]:
        for zone in self._layer.zones:
            for stored in self._lake.list(zone.value, before=before):
                yield Listed(stored.key, stored.etag)

    def _copy_listing(self) -> Iterator[Listed]:
        for stored in self._copy.list(self._layer.value):
            yield Listed(stored.key.removeprefix(f"{self._layer}/"), stored.etag)


class _Books:
    """The listings of a lake and its copy and the copy's manifests, as tables to compare."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self._connection = connection

    def take_listing(self, table: str, listing: Iterable[Listed]) -> None:
        self._connection.execute(f"CREATE TABLE {table} (key VARCHAR, etag VARCHAR)")
        for batch in _batches(listing, _LISTED_AT_ONCE):
            self._connection.register("batch", _rows(batch))
            self._connection.execute(f"INSERT INTO {table} FROM batch")
            self._connection.unregister("batch")

    def take_manifests(self, paths: tuple[Path, ...]) -> None:
        self._connection.execute(
            "CREATE TABLE copied (key VARCHAR, size_bytes BIGINT, sha256 VARCHAR, "
            "lake_etag VARCHAR, copy_etag VARCHAR, copied_at TIMESTAMPTZ)"
        )
        if paths:
            self._connection.execute(
                "INSERT INTO copied FROM read_parquet(?) "
                "QUALIFY row_number() OVER (PARTITION BY key ORDER BY copied_at DESC) = 1",
                [[str(path) for path in paths]],
            )
        self._connection.execute(
            """
            CREATE TABLE differing AS
            SELECT
                coalesce(lake.key, copy.key) AS key,
                CASE
                    WHEN lake.key IS NULL THEN 'extra'
                    WHEN copy.key IS NULL THEN 'missing'
                    -- Without a row in a manifest its checksum is not known.
                    WHEN copied.lake_etag IS DISTINCT FROM lake.etag
                        OR copied.copy_etag IS DISTINCT FROM copy.etag THEN 'changed'
                END AS difference
            FROM lake
            FULL JOIN copy ON lake.key = copy.key
            LEFT JOIN copied ON lake.key = copied.key
            WHERE difference IS NOT NULL
            """
        )

    def wanted(self) -> Iterator[Listed]:
        """The objects of the lake that the copy lacks or has otherwise."""
        query = (
            "SELECT key, etag FROM lake JOIN differing USING (key) "
            "WHERE difference IN ('missing', 'changed')"
        )
        return (Listed(*row) for row in self._rows(query))

    def extra(self) -> Iterator[str]:
        query = "SELECT key FROM differing WHERE difference = 'extra'"
        return (row[0] for row in self._rows(query))

    def found(self) -> list[Found]:
        rows = self._rows(
            "SELECT difference, count(*), min(key) FROM differing GROUP BY ALL ORDER BY ALL"
        )
        return [Found(Difference(row[0]), row[1], row[2]) for row in rows]

    def copied(self) -> Iterator[tuple[str, str]]:
        """Key and SHA-256 of the objects that are in the copy as they were copied."""
        return self._rows(
            "SELECT copied.key, sha256 FROM copied JOIN copy ON copied.key = copy.key "
            "AND copied.copy_etag = copy.etag"
        )

    def _rows(self, query: str) -> Iterator[tuple[Any, ...]]:
        # A cursor of its own: results are read while other statements run.
        with self._connection.cursor() as cursor:
            cursor.execute(query)
            while rows := cursor.fetchmany(STEP_OBJECTS):
                yield from rows


def _rows(items: Iterable[Listed | CopiedObject]) -> pa.Table:
    return pa.Table.from_pylist([asdict(item) for item in items])


def _transfer(source: BinaryIO, target: BinaryIO) -> str:
    """Copy a stream a chunk at a time; returns its SHA-256."""
    digest = hashlib.sha256()
    while chunk := source.read(_CHUNK_BYTES):
        digest.update(chunk)
        target.write(chunk)
    return digest.hexdigest()


def _batches(items: Iterable[T], size: int) -> Iterator[list[T]]:
    remaining = iter(items)
    while batch := list(islice(remaining, size)):
        yield batch
