"""The lake: one interface to disk and object stores.

Everything in the lake has a key with forward slashes, relative to the lake's root, and the
ledger stores keys only, so a lake can be moved. A write is complete or absent, never half there.
"""

from __future__ import annotations

import errno
import os
import shutil
import time
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import BinaryIO, Protocol
from uuid import uuid4

from include.settings import DiskLakeSettings, LakeSettings


class LakeError(OSError):
    """An object cannot be read or written; the message names it and the remedy."""


# Where a file is made before it takes its place in the lake by a rename, on the same disk.
SCRATCH = ".scratch"
_SCRATCH_SECONDS = 24 * 60 * 60


class Zone(StrEnum):
    """The folders of the lake. Values are the folder names on disk."""

    SOURCES = "sources"
    RAW = "raw"
    PROCESSED = "staging"
    QUARANTINE = "quarantine"
    ARTIFACTS = "dbt-artifacts"


@dataclass(frozen=True, slots=True)
class StoredObject:
    """One object as a listing shows it. ``etag`` changes when the content may have changed."""

    key: str
    size_bytes: int
    etag: str
    modified_at: datetime


class Lake(Protocol):
    """What ingest and transform need of a store. Keys are relative to the lake's root."""

    def key(self, zone: Zone, *parts: str) -> str:
        """The key of an object in a zone. Raises LakeError if it would leave the zone."""

    def list(self, prefix: str) -> Iterator[StoredObject]:
        """Every object below a prefix, in no promised order; one at a time in memory.

        Names that begin with a dot are not objects: they are a file manager's, or half-written.
        """

    def exists(self, key: str) -> bool: ...

    def describe(self, key: str) -> StoredObject:
        """One object as a listing would show it. Raises LakeError if it is absent."""

    def open(self, key: str) -> BinaryIO:
        """A binary stream of the object. Raises LakeError if it cannot be read."""

    def read_bytes(self, key: str) -> bytes: ...

    def write_bytes(self, key: str, content: bytes) -> None:
        """Write a whole object, replacing one of the same key atomically."""

    def put_file(self, path: Path, key: str) -> None:
        """Move a local file into the lake under a key, atomically."""

    def delete(self, key: str) -> None:
        """Delete an object; one that is absent is no error."""

    def local_paths(self, keys: Iterable[str]) -> AbstractContextManager[tuple[Path, ...]]:
        """Readable local files for the keys, in their order, for as long as the block lasts.

        On disk they are the objects themselves: never write to them.
        """

    def scratch(self) -> AbstractContextManager[Path]:
        """An empty local folder that disappears with the block, on the lake's own disk in dev."""


