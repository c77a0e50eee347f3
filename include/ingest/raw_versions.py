"""Every version of every file that raw holds, as candidates for a warehouse that knows none."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from include.contracts import Catalog
from include.ingest.landing import LANDED_AT, VERSION
from include.ingest.plan import Candidate
from include.lake import Lake, StoredObject, Zone

_FILES = f"{Zone.RAW.value}/files/"


def raw_versions(lake: Lake, catalog: Catalog) -> Iterator[tuple[str, Candidate]]:
    """The versions with their contracts' ids, those of one file in the order in which they landed.

    The generation of each is its place in that order, as when they were loaded one by one. A file
    that no contract knows any more is left out, as in discovery.
    """
    for object_key, versions in sorted(_by_object_key(lake).items()):
        for contract in catalog.sources_for(object_key):
            for generation, (landed_at, stored) in enumerate(sorted(versions, key=_landed_at)):
                yield (
                    contract.id,
                    Candidate(
                        object_key=object_key,
                        location=stored.key,
                        size_bytes=stored.size_bytes,
                        etag=stored.etag,
                        earlier_loads=generation,
                        raw_location=stored.key,
                        landed_at=landed_at,
                    ),
                )


def _by_object_key(lake: Lake) -> dict[str, list[tuple[datetime, StoredObject]]]:
    versions: dict[str, list[tuple[datetime, StoredObject]]] = {}
    for stored in lake.list(_FILES):
        object_key, _, name = stored.key.removeprefix(_FILES).rpartition("/")
        if match := VERSION.fullmatch(name):
            landed_at = datetime.strptime(match["landed_at"], LANDED_AT).replace(tzinfo=UTC)
            versions.setdefault(object_key, []).append((landed_at, stored))
    return versions


def _landed_at(version: tuple[datetime, StoredObject]) -> datetime:
    return version[0]
