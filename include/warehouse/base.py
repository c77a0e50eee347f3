"""What ingest needs of a warehouse, whichever engine it is."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import date, datetime
from typing import NamedTuple, Protocol

from include.contracts import DatasetContract
from include.ingest.plan import BatchLoad, Candidate, ConformedBatch
from include.lake import Lake
from include.settings import DuckDBSettings, WarehouseSettings


class WarehouseError(RuntimeError):
    """The warehouse cannot be used, or would not be right afterwards; nothing was changed."""


class UnknownReferences(WarehouseError):
    """A batch holds rows that its contract does not let in, for no master knows what they name.

    ``keys`` are those values, by field, at the ledger's ``sequence``.
    """

    def __init__(self, batch_id: str, keys: Mapping[str, Sequence[str]], sequence: int) -> None:
        super().__init__(
            f"Batch {batch_id} refers to what no master knows, or other loads came between its "
            "being judged and loaded; run the task again."
        )
        self.keys = keys
        self.sequence = sequence


class ListedFile(NamedTuple):
    """A file that a listing of the lake shows, as one source contract sees it.

    A named tuple, as each run makes one of every file there is. ``location`` is its lake key;
    ``raw_location`` the same if it lies in raw already. ``modified_at`` (UTC) is when it was
    changed last.
    """

    source_contract: str
    object_key: str
    location: str
    size_bytes: int
    etag: str
    raw_location: str | None = None
    modified_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Imbalance:
    """A load whose rows in the warehouse are not those that its ledger row promises."""

    load_id: int
    object_key: str
    problem: str


@dataclass(frozen=True, slots=True)
class CurrentFile:
    """A file that the ledger has as current, and whether it was missing at the last look."""

    source_contract: str
    object_key: str
    is_missing: bool


@dataclass(frozen=True, slots=True)
class UnreadFile:
    """A file of the sources that nobody reads, with why; its name can be shown."""

    object_key: str
    reason: str


@dataclass(frozen=True, slots=True)
class Coverage:
    """A span of business dates, both ends included, and how many current loads hold its rows."""

    source_contract: str
    first_day: date
    last_day: date
    loads: int


@dataclass(frozen=True, slots=True)
class ReplaySelection:
    """Which current loads to conform again from raw; what is None does not restrict.

    ``source`` is a vendor or the id of a source contract. ``reason`` is a reason code and
    ``contract_version`` the version that rejected: both look at the rejected rows. Days (inclusive)
    look at the business dates of the rows that were loaded, or at the day of landing where there
    are none. Without days only loads with rejected rows are meant. ``awaited`` are datasets: only
    loads that are older than the latest load of one of these, of the same source.
    """

    source: str | None = None
    object_key: str | None = None
    reason: str | None = None
    contract_version: str | None = None
    first_day: date | None = None
    last_day: date | None = None
    awaited: tuple[str, ...] = ()

    @property
    def text_in_reasons(self) -> str | None:
        """What the JSON of a rejection's reasons must hold; None if nothing.

        Of loads that wait the code may also be in the message of a file with too many rejected
        rows, which counts them.
        """
        if self.reason is None or self.awaited:
            return self.reason
        return f'"{self.reason}"'


@dataclass(frozen=True, slots=True)
class LoadTotals:
    """Sums over the ledger rows of some loads; ``quarantined`` counts rows by first reason."""

    files: int
    rows_read: int
    rows_conformed: int
    rows_quarantined: int
    rows_duplicate: int
    quarantined: dict[str, int]


class Warehouse(Protocol):
    """One open warehouse. Every method raises WarehouseError, one sentence, when it fails."""

    def ensure_schema(self, datasets: Iterable[DatasetContract]) -> None:
        """Create what is missing: schemas, tables, the columns of a newer contract, the lock row.

        Never inside a load: Snowflake commits the open transaction at every DDL statement.
        """

    def new_versions(self, listed: Iterable[ListedFile]) -> Iterator[tuple[str, Candidate]]:
        """The listed files that the ledger does not hold with that etag, with their contract's id.

        Both sides are streamed: memory does not grow with the number of files.
        """

    def load(self, batch: ConformedBatch, dataset: DatasetContract, run_id: str) -> BatchLoad:
        """Publish a conformed batch in one transaction; a batch that is loaded already is a no-op.

        Killed at any point, the warehouse holds all of the batch or nothing of it. Raises
        UnknownReferences if rows of it must not be loaded; nothing of it is then.
        """

    def check(self, dataset: str, load_ids: Sequence[int], run_id: str) -> list[Imbalance]:
        """The loads of which a row is missing or too many, in the raw table or in quarantine.

        What was counted of each load is kept in ``ops.load_checks``; a check that is repeated by
        the same run replaces its rows.
        """

    def current_files(self, source_contracts: Sequence[str]) -> Iterator[CurrentFile]:
        """Every file that is current under one of the contracts, each once, as a stream."""

    def note_missing(
        self, gone: Sequence[CurrentFile], returned: Sequence[CurrentFile], now: datetime
    ) -> None:
        """Remember in the ledger which current files are gone at their source, and which are back.

        ``now`` is in UTC.
        """

    def note_unread(self, files: Iterable[UnreadFile], run_id: str, now: datetime) -> None:
        """Keep in ``ops.unread_files`` the files that are not read; others in it are resolved.

        ``now`` is in UTC, and later than at the look before.
        """

    def replayable(self, selection: ReplaySelection) -> Iterator[tuple[str, Candidate]]:
        """The current loads of a selection as candidates in raw, with their contract's id.

        A copy that was skipped is none of them.
        """

    def covered_days(self, first_day: date, last_day: date) -> list[Coverage]:
        """The spans of the current loads with rows of any of these days (inclusive), each once."""

    def totals(self, load_ids: Sequence[int]) -> LoadTotals:
        """What the ledger says of these loads, in sum."""

    def unknown_locations(self, locations: Sequence[str]) -> list[str]:
        """Those of the lake keys that no ledger row names as its Parquet."""


def open_warehouse(
    settings: WarehouseSettings, lake: Lake, *, wait_seconds: float = 60
) -> AbstractContextManager[Warehouse]:
    """Open the warehouse that the settings name, for the length of a ``with`` block.

    If another process has the file, wait up to ``wait_seconds`` for it. Raises WarehouseError.
    """
    if isinstance(settings, DuckDBSettings):
        # Imported here: a DAG file that imports the steps must not pay for the engine.
        from include.warehouse.duckdb import opened

        return opened(settings.path, lake, wait_seconds=wait_seconds)
    from include.warehouse import snowflake

    return snowflake.opened(settings)
