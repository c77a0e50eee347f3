"""What was published last, kept beside the publisher, so that only changes are written.

published/<sink>/<target>/<mart>/<version>.parquet

One file for each version, with one row for each row of the mart, or for each KV pair. A version is
made from the content alone: the same rows have the same version. Which one readers see, the service
itself says. The file of a version is written before anything of it reaches the service and deleted
after the service has moved on, so that whatever version the service holds, its file is there,
wherever a publisher was killed. Where it is missing all the same, everything is published again.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from include.lake import Lake, Zone
from include.publish.spec import Sink

_SUFFIX = ".parquet"


@dataclass(frozen=True, slots=True)
class PublishedVersions:
    """The version files of one mart at one target, such as a database's id."""

    lake: Lake
    sink: Sink
    target: str
    mart: str

    def key(self, version: str) -> str:
        return f"{self._folder}/{version}{_SUFFIX}"

    def has(self, version: str) -> bool:
        return self.lake.exists(self.key(version))

    def keep(self, version: str, path: Path) -> None:
        """Move a version's file into the lake."""
        self.lake.put_file(path, self.key(version))

    def all(self) -> list[str]:
        """Every version that has a file."""
        objects = self.lake.list(self._folder)
        return [stored.key.rpartition("/")[2].removesuffix(_SUFFIX) for stored in objects]

    def drop_all_but(self, versions: Collection[str]) -> None:
        for version in self.all():
            if version not in versions:
                self.lake.delete(self.key(version))

    @property
    def _folder(self) -> str:
        return self.lake.key(Zone.PUBLISHED, self.sink.value, self.target, self.mart)
