"""The lake: one interface to a laptop's disk and to object stores.

`open_lake` gives the one that the settings name.
"""

from __future__ import annotations

from include.lake.base import Lake, LakeError, StoredObject, Zone
from include.lake.disk import DiskLake
from include.settings import DiskLakeSettings, LakeSettings

__all__ = ["DiskLake", "Lake", "LakeError", "StoredObject", "Zone", "open_lake"]


def open_lake(settings: LakeSettings) -> Lake:
    """The lake that the settings name. Nothing is contacted before the first call."""
    if isinstance(settings, DiskLakeSettings):
        return DiskLake(settings.root)
    # Imported here: a laptop needs no object store.
    from include.lake.connection import s3_client
    from include.lake.object_store import ObjectLake

    return ObjectLake(settings, lambda name: s3_client(settings, name))
