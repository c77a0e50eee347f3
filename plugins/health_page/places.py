"""Reads objects that the pipeline wrote: files, or objects of S3 and of what speaks its protocol.

[vending]
health_connection = an Airflow connection of type aws; without it, the role of the machine
"""

from __future__ import annotations

import time
from functools import cache
from pathlib import Path
from threading import Lock
from typing import Any
from urllib.parse import urlsplit

from airflow.configuration import conf

# Between two looks at an object store: a look takes a tenth of a second.
KEPT_SECONDS = 10.0
CONNECT_SECONDS = 1
READ_SECONDS = 2


def read_place(place: str) -> bytes:
    """What is at a path or s3://bucket/key. Raises FileNotFoundError, or botocore's errors."""
    return _object(place).read() if "://" in place else Path(place).read_bytes()


@cache
def _object(place: str) -> _KeptObject:
    return _KeptObject(place, _client(conf.get("vending", "health_connection", fallback="")))


@cache
def _client(connection_id: str) -> Any:
    # Imported here: the provider costs a second, and a laptop has no use for it.
    from airflow.providers.amazon.aws.hooks.base_aws import AwsBaseHook
    from botocore.config import Config

    hook = AwsBaseHook(aws_conn_id=connection_id or None, client_type="s3")
    config = Config(
        connect_timeout=CONNECT_SECONDS,
        read_timeout=READ_SECONDS,
        retries={"total_max_attempts": 2},
    )
    return hook.get_client_type(config=config.merge(hook.config))


class _KeptObject:
    """One object, kept for some seconds."""

    def __init__(self, place: str, client: Any) -> None:
        url = urlsplit(place)
        self._bucket, self._key = url.netloc, url.path.lstrip("/")
        self._client = client
        self._lock = Lock()
        self._read_at = float("-inf")
        self._content = b""

    def read(self) -> bytes:
        with self._lock:
            if time.monotonic() - self._read_at > KEPT_SECONDS:
                self._content = self._fetch()
                self._read_at = time.monotonic()
            return self._content

    def _fetch(self) -> bytes:
        try:
            answer = self._client.get_object(Bucket=self._bucket, Key=self._key)
        except self._client.exceptions.NoSuchKey:
            raise FileNotFoundError(self._key) from None
        return answer["Body"].read()
