"""A stream of one object that goes on where it stopped when the connection breaks."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from tenacity import Retrying, retry_if_exception_type, stop_after_attempt
from tenacity.wait import wait_random_exponential
from urllib3.exceptions import HTTPError

from include.lake.base import LakeError, StoredObject

CHUNK_BYTES = 1 << 20
_ATTEMPTS = 5

_BROKEN = (BotoCoreError, HTTPError, ConnectionError)


class ObjectStream(io.RawIOBase):
    """Reads an object once from its beginning; ``body`` opens it at a byte.

    A request that fails is retried by the client; what is retried here is an answer that breaks
    off while it is read. Raises LakeError when it keeps breaking or the object has changed.
    """

    def __init__(self, stored: StoredObject, body: Callable[[int], Any]) -> None:
        self._stored = stored
        self._open_body = body
        self._body: Any = None
        self._position = 0
        self._retrying = Retrying(
            retry=retry_if_exception_type(_BROKEN),
            wait=wait_random_exponential(multiplier=0.2, max=20),
            stop=stop_after_attempt(_ATTEMPTS),
            reraise=True,
        )

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if self._position >= self._stored.size_bytes:
            return 0
        try:
            chunk = self._retrying(self._read, len(buffer))
        except (*_BROKEN, ClientError) as error:
            raise LakeError(
                f"Cannot read {self._stored.key!r} in the lake to its end "
                f"({type(error).__name__} at byte {self._position}); run the task again."
            ) from error
        buffer[: len(chunk)] = chunk
        self._position += len(chunk)
        return len(chunk)

    def close(self) -> None:
        self._drop_body()
        super().close()

    def _read(self, size: int) -> bytes:
        if self._body is None:
            self._body = self._open_body(self._position)
        try:
            chunk = self._body.read(size)
        except _BROKEN:
            self._drop_body()
            raise
        if not chunk:
            self._drop_body()
            raise ConnectionError("the answer ended early")
        return chunk

    def _drop_body(self) -> None:
        if self._body is not None:
            self._body.close()
            self._body = None
