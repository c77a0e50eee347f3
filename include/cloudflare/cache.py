"""The cache of one zone over the REST API."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import batched
from typing import TYPE_CHECKING

from include.cloudflare.errors import told_as

if TYPE_CHECKING:
    from cloudflare import Cloudflare

# https://developers.cloudflare.com/cache/how-to/purge-cache/
PURGED_AT_ONCE = 100


class ZoneCache:
    """What Cloudflare keeps of a zone's answers. Every method raises CloudflareError."""

    def __init__(self, client: Cloudflare, zone_id: str) -> None:
        self._client = client
        self._zone_id = zone_id

    def purge_tags(self, tags: Sequence[str]) -> None:
        """Drop the answers whose header Cache-Tag has one of these."""
        for some in batched(tags, PURGED_AT_ONCE):
            with told_as("purge the cache by tag"):
                self._client.cache.purge(zone_id=self._zone_id, tags=list(some))

    def purge_prefixes(self, prefixes: Sequence[str]) -> None:
        """Drop the answers below these addresses, each a host and the beginning of a path."""
        for some in batched(prefixes, PURGED_AT_ONCE):
            with told_as("purge the cache by prefix"):
                self._client.cache.purge(zone_id=self._zone_id, prefixes=list(some))
