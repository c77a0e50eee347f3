"""Keeps every version of every file in raw, exactly as it came, and gives it its load_id.

A file is read once: the copy, its checksum and the scan share the pass. Nothing is flushed to the
disk for each file; a copy takes its name by a rename when it is complete, so a killed task leaves
no half of one.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import BinaryIO
from zoneinfo import ZoneInfo

from include.contracts import SourceContract
from include.ingest.pages import fetched_at
from include.ingest.plan import (
    Batch,
    Candidate,
    FailedFile,
    LandedFile,
    UnchangedFile,
    WaitingFile,
)
from include.lake import Lake, LakeError, StoredObject, Zone

_CHUNK_BYTES = 1 << 20
LANDED_AT = "%Y%m%dT%H%M%S%fZ"
VERSION = re.compile(r"(?P<landed_at>\d{8}T\d{12}Z)-(?P<checksum>[0-9a-f]{16})")


class LandingError(Exception):
    """One file cannot be landed, and the others can; the message is one sentence."""


class StillWritten(LandingError):
    """A file changed while it was read; a later run takes it."""


@dataclass(frozen=True, slots=True)
class LandedBatch:
    """A batch in raw: each candidate is in exactly one of the four."""

    landed: tuple[LandedFile, ...]
    unchanged: tuple[UnchangedFile, ...]
    failed: tuple[FailedFile, ...]
    waiting: tuple[WaitingFile, ...] = ()


@dataclass(frozen=True, slots=True)
class _Content:
    """What was read of a file, and how the file looked before and after."""

    stored: StoredObject
    checksum: str


@dataclass(frozen=True, slots=True)
class _Version:
    """One content of one object key in raw. ``landed_at`` is in UTC."""

    location: str
    landed_at: datetime


def land_batch(lake: Lake, batch: Batch, contract: SourceContract) -> LandedBatch:
    """Copy each candidate to raw, unless its content is the current one or lies there already.

    Running it again makes no second copy. A file that cannot be read is reported and stops no
    other; a raw that cannot be written raises LakeError.
    """
    landed: list[LandedFile] = []
    unchanged: list[UnchangedFile] = []
    failed: list[FailedFile] = []
    waiting: list[WaitingFile] = []
    with lake.scratch() as scratch, ThreadPoolExecutor(lake.transfers) as threads:
        copies = (scratch / str(number) for number in count())
        # The first LakeError is raised here, and what has not begun is left.
        for outcome in threads.map(
            lambda candidate, copy: _outcome(lake, copy, candidate, contract),
            batch.candidates,
            copies,
        ):
            match outcome:
                case LandedFile():
                    landed.append(outcome)
                case UnchangedFile():
                    unchanged.append(outcome)
                case FailedFile():
                    failed.append(outcome)
                case WaitingFile():
                    waiting.append(outcome)
    return LandedBatch(tuple(landed), tuple(unchanged), tuple(failed), tuple(waiting))


def load_id(
    source_contract: str, object_key: str, checksum: str, fingerprint: str, generation: int
) -> int:
    """The first 63 bits of SHA-256 over what makes a load: a BIGINT that is never negative.

    The parts are hashed as a JSON array, so that no two of them can run into each other.
    """
    parts = json.dumps([source_contract, object_key, checksum, fingerprint, generation])
    return int.from_bytes(hashlib.sha256(parts.encode()).digest()[:8], "big") >> 1


def _outcome(
    lake: Lake, copy: Path, candidate: Candidate, contract: SourceContract
) -> LandedFile | UnchangedFile | FailedFile | WaitingFile:
    try:
        return _land(lake, copy, candidate, contract)
    except StillWritten as error:
        return WaitingFile(object_key=candidate.object_key, reason=str(error))
    except LandingError as error:
        return FailedFile(object_key=candidate.object_key, message=str(error))
    finally:
        copy.unlink(missing_ok=True)


def _land(
    lake: Lake, copy: Path, candidate: Candidate, contract: SourceContract
) -> LandedFile | UnchangedFile:
    is_in_raw = candidate.raw_location is not None
    content = _read(lake, candidate) if is_in_raw else _copy(lake, candidate, copy)
    current = candidate.current
    if current is not None and current.checksum == content.checksum:
        return UnchangedFile(load_id=current.load_id, etag=content.stored.etag)
    if is_in_raw:
        version = _version_in_raw(lake, candidate, content)
    else:
        version = _keep(lake, copy, candidate.object_key, content)
    return _landed_file(candidate, contract, content, version)


def _landed_file(
    candidate: Candidate, contract: SourceContract, content: _Content, version: _Version
) -> LandedFile:
    generation = candidate.earlier_loads
    return LandedFile(
        load_id=load_id(
            contract.id, candidate.object_key, content.checksum, contract.fingerprint, generation
        ),
        object_key=candidate.object_key,
        raw_location=version.location,
        size_bytes=content.stored.size_bytes,
        checksum=content.checksum,
        etag=content.stored.etag,
        generation=generation,
        landed_at=version.landed_at,
        landed_on=version.landed_at.astimezone(ZoneInfo(contract.time_zone)).date(),
        replaces=candidate.current.load_id if candidate.current else None,
    )


def _copy(lake: Lake, candidate: Candidate, copy: Path) -> _Content:
    """Read the file once, into a local copy."""
    try:
        with copy.open("wb") as target:
            return _read(lake, candidate, target)
    except OSError as error:
        raise LakeError(
            f"Cannot copy {candidate.location!r} to the scratch folder ({error.strerror}); "
            "free space on the disk and run the task again."
        ) from error


def _read(lake: Lake, candidate: Candidate, target: BinaryIO | None = None) -> _Content:
    """Read the file once, writing it to ``target`` if there is one.

    Raises LandingError if the file cannot be read, StillWritten if it was written to meanwhile.
    """
    digest = hashlib.sha256()
    before = _describe(lake, candidate)
    for chunk in _chunks(lake, candidate.location):
        digest.update(chunk)
        if target is not None:
            target.write(chunk)
    if _describe(lake, candidate).etag != before.etag:
        raise StillWritten(f"{candidate.location!r} changed while it was read.")
    return _Content(before, digest.hexdigest())


def _describe(lake: Lake, candidate: Candidate) -> StoredObject:
    try:
        return lake.describe(candidate.location)
    except LakeError as error:
        raise LandingError(str(error)) from error


def _chunks(lake: Lake, location: str) -> Iterator[bytes]:
    try:
        with lake.open(location) as stream:
            while chunk := stream.read(_CHUNK_BYTES):
                yield chunk
    except LakeError as error:
        raise LandingError(str(error)) from error
    except OSError as error:
        raise LandingError(
            f"Cannot read {location!r} in the lake ({error.strerror}); "
            "check the disk and run the task again."
        ) from error


def _keep(lake: Lake, copy: Path, object_key: str, content: _Content) -> _Version:
    """Give the copy its place in raw, or find that its latest version there is the same."""
    latest = _latest_version(lake, object_key)
    if latest is not None and latest[1] == content.checksum[:16]:
        return latest[0]
    landed_at = datetime.now(UTC)
    name = f"{landed_at.strftime(LANDED_AT)}-{content.checksum[:16]}"
    location = _raw_key(lake, object_key, name)
    lake.put_file(copy, location)
    return _Version(location, landed_at)


def _latest_version(lake: Lake, object_key: str) -> tuple[_Version, str] | None:
    """The version that landed last and the first 16 digits of its checksum."""
    folder = _raw_key(lake, object_key)
    versions = [
        (match["landed_at"], match["checksum"], stored.key)
        for stored in lake.list(folder)
        # Versions of a file that is called like a folder of this one lie deeper.
        if (match := VERSION.fullmatch(stored.key.removeprefix(f"{folder}/")))
    ]
    if not versions:
        return None
    landed_at, checksum, location = max(versions)
    moment = datetime.strptime(landed_at, LANDED_AT).replace(tzinfo=UTC)
    return _Version(location, moment), checksum


def _version_in_raw(lake: Lake, candidate: Candidate, content: _Content) -> _Version:
    """A version that lies in raw already: an API page says itself when it was fetched."""
    landed_at = candidate.landed_at or fetched_at(lake, candidate.location)
    return _Version(candidate.location, landed_at or content.stored.modified_at)


def _raw_key(lake: Lake, object_key: str, *name: str) -> str:
    return lake.key(Zone.RAW, "files", *object_key.split("/"), *name)
