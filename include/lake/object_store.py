"""The lake in S3, or in a store that speaks its protocol.

Whatever the size of an object, at most a few parts of it are in memory: files travel in parts, and
streams are read as they are consumed.
"""

from __future__ import annotations

import logging
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime
from functools import cache
from io import BufferedReader
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO
from uuid import uuid4

from boto3.exceptions import Boto3Error
from boto3.s3.transfer import TransferConfig
from botocore.exceptions import BotoCoreError, ClientError

from include.lake.base import LakeError, StoredObject, Zone, is_key, is_within, zone_key
from include.lake.connection import TRANSFERS
from include.lake.layout import (
    Classification,
    Folder,
    attributes,
    bucket_key,
    folder_of,
    folders_below,
)
from include.lake.object_stream import CHUNK_BYTES, ObjectStream
from include.lake.scratch import scratch_folder
from include.settings import ObjectLakeSettings

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

log = logging.getLogger(__name__)

# One part is in memory for each thread. 16 MB parts allow objects of 160 GB (10,000 parts).
PART_BYTES = 16 * 1024 * 1024
_PARTS = TransferConfig(
    multipart_threshold=PART_BYTES, multipart_chunksize=PART_BYTES, max_concurrency=2
)
# Files that are fetched at the same time are each fetched by one thread.
_WHOLE = TransferConfig(
    multipart_threshold=PART_BYTES, multipart_chunksize=PART_BYTES, use_threads=False
)
_LONGEST_KEY_BYTES = 1024
_LISTED_AT_ONCE = 1_000

_STORE_ERRORS = (BotoCoreError, ClientError, Boto3Error)


