"""The secret that keyed hashes, tokens and synthetic values are made with.

In staging and prod it is the password of an Airflow connection: base64 of at least 32 bytes, with
its ``version`` in the extra. A new pepper takes the next version; values that were masked with an
earlier one show that and do not join with the new ones until their days are reprocessed.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os
import secrets
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from uuid import uuid4

from include.settings import PepperConnection, PepperFile, PepperSettings

_LEAST_BYTES = 32
# 128 bits, half of what HMAC-SHA256 gives, as RFC 2104 allows.
DIGEST_CHARACTERS = 32


class PepperError(RuntimeError):
    """There is no usable pepper; one sentence with the remedy, never the pepper."""


class Purpose(StrEnum):
    """What a key is derived for, so that a hash tells nothing of a token of the same value."""

    KEYED_HASH = "h"
    TOKEN = "t"
    SYNTHETIC = "s"


@dataclass(frozen=True, slots=True)
class Pepper:
    """A pepper and its version, which masked values carry."""

    version: int
    secret: bytes = field(repr=False)

    def key(self, purpose: Purpose) -> bytes:
        """The key of one purpose, 32 bytes."""
        return hmac.digest(self.secret, f"vending {purpose.name.lower()}".encode(), "sha256")

    def mark(self, purpose: Purpose) -> str:
        """What stands before a masked value: the purpose and the version, as in ``h1:``."""
        return f"{purpose.value}{self.version}:"

    def masked(self, purpose: Purpose, text: str) -> str:
        """The keyed hash or token of a text; `masking_sql` makes the same in DuckDB."""
        digest = hmac.new(self.key(purpose), text.encode(), hashlib.sha256).hexdigest()
        return self.mark(purpose) + digest[:DIGEST_CHARACTERS]


def read_pepper(settings: PepperSettings) -> Pepper:
    """The pepper of an environment. Raises PepperError."""
    if isinstance(settings, PepperFile):
        return local_pepper(settings.path)
    return _connected_pepper(settings)


def local_pepper(path: Path) -> Pepper:
    """The pepper of a laptop, made by the first that asks for it. Raises PepperError.

    Deleting the file changes every masked value of data that is conformed afterwards.
    """
    if not path.exists():
        _create(path)
    return _pepper(path.read_text(encoding="ascii").strip(), 1, str(path))


def _create(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f"{path.name}.{uuid4().hex}")
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(base64.b64encode(secrets.token_bytes(_LEAST_BYTES)).decode())
    try:
        # Unlike a rename, a link leaves the pepper of a process that was faster.
        os.link(beside, path)
    except FileExistsError:
        pass
    finally:
        beside.unlink()


def _connected_pepper(settings: PepperConnection) -> Pepper:
    # Imported here: only a task asks for a connection.
    from airflow.sdk import BaseHook
    from airflow.sdk.exceptions import AirflowNotFoundException

    name = settings.connection_id
    try:
        connection = BaseHook.get_connection(name)
    except AirflowNotFoundException:
        raise PepperError(
            f"The Airflow connection {name!r} with the pepper of masked values does not exist, so "
            "no personal data is processed; create it as docs/privacy.md says."
        ) from None
    version = connection.extra_dejson.get("version", 1)
    if not isinstance(version, int) or version < 1:
        raise PepperError(
            f"The extra of the Airflow connection {name!r} must give the version of the pepper as "
            "a whole number from 1."
        )
    return _pepper(connection.password or "", version, f"The Airflow connection {name!r}")


def _pepper(text: str, version: int, where: str) -> Pepper:
    try:
        secret = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        secret = b""
    if len(secret) < _LEAST_BYTES:
        raise PepperError(
            f"{where} holds no pepper; it must be base64 of at least {_LEAST_BYTES} bytes, as from "
            "`openssl rand -base64 32`."
        )
    return Pepper(version, secret)
