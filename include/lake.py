"""The lake: one interface to disk and object stores.

Everything in the lake has a key with forward slashes, relative to the lake's root, and the
ledger stores keys only, so a lake can be moved. A write is complete or absent, never half there.
"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import BinaryIO, Protocol
from uuid import uuid4

from include.settings import DiskLakeSettings, LakeSettings


class LakeError(OSError):
    """An object cannot be read or written; the message names it and the remedy."""


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
        """Every object below a prefix, in no promised order; one at a time in memory."""

    def exists(self, key: str) -> bool: ...

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
    """The lake of a laptop: a folder."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def key(self, zone: Zone, *parts: str) -> str:
        key = "/".join((zone.value, *parts))
        if any(part in ("", ".", "..") for part in key.split("/")) or "\0" in key:
            raise LakeError(f"{key!r} is not a key inside {zone.value}/; rename the file.")
        return key

    def list(self, prefix: str) -> Iterator[StoredObject]:
        yield from self._walk(self._root / prefix)

    def exists(self, key: str) -> bool:
        return (self._root / key).is_file()

    def open(self, key: str) -> BinaryIO:
        try:
            return (self._root / key).open("rb")
        except OSError as error:
            raise LakeError(_sentence(key, "read", error)) from error

    def read_bytes(self, key: str) -> bytes:
        with self.open(key) as stream:
            return stream.read()

    def write_bytes(self, key: str, content: bytes) -> None:
        with self._replacing(key) as temporary:
            temporary.write_bytes(content)

    def put_file(self, path: Path, key: str) -> None:
        with self._replacing(key) as temporary:
            shutil.move(path, temporary)

    def delete(self, key: str) -> None:
        (self._root / key).unlink(missing_ok=True)

    @contextmanager
    def local_paths(self, keys: Iterable[str]) -> Iterator[tuple[Path, ...]]:
        yield tuple(self._root / key for key in keys)

    @contextmanager
    def scratch(self) -> Iterator[Path]:
        folder = self._root / ".scratch" / uuid4().hex
        try:
            folder.mkdir(parents=True)
            yield folder
        except OSError as error:
            if isinstance(error, LakeError):
                raise
            raise LakeError(_sentence(str(folder), "use", error)) from error
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _walk(self, folder: Path) -> Iterator[StoredObject]:
        # os.scandir instead of Path.rglob: a tenth of the time on 100,000 files, and links that
        # leave the lake are not followed.
        try:
            entries = os.scandir(folder)
        except FileNotFoundError:
            return
        with entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    yield from self._walk(Path(entry.path))
                elif entry.is_file(follow_symlinks=False):
                    yield self._describe(entry)

    def _describe(self, entry: os.DirEntry[str]) -> StoredObject:
        status = entry.stat()
        return StoredObject(
            key=Path(entry.path).relative_to(self._root).as_posix(),
            size_bytes=status.st_size,
            etag=f"{status.st_size}-{status.st_mtime_ns}",
            modified_at=datetime.fromtimestamp(status.st_mtime, UTC),
        )

    @contextmanager
    def _replacing(self, key: str) -> Iterator[Path]:
        target = self._root / key
        temporary = target.with_name(f".{uuid4().hex}.tmp")
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            yield temporary
            os.replace(temporary, target)
        except OSError as error:
            raise LakeError(_sentence(key, "write", error)) from error
        finally:
            temporary.unlink(missing_ok=True)


def open_lake(settings: LakeSettings) -> Lake:
    """The lake that the settings name. Nothing is contacted before the first call."""
    if isinstance(settings, DiskLakeSettings):
        return DiskLake(settings.root)
    raise LakeError(
        f"The lake is the object store {settings.bucket!r}, which this release cannot open; "
        "run with VENDING_ENV=dev."
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