class ObjectLake:
    """See `include.lake.base.Lake`. ``connect`` makes a connection's client when it is needed."""

    transfers = TRANSFERS

    def __init__(self, settings: ObjectLakeSettings, connect: Callable[[str], S3Client]) -> None:
        self._settings = settings
        self._connected = cache(connect)

    def _client(self, key: str) -> S3Client:
        """The client for a key: what is restricted may have a connection of its own."""
        settings = self._settings
        is_restricted = folder_of(key).classification is Classification.RESTRICTED
        own = settings.restricted_connection_id if is_restricted else None
        return self._connected(own or settings.connection_id)

    def key(self, zone: Zone, *parts: str) -> str:
        key = zone_key(zone, parts)
        if len(bucket_key(key).encode(errors="surrogateescape")) > _LONGEST_KEY_BYTES:
            raise LakeError(f"{key[:80]!r}… is longer than an object's key may be; shorten it.")
        return key

    def list(
        self, prefix: str, *, since: datetime | None = None, before: datetime | None = None
    ) -> Iterator[StoredObject]:
        for folder, inside in folders_below(prefix.rstrip("/")):
            for stored in self._list_folder(folder, inside):
                if is_within(stored, since, before):
                    yield stored

    def irregular(self, prefix: str) -> Iterator[str]:
        return iter(())

    def exists(self, key: str) -> bool:
        try:
            self._head(key)
        except ClientError as error:
            if _status(error) == 404:
                return False
            raise LakeError(self._sentence(key, "read", error)) from error
        except BotoCoreError as error:
            raise LakeError(self._sentence(key, "read", error)) from error
        return True

    def describe(self, key: str) -> StoredObject:
        with self._explained(key, "read"):
            head = self._head(key)
        return StoredObject(
            key, head["ContentLength"], head["ETag"].strip('"'), head["LastModified"]
        )

    def open(self, key: str) -> BinaryIO:
        stored = self.describe(key)
        stream = ObjectStream(stored, lambda start: self._body(stored, start))
        return BufferedReader(stream, CHUNK_BYTES)

    def read_bytes(self, key: str) -> bytes:
        with self.open(key) as stream:
            return stream.read()

    def write_bytes(self, key: str, content: bytes) -> None:
        with self._explained(key, "write"):
            self._put(key, content)

    def create_bytes(self, key: str, content: bytes) -> bool:
        writer = uuid4().hex
        try:
            self._put(key, content, IfNoneMatch="*", Metadata={"writer": writer})
        except ClientError as error:
            # 409: another conditional write of the same key is under way and will be there first.
            if _status(error) in (409, 412):
                return self._is_written_by(key, writer)
            raise LakeError(self._sentence(key, "write", error)) from error
        except _STORE_ERRORS as error:
            raise LakeError(self._sentence(key, "write", error)) from error
        return True

    def put_file(self, path: Path, key: str) -> None:
        with self._explained(key, "write"):
            self._client(key).upload_file(
                str(path),
                self._settings.bucket,
                bucket_key(key),
                ExtraArgs=attributes(self._settings, key),
                Config=_PARTS,
            )
        path.unlink()

    def delete(self, key: str) -> None:
        with self._explained(key, "delete"):
            self._client(key).delete_object(Bucket=self._settings.bucket, Key=bucket_key(key))

    @contextmanager
    def local_paths(self, keys: Iterable[str]) -> Iterator[tuple[Path, ...]]:
        with self.scratch() as folder, ThreadPoolExecutor(self.transfers) as threads:
            # Numbered: keys may be longer than a file's name, and two of them may end alike.
            targets = [(key, folder / f"{n:06d}-{_name(key)}") for n, key in enumerate(keys)]
            # The first failure is raised here, after the transfers under way have ended.
            for _ in threads.map(self._fetch, *zip(*targets, strict=True)) if targets else ():
                pass
            yield tuple(path for _, path in targets)

    def scratch(self) -> AbstractContextManager[Path]:
        # By user, for the folder is closed to others.
        return scratch_folder(Path(tempfile.gettempdir()) / f"vending-scratch-{os.getuid()}")

    def _list_folder(self, folder: Folder, prefix: str) -> Iterator[StoredObject]:
        inside = f"{folder.to_bucket(prefix)}/"
        is_shared = bool(folder.reserved) and prefix == folder.lake
        client = self._client(prefix)
        for entry in self._entries(client, inside, "/" if is_shared else ""):
            if isinstance(entry, str):
                if not folder.is_reserved(folder.to_lake(entry)) and not _is_hidden(entry):
                    yield from self._list_folder(folder, folder.to_lake(entry).rstrip("/"))
            elif not _is_hidden(entry["Key"].removeprefix(inside)):
                yield from _stored(folder.to_lake(entry["Key"]), entry)

    def _entries(self, client: S3Client, prefix: str, delimiter: str) -> Iterator[Any]:
        """The objects below a prefix, and as text the folders in it if there is a delimiter."""
        pages = client.get_paginator("list_objects_v2").paginate(
            Bucket=self._settings.bucket,
            Prefix=prefix,
            Delimiter=delimiter,
            PaginationConfig={"PageSize": _LISTED_AT_ONCE},
        )
        with self._explained(prefix, "list"):
            for page in pages:
                yield from page.get("Contents", ())
                yield from (entry["Prefix"] for entry in page.get("CommonPrefixes", ()))

    def _head(self, key: str) -> Any:
        return self._client(key).head_object(Bucket=self._settings.bucket, Key=bucket_key(key))

    def _body(self, stored: StoredObject, start: int) -> Any:
        # Only the version that was described: a file that is replaced meanwhile must not be mixed.
        answer = self._client(stored.key).get_object(
            Bucket=self._settings.bucket,
            Key=bucket_key(stored.key),
            Range=f"bytes={start}-",
            # In quotes (RFC 9110, 13.1.1): S3 does without, R2 does not.
            IfMatch=f'"{stored.etag}"',
        )
        return answer["Body"]

    def _fetch(self, key: str, target: Path) -> None:
        with self._explained(key, "read"):
            self._client(key).download_file(
                self._settings.bucket, bucket_key(key), str(target), Config=_WHOLE
            )

    def _is_written_by(self, key: str, writer: str) -> bool:
        """Whether an object that is there already is our own: a write is repeated when its answer
        was lost, and the repetition is refused.
        """
        with self._explained(key, "read"):
            try:
                return self._head(key)["Metadata"].get("writer") == writer
            except ClientError as error:
                if _status(error) == 404:
                    return False
                raise

    def _put(self, key: str, content: bytes, **conditions: Any) -> None:
        self._client(key).put_object(
            Bucket=self._settings.bucket,
            Key=bucket_key(key),
            Body=content,
            **attributes(self._settings, key),
            **conditions,
        )

    @contextmanager
    def _explained(self, key: str, verb: str) -> Iterator[None]:
        try:
            yield
        except _STORE_ERRORS as error:
            raise LakeError(self._sentence(key, verb, error)) from error

    def _sentence(self, key: str, verb: str, error: Exception) -> str:
        # The messages of botocore quote addresses and may quote requests: only its codes are told.
        code = error.response["Error"]["Code"] if isinstance(error, ClientError) else ""
        remedy = {
            "404": "put it back or rebuild it from raw",
            "NoSuchKey": "put it back or rebuild it from raw",
            "NoSuchBucket": "make the bucket or correct VENDING_LAKE_BUCKET",
            "403": "give the role of this environment access to it",
            "AccessDenied": "give the role of this environment access to it",
            "PreconditionFailed": "it changed meanwhile, so run the task again",
        }.get(code, f"check the connection {self._settings.connection_id!r} and run the task again")
        reason = code or type(error).__name__
        return f"Cannot {verb} {key!r} in the lake {self._settings.bucket} ({reason}); {remedy}."


def _stored(key: str, entry: Any) -> Iterator[StoredObject]:
    if key.endswith("/"):  # consoles make such objects to show an empty folder
        return
    if is_key(key):
        etag = entry["ETag"].strip('"')
        yield StoredObject(key, entry["Size"], etag, entry["LastModified"])
    else:
        log.warning("%r is not read: rename it without empty parts.", key)


def _is_hidden(name: str) -> bool:
    return any(part.startswith(".") for part in name.split("/"))


def _status(error: ClientError) -> int:
    return error.response["ResponseMetadata"]["HTTPStatusCode"]


def _name(key: str) -> str:
    """The end of a key's last part, so that compressed files keep their suffix."""
    return key.rpartition("/")[2][-60:]
