"""The token vault: what stands behind each token, encrypted, in the lake's restricted prefix.

vault/<source contract>/<batch>.parquet    token, sealed

Conform writes one file for each batch that has tokens; a batch that is conformed again replaces its
file. Only `include.privacy.detokenise` reads them.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable
from itertools import batched
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from include.lake import Lake, Zone
from include.privacy.pepper import local_pepper
from include.settings import PepperFile, PepperSettings

_SEALED_AT_ONCE = 10_000
_SCHEMA = pa.schema(
    [
        pa.field("token", pa.string(), nullable=False),
        pa.field("sealed", pa.binary(), nullable=False),
    ]
)


class VaultError(RuntimeError):
    """The vault cannot be opened, or does not hold a token; the message never shows a value."""


def vault_keys(settings: PepperSettings) -> MultiFernet:
    """The keys of the vault: the first seals, every one opens. Only for tasks and commands.

    The password of the Airflow connection holds them by comma, the newest first, as Airflow's own
    ``fernet_key`` does; a laptop makes one key for itself. Raises VaultError and PepperError.
    """
    if isinstance(settings, PepperFile):
        secret = local_pepper(settings.path).secret
        return MultiFernet([Fernet(base64.urlsafe_b64encode(secret))])
    return _connected_keys(settings.connection_id)


def _connected_keys(connection_id: str) -> MultiFernet:
    # Imported here: only a task or a command asks for a connection.
    from airflow.sdk import BaseHook
    from airflow.sdk.exceptions import AirflowNotFoundException

    try:
        password = BaseHook.get_connection(connection_id).password or ""
    except AirflowNotFoundException:
        raise VaultError(
            f"The Airflow connection {connection_id!r} with the keys of the vault does not exist; "
            "create it as docs/privacy.md says."
        ) from None
    try:
        return MultiFernet([Fernet(key.strip()) for key in password.split(",")])
    except ValueError:
        raise VaultError(
            f"The password of the Airflow connection {connection_id!r} must be keys of Fernet, by "
            "comma, the newest first; write it as docs/privacy.md says."
        ) from None


def vault_key(lake: Lake, source_contract: str, batch_id: str) -> str:
    """The key in the lake of a batch's file. Raises LakeError."""
    return lake.key(Zone.VAULT, source_contract, f"{batch_id}.parquet")


def seal_values(path: Path, keys: MultiFernet, values: Iterable[tuple[str, str]]) -> None:
    """Write (token, value) pairs with the values sealed, a part of them in memory at a time."""
    with pq.ParquetWriter(path, _SCHEMA) as writer:
        for pairs in batched(values, _SEALED_AT_ONCE):
            tokens = pa.array([token for token, _ in pairs], pa.string())
            sealed = pa.array([keys.encrypt(value.encode()) for _, value in pairs], pa.binary())
            writer.write_batch(pa.record_batch([tokens, sealed], schema=_SCHEMA))


def find_value(lake: Lake, keys: MultiFernet, token: str) -> str:
    """The value behind a token, from whichever batch kept it. Raises VaultError and LakeError."""
    for stored in lake.list(Zone.VAULT.value):
        with lake.local_paths([stored.key]) as [path]:
            rows = pq.read_table(path, filters=[("token", "=", token)]).to_pylist()
        if rows:
            return _opened(keys, rows[0]["sealed"])
    raise VaultError("No batch in the vault holds this token; check that it is written whole.")


def _opened(keys: MultiFernet, sealed: bytes) -> str:
    try:
        return keys.decrypt(sealed).decode()
    except InvalidToken:
        raise VaultError(
            "None of the vault's keys is the one that sealed the token, or its file was changed; "
            "put the earlier key back, behind the newer ones."
        ) from None
