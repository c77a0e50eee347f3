"""Reads the snapshot of health from the place that Airflow's configuration names.

[vending]
health_snapshot = /path/to/monitoring/health.json, or s3://bucket/monitoring/health.json
health_connection = an Airflow connection of type aws; without it, the role of the machine
"""

from __future__ import annotations

import json
import logging
import time
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from threading import Lock
from typing import Any
from urllib.parse import urlsplit

from airflow.configuration import conf

log = logging.getLogger(__name__)

SECTION = "vending"
FORMAT = 1
# Between two looks at an object store: a look takes a tenth of a second.
KEPT_SECONDS = 10.0
CONNECT_SECONDS = 1
READ_SECONDS = 2


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The document, or why there is none: ``missing``, ``unreadable`` or ``unconfigured``."""

    document: dict[str, Any] | None
    problem: str | None = None


def read_snapshot() -> Snapshot:
    """The latest snapshot; never raises."""
    place = conf.get(SECTION, "health_snapshot", fallback="")
    if not place:
        return Snapshot(None, "unconfigured")
    try:
        content = _object_store(place).read() if "://" in place else Path(place).read_bytes()
        document = json.loads(content)
    except FileNotFoundError:
        return Snapshot(None, "missing")
    except Exception as error:
        # Whatever is wrong is for the log; the page says that it cannot be read.
        log.warning("The snapshot of health cannot be read (%s).", type(error).__name__)
        return Snapshot(None, "unreadable")
    is_known = isinstance(document, dict) and document.get("format") == FORMAT
    return Snapshot(document) if is_known else Snapshot(None, "unreadable")


@cache
def _object_store(place: str) -> _ObjectStore:
    return _ObjectStore(place, conf.get(SECTION, "health_connection", fallback="") or None)


class _ObjectStore:
    """One object of S3 or a store that speaks its protocol, kept for some seconds."""

    def __init__(self, place: str, connection_id: str | None) -> None:
        # Imported here: the provider costs a second, and a laptop has no use for it.
        from airflow.providers.amazon.aws.hooks.base_aws import AwsBaseHook
        from botocore.config import Config

        url = urlsplit(place)
        self._bucket, self._key = url.netloc, url.path.lstrip("/")
        hook = AwsBaseHook(aws_conn_id=connection_id, client_type="s3")
        config = Config(
            connect_timeout=CONNECT_SECONDS,
            read_timeout=READ_SECONDS,
            retries={"total_max_attempts": 2},
        )
        self._client = hook.get_client_type(config=config.merge(hook.config))
        self._lock = Lock()
        self._read_at = float("-inf")
        self._content = b""

    def read(self) -> bytes:
        """The object's bytes. Raises FileNotFoundError, or botocore's errors."""
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