class DiskLake:
    """The lake of a laptop: a folder.

    What is done for every single file works on strings: over thousands of small files, Path objects
    cost as much as the files themselves.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._prefix = f"{root}{os.sep}"

    def key(self, zone: Zone, *parts: str) -> str:
        key = "/".join((zone.value, *parts))
        if any(part in ("", ".", "..") for part in key.split("/")) or "\0" in key:
            raise LakeError(f"{key!r} is not a key inside {zone.value}/; rename the file.")
        return key

    def list(self, prefix: str) -> Iterator[StoredObject]:
        yield from self._walk(self._prefix + prefix.rstrip("/"))

    def exists(self, key: str) -> bool:
        return (self._root / key).is_file()

    def describe(self, key: str) -> StoredObject:
        try:
            return _stored(key, os.stat(self._prefix + key))  # noqa: PTH116
        except OSError as error:
            raise LakeError(_sentence(key, "read", error)) from error

    def open(self, key: str) -> BinaryIO:
        try:
            return open(self._prefix + key, "rb")  # noqa: PTH123
        except OSError as error:
            raise LakeError(_sentence(key, "read", error)) from error

    def read_bytes(self, key: str) -> bytes:
        with self.open(key) as stream:
            return stream.read()

    def write_bytes(self, key: str, content: bytes) -> None:
        with self._replacing(key) as temporary:
            temporary.write_bytes(content)

    def put_file(self, path: Path, key: str) -> None:
        target = self._prefix + key
        try:
            os.makedirs(os.path.dirname(target), exist_ok=True)  # noqa: PTH103, PTH120
            os.replace(path, target)  # noqa: PTH105
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise LakeError(_sentence(key, "write", error)) from error
            # A rename is atomic on one disk only, so a file of another is copied beside its target.
            with self._replacing(key) as temporary:
                shutil.move(path, temporary)

    def delete(self, key: str) -> None:
        try:
            (self._root / key).unlink(missing_ok=True)
        except OSError as error:
            raise LakeError(_sentence(key, "delete", error)) from error

    @contextmanager
    def local_paths(self, keys: Iterable[str]) -> Iterator[tuple[Path, ...]]:
        yield tuple(self._root / key for key in keys)

    @contextmanager
    def scratch(self) -> Iterator[Path]:
        self._remove_left_scratch()
        key = f"{SCRATCH}/{uuid4().hex}"
        folder = self._root / key
        try:
            folder.mkdir(parents=True)
        except OSError as error:
            raise LakeError(_sentence(key, "write", error)) from error
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _remove_left_scratch(self) -> None:
        """Remove what killed tasks left; no task runs for a day."""
        before = time.time() - _SCRATCH_SECONDS
        for folder in (self._root / SCRATCH).glob("*"):
            with suppress(FileNotFoundError):
                if folder.stat().st_mtime < before:
                    shutil.rmtree(folder, ignore_errors=True)

    def _walk(self, folder: str) -> Iterator[StoredObject]:
        # os.scandir instead of Path.rglob: a tenth of the time on 100,000 files, and links that
        # leave the lake are not followed.
        try:
            entries = os.scandir(folder)
        except (FileNotFoundError, NotADirectoryError):
            return
        except OSError as error:
            raise LakeError(_sentence(self._relative(folder), "list", error)) from error
        with entries:
            for entry in entries:
                if entry.name.startswith("."):
                    continue
                if entry.is_dir(follow_symlinks=False):
                    yield from self._walk(entry.path)
                elif entry.is_file(follow_symlinks=False):
                    yield from self._stored_entry(entry)

    def _stored_entry(self, entry: os.DirEntry[str]) -> Iterator[StoredObject]:
        try:
            status = entry.stat()
        except FileNotFoundError:  # deleted since the folder was read
            return
        yield _stored(self._relative(entry.path), status)

    def _relative(self, path: str) -> str:
        return path.removeprefix(self._prefix).replace(os.sep, "/")

    @contextmanager
    def _replacing(self, key: str) -> Iterator[Path]:
        target = self._root / key
        temporary = target.with_name(f".{uuid4().hex}.tmp")
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            yield temporary
            temporary.replace(target)
        except OSError as error:
            raise LakeError(_sentence(key, "write", error)) from error
        finally:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)


def open_lake(settings: LakeSettings) -> Lake:
    """The lake that the settings name. Nothing is contacted before the first call."""
    if isinstance(settings, DiskLakeSettings):
        return DiskLake(settings.root)
    raise LakeError(
        f"The lake is the object store {settings.bucket!r}, which this release cannot open; "
        "run with VENDING_ENV=dev."
    )


def _stored(key: str, status: os.stat_result) -> StoredObject:
    return StoredObject(
        key=key,
        size_bytes=status.st_size,
        etag=f"{status.st_size}-{status.st_mtime_ns}",
        modified_at=datetime.fromtimestamp(status.st_mtime, UTC),
    )


def _sentence(key: str, verb: str, error: OSError) -> str:
    remedy = {
        "ENOSPC": "free space on the disk and run the task again",
        "EACCES": "give the user that runs Airflow access to it",
        "ENOENT": "put it back or rebuild it from raw",
        "EROFS": "mount the disk for writing",
        "ENAMETOOLONG": "shorten the file's name",
    }.get(_errno_name(error), "check the disk and run the task again")
    return f"Cannot {verb} {key!r} in the lake ({error.strerror or error}); {remedy}."


def _errno_name(error: OSError) -> str:
    return errno.errorcode.get(error.errno or 0, "")
