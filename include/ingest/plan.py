"""What an ingest run plans and what it has done, handed from task to task through the lake.

XCom carries only the keys of these documents: a run over thousands of files would fill the
metadata database otherwise, and a task on another worker can read the lake but no disk.
"""

from __future__ import annotations

from datetime import date, datetime
from enum import StrEnum

from pydantic import BaseModel, ConfigDict

from include.contracts import Reference, SameContent


class _Document(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class KnownVersion(_Document):
    """The current ledger row of one (source contract, object key)."""

    load_id: int
    checksum: str
    etag: str
    generation: int
    contract_fingerprint: str


class Candidate(_Document):
    """A file that discovery found new or changed: not yet read, so its content may be known.

    ``location`` is the lake key to read: the source's own file, or, for an API page or a replay,
    the version in raw. ``raw_location`` is set when it lies in raw already, ``landed_at`` (UTC)
    when it is also known since when. ``modified_at`` (UTC) is when it was changed last, as far as
    the listing says. ``earlier_loads`` counts the ledger rows of the same contract and key.
    """

    object_key: str
    location: str
    size_bytes: int
    etag: str
    earlier_loads: int
    current: KnownVersion | None = None
    raw_location: str | None = None
    landed_at: datetime | None = None
    modified_at: datetime | None = None


class Batch(_Document):
    """Candidates of one source contract that one conform task takes.

    ``planned_at`` (UTC) is when discovery had looked at all of them. In a replay each candidate is
    a version in raw, and ``current`` the load of it that conform is to make again.
    """

    batch_id: str
    source_contract: str
    candidates: tuple[Candidate, ...]
    planned_at: datetime | None = None
    is_replay: bool = False


class LandedFile(_Document):
    """One immutable file version in raw, with the load_id that it will be loaded under.

    ``landed_on`` is the date of ``landed_at`` (UTC) in the source's time zone.
    ``replaces`` is the load that this version retires (dataset loaded by ``replace``), if any.
    """

    load_id: int
    object_key: str
    raw_location: str
    size_bytes: int
    checksum: str
    etag: str
    generation: int
    landed_at: datetime
    landed_on: date
    replaces: int | None = None


class UnchangedFile(_Document):
    """A candidate whose content proved to be the current version: only its etag is noted."""

    load_id: int
    etag: str


class FailedFile(_Document):
    """A candidate that could not be read or kept; the message is one sentence with the remedy."""

    object_key: str
    message: str


class WaitingFile(_Document):
    """A candidate that is not complete yet, with the reason; the next run looks at it again."""

    object_key: str
    reason: str


class DriftKind(StrEnum):
    """How a column of a file can differ from its contract."""

    ADDED = "added"
    MISSING = "missing"
    RENAMED = "renamed"
    REORDERED = "reordered"
    RETYPED = "retyped"


class ColumnDrift(_Document):
    """One column in which a file differs from its contract; see ``ops.schema_drift``."""

    kind: DriftKind
    column: str
    expected: str | None = None
    found: str | None = None


class RuleWarning(_Document):
    """A rule that only warns, by the field and the reason code, and the rows that break it."""

    field: str
    code: str
    rows: int


class PersonalFinding(_Document):
    """Personal data that was found in text and masked; see ``ops.pii_findings``.

    ``field`` is a field of the dataset, ``_extra``, or ``record`` for rejected rows.
    """

    field: str
    kind: str
    matches: int


class ConformedFile(_Document):
    """What conform made of one landed file.

    rows_read = rows_conformed + rows_quarantined + rows_duplicate, always.
    Business dates are the least and greatest of the conformed rows, in the source's time zone.
    """

    landed: LandedFile
    rows_read: int
    rows_conformed: int
    rows_quarantined: int
    rows_duplicate: int
    business_date_from: date | None = None
    business_date_to: date | None = None
    drift: tuple[ColumnDrift, ...] = ()
    warnings: tuple[RuleWarning, ...] = ()
    personal: tuple[PersonalFinding, ...] = ()


class ConformedBatch(_Document):
    """What one conform task leaves for the loader. Locations are lake keys; None means no rows.

    Of a batch without the rows whose references are unknown, ``judged_seq`` is the ledger sequence
    at which they were.
    """

    batch_id: str
    source_contract: str
    source: str
    dataset: str
    contract_version: str
    contract_fingerprint: str
    files: tuple[ConformedFile, ...]
    unchanged: tuple[UnchangedFile, ...] = ()
    failed: tuple[FailedFile, ...] = ()
    waiting: tuple[WaitingFile, ...] = ()
    same_content: SameContent = SameContent.LOAD
    references: tuple[Reference, ...] = ()
    judged_seq: int | None = None
    parquet_location: str | None = None
    quarantine_location: str | None = None


class Noticed(_Document):
    """Files that discovery has something to say about; only the first are kept by name."""

    count: int = 0
    first: tuple[str, ...] = ()


class IngestPlan(_Document):
    """What discovery found: lake keys of Batch documents, grouped by the task that conforms them.

    Unknown files are those that no source contract matches; only the first names are kept. Refused
    files have a name that nothing may be made of, waiting ones are not complete yet, removed ones
    are current in the ledger and gone from the source since the last run. A dry run is conformed
    and not loaded.
    """

    groups: tuple[tuple[str, ...], ...]
    files: int
    unknown_files: int = 0
    first_unknown: tuple[str, ...] = ()
    refused: Noticed = Noticed()
    waiting: Noticed = Noticed()
    removed: Noticed = Noticed()
    is_dry_run: bool = False

    @property
    def batches(self) -> tuple[str, ...]:
        """The keys of all batches."""
        return tuple(key for group in self.groups for key in group)


class BatchLoad(_Document):
    """What one transaction did to the warehouse.

    ``load_ids`` are all loads of the batch, those that an earlier attempt loaded included.
    ``files_known`` were in the ledger already, ``files_skipped`` are new and have the content of a
    file that is loaded under another name. ``rows_loaded`` came to the raw table,
    ``rows_retired`` left it.
    """

    batch_id: str
    source_contract: str
    dataset: str
    ledger_seq: int
    load_ids: tuple[int, ...]
    files_loaded: int
    files_known: int
    files_unchanged: int
    loads_retired: int
    rows_loaded: int
    rows_retired: int
    rows_quarantined: int
    files_skipped: int = 0


class LoadReport(_Document):
    """What the load task of a run did, one entry for each batch."""

    batches: tuple[BatchLoad, ...]


class RunSummary(_Document):
    """What verification found in the ledger for the loads of one run.

    ``quarantined`` counts rows by the code of their first reason; a file that was rejected whole
    counts its rows, or one if not even they could be counted. ``drift`` counts files by what is
    new about their columns, as in "fleet.sales: added channel". ``personal`` counts what was found
    in text and masked, as in "fleet.replenishment: phone in note".
    """

    files: int
    unknown_files: int
    rows_read: int
    rows_conformed: int
    rows_quarantined: int
    rows_duplicate: int
    quarantined: dict[str, int]
    refused: Noticed = Noticed()
    waiting: Noticed = Noticed()
    removed: Noticed = Noticed()
    drift: dict[str, int] = {}
    personal: dict[str, int] = {}
