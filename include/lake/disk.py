"""The lake of a laptop: a folder."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO
from uuid import uuid4

from include.lake.base import LakeError, StoredObject, Zone, is_within, zone_key
from include.lake.scratch import scratch_folder

# Where a file is made before it takes its place in the lake by a rename, on the same disk.
SCRATCH = ".scratch"


class DiskLake:
    """The lake of a laptop: a folder.

    What is done for every single file works on strings: over thousands of small files, Path objects
    cost as much as the files themselves.
    """

    transfers = 1

    def __init__(self, root: Path) -> None:
        self._root = root
        self._prefix = f"{root}{os.sep}"

    def key(self, zone: Zone, *parts: str) -> str:
        return zone_key(zone, parts)

    def list(
        self, prefix: str, *, since: datetime | None = None, before: datetime | None = None
    ) -> Iterator[StoredObject]:
        for stored in self._walk(self._prefix + prefix.rstrip("/")):
            if is_within(stored, since, before):
                yield stored

    def irregular(self, prefix: str) -> Iterator[str]:
        for entry in self._entries(self._prefix + prefix.rstrip("/")):
            if not entry.is_file(follow_symlinks=False):
                yield self._relative(entry.path)

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

    def create_bytes(self, key: str, content: bytes) -> bool:
        target = self._root / key
        temporary = target.with_name(f".{uuid4().hex}.tmp")
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            temporary.write_bytes(content)
            # A link is refused where the name is taken; a rename would replace what is there.
            target.hardlink_to(temporary)
        except FileExistsError:
            return False
        except OSError as error:
            raise LakeError(_sentence(key, "write", error)) from error
        finally:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)
        return True

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
        with ExitStack() as stack:
            try:
                folder = stack.enter_context(scratch_folder(self._root / SCRATCH))
            except OSError as error:
                raise LakeError(_sentence(SCRATCH, "write", error)) from error
            yield folder

    def _walk(self, folder: str) -> Iterator[StoredObject]:
        for entry in self._entries(folder):
            if entry.is_file(follow_symlinks=False):
                yield from self._stored_entry(entry)

    def _entries(self, folder: str) -> Iterator[os.DirEntry[str]]:
        """All that is no folder. Links are entries, whatever they lead to."""
        # os.scandir instead of Path.rglob: a tenth of the time on 100,000 files.
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
                    yield from self._entries(entry.path)
                else:
                    yield entry

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
