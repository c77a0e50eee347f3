"""What ingest and transform need of a lake, whichever store it is.

Everything in the lake has a key with forward slashes, relative to the lake's root, and the
ledger stores keys only, so a lake can be moved. A write is complete or absent, never half there.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import BinaryIO, NamedTuple, Protocol


class LakeError(OSError):
    """An object cannot be read or written; the message names it and the remedy."""


class Zone(StrEnum):
    """The parts of the lake. Values begin the keys, and are the folder names on disk.

    Their folders in an object store are in `include.lake.layout`.
    """

    SOURCES = "sources"
    RAW = "raw"
    VAULT = "vault"
    PROCESSED = "staging"
    QUARANTINE = "quarantine"
    ARTIFACTS = "dbt-artifacts"
    PUBLISHED = "published"
    MONITORING = "monitoring"
    EXPORTS = "exports"
    # Only in a copy of a lake, see include/lake/copy.py.
    BRONZE = "bronze"
    SILVER = "silver"
    MANIFESTS = "manifests"


class StoredObject(NamedTuple):
    """One object as a listing shows it. ``etag`` changes when the content may have changed.

    A named tuple, as a listing makes one of every object there is.
    """

    key: str
    size_bytes: int
    etag: str
    modified_at: datetime


class Lake(Protocol):
    """What ingest and transform need of a store. Keys are relative to the lake's root.

    ``transfers`` is how many objects are worth moving at the same time.
    """

    transfers: int

    def key(self, zone: Zone, *parts: str) -> str:
        """The key of an object in a zone. Raises LakeError if it would leave the zone."""

    def list(
        self, prefix: str, *, since: datetime | None = None, before: datetime | None = None
    ) -> Iterator[StoredObject]:
        """Every object below a prefix, in no promised order; one at a time in memory.

        ``since`` (included) and ``before`` (excluded) bound the time of the last change, in UTC.
        Names that begin with a dot are not objects: they are a file manager's, or half-written.
        """

    def irregular(self, prefix: str) -> Iterator[str]:
        """The keys below a prefix that are links or devices, which `list` leaves out."""

    def exists(self, key: str) -> bool: ...

    def describe(self, key: str) -> StoredObject:
        """One object as a listing would show it. Raises LakeError if it is absent."""

    def open(self, key: str) -> BinaryIO:
        """A binary stream of the object. Raises LakeError if it cannot be read."""

    def read_bytes(self, key: str) -> bytes: ...

    def write_bytes(self, key: str, content: bytes) -> None:
        """Write a whole object, replacing one of the same key atomically."""

    def create_bytes(self, key: str, content: bytes) -> bool:
        """Write a whole object unless the key is taken; returns whether it was written.

        Of several writers at the same time exactly one writes.
        """

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


def zone_key(zone: Zone, parts: Iterable[str]) -> str:
    """The key of an object in a zone. Raises LakeError if it would leave the zone."""
    key = "/".join((zone.value, *parts))
    if not is_key(key):
        raise LakeError(f"{key!r} is not a key inside {zone.value}/; rename the file.")
    return key


def is_key(key: str) -> bool:
    """Whether a key names one object wherever the lake lies."""
    return "\0" not in key and all(part not in ("", ".", "..") for part in key.split("/"))


def is_within(stored: StoredObject, since: datetime | None, before: datetime | None) -> bool:
    """Whether an object was last changed in a span of time."""
    return (since is None or stored.modified_at >= since) and (
        before is None or stored.modified_at < before
    )
