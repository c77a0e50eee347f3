"""One KV namespace over the REST API."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from include.cloudflare.errors import CloudflareError, told_as

if TYPE_CHECKING:
    from cloudflare import Cloudflare

# https://developers.cloudflare.com/kv/platform/limits/; a bulk may hold 100 MB as well.
BULK_PAIRS = 10_000
BULK_BYTES = 20_000_000
KEY_BYTES = 512
VALUE_BYTES = 25 * 1024 * 1024
SHORTEST_TTL_SECONDS = 60

KEY_NOT_FOUND = 10009


@dataclass(frozen=True, slots=True)
class Pair:
    """A key and its text. ``ttl`` in seconds; None keeps it until it is deleted."""

    key: str
    value: str
    ttl: int | None = None


class KvNamespace:
    """A namespace. Every method raises CloudflareError."""

    def __init__(self, client: Cloudflare, account_id: str, namespace_id: str) -> None:
        self._client = client
        self._ids: dict[str, str] = {"account_id": account_id, "namespace_id": namespace_id}

    def put_all(self, pairs: Iterable[Pair]) -> int:
        """Write pairs in bulks within the limits of number and size; returns how many."""
        written = 0
        for bulk in _bulks(pairs):
            body = [_body(pair) for pair in bulk]
            with told_as("write to KV"):
                answer = self._client.kv.namespaces.bulk_update(body=body, **self._ids)  # type: ignore[arg-type]
            _require_all(answer)
            written += len(body)
        return written

    def delete_all(self, keys: Iterable[str]) -> int:
        deleted = 0
        for bulk in _groups(keys, BULK_PAIRS):
            with told_as("delete from KV"):
                answer = self._client.kv.namespaces.bulk_delete(body=bulk, **self._ids)  # type: ignore[arg-type]
            _require_all(answer)
            deleted += len(bulk)
        return deleted

    def read(self, key: str) -> str | None:
        """A key's text, None if there is no such key."""
        try:
            with told_as("read from KV"):
                return self._client.kv.namespaces.values.get(key, **self._ids).text()
        except CloudflareError as error:
            if error.code == KEY_NOT_FOUND:
                return None
            raise

    def keys(self, prefix: str) -> Iterator[str]:
        with told_as("list keys of KV"):
            for key in self._client.kv.namespaces.keys.list(prefix=prefix, **self._ids):  # type: ignore[arg-type]
                yield key.name


def _bulks(pairs: Iterable[Pair]) -> Iterator[list[Pair]]:
    bulk: list[Pair] = []
    size = 0
    for pair in pairs:
        pair_size = len(pair.key.encode()) + len(pair.value.encode())
        if bulk and (len(bulk) == BULK_PAIRS or size + pair_size > BULK_BYTES):
            yield bulk
            bulk, size = [], 0
        bulk.append(pair)
        size += pair_size
    if bulk:
        yield bulk


def _groups(keys: Iterable[str], size: int) -> Iterator[list[str]]:
    group: list[str] = []
    for key in keys:
        group.append(key)
        if len(group) == size:
            yield group
            group = []
    if group:
        yield group


def _body(pair: Pair) -> dict[str, Any]:
    body: dict[str, Any] = {"key": pair.key, "value": pair.value}
    return body if pair.ttl is None else body | {"expiration_ttl": pair.ttl}


def _require_all(answer: Any) -> None:
    failed = getattr(answer, "unsuccessful_keys", None)
    if failed:
        raise CloudflareError(
            f"KV did not take {len(failed)} keys, {failed[0]!r} first; run the task again."
        )
