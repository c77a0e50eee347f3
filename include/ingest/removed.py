"""Finds files that are loaded and no longer at their source."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator
from datetime import datetime
from itertools import islice

import numpy as np

from include.warehouse import CurrentFile, ListedFile, Warehouse

_COMPARED_AT_ONCE = 20_000


class Listing:
    """Which files a listing showed, in eight bytes each: a hash that is good for this process."""

    def __init__(self) -> None:
        self._hashes = array("q")

    def remember(self, listed: Iterable[ListedFile]) -> Iterator[ListedFile]:
        """The same files, remembered as they pass."""
        for file in listed:
            self._hashes.append(hash((file.source_contract, file.object_key)))
            yield file

    def shows(self, files: Iterable[CurrentFile]) -> Iterator[tuple[CurrentFile, bool]]:
        """Each file with whether the listing, which must have ended, showed it."""
        seen = np.sort(np.array(self._hashes, dtype=np.int64))
        remaining = iter(files)
        while chunk := tuple(islice(remaining, _COMPARED_AT_ONCE)):
            hashes = [hash((file.source_contract, file.object_key)) for file in chunk]
            found = np.isin(np.array(hashes, dtype=np.int64), seen)
            yield from zip(chunk, found.tolist(), strict=True)


def note_removed(
    warehouse: Warehouse, source_contracts: list[str], listing: Listing, now: datetime
) -> list[CurrentFile]:
    """Note in the ledger which files are gone since the last look, and which are back.

    Returns those that are gone. ``now`` is in UTC. Raises WarehouseError.
    """
    gone: list[CurrentFile] = []
    returned: list[CurrentFile] = []
    for file, is_there in listing.shows(warehouse.current_files(source_contracts)):
        if not is_there and not file.is_missing:
            gone.append(file)
        elif is_there and file.is_missing:
            returned.append(file)
    if gone or returned:
        warehouse.note_missing(gone, returned, now)
    return gone
