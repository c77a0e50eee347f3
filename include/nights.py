"""What is done of a night: marks in the lake, by business day.

dbt-artifacts/nights/<day>/ingest_files.json    the day's files are loaded and checked
dbt-artifacts/nights/<day>/ingest_apis.json     and its API pages
dbt-artifacts/nights/<day>/verified.json        every dbt test passed, with which code
dbt-artifacts/nights/<day>/override.json        somebody let prod go on without that, and why

Marks and not Airflow's database: a run by hand, a backfill and a run of another environment leave
the same, and prod's role may read staging's.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, ValidationError

from include.lake import Lake, LakeError, Zone
from include.schedules import business_day

if TYPE_CHECKING:
    from include.warehouse import Coverage

# Who delivered for any of so many days before is expected to deliver for the day.
EXPECTED_AFTER_DAYS = 7
# How much of the least of those days: a machine that is out of service holds nobody up, a delivery
# that stopped half-way does.
EXPECTED_SHARE = 0.9


class Part(StrEnum):
    """What can be done of a night. The first two are the ids of the ingest DAGs."""

    INGEST_FILES = "ingest_files"
    INGEST_APIS = "ingest_apis"
    VERIFIED = "verified"
    OVERRIDE = "override"


INGEST_PARTS = (Part.INGEST_FILES, Part.INGEST_APIS)


class Mark(BaseModel):
    """One part that is done. ``checksum`` is of the code, ``by`` a person; ``at`` is in UTC."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    run_id: str
    at: datetime
    checksum: str | None = None
    by: str | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Night:
    """The marks of one business day in one lake."""

    lake: Lake
    day: date

    def mark(self, part: Part, mark: Mark) -> None:
        """Note that a part is done; done again, the last time counts."""
        content = mark.model_dump_json(exclude_none=True).encode()
        self.lake.write_bytes(self._key(part), content)

    def read(self, part: Part) -> Mark | None:
        """None while the part is not done. Raises LakeError if the mark cannot be read."""
        key = self._key(part)
        if not self.lake.exists(key):
            return None
        try:
            return Mark.model_validate_json(self.lake.read_bytes(key))
        except ValidationError as error:
            raise LakeError(
                f"{key!r} in the lake is no mark of a night ({error.error_count()} mistakes); "
                "delete it and run the DAG again that writes it."
            ) from error

    def missing_ingest(self) -> list[str]:
        """The ingest DAGs that have not ended well for the day."""
        return [f"{part} has not ended" for part in INGEST_PARTS if self.read(part) is None]

    def _key(self, part: Part) -> str:
        return self.lake.key(Zone.ARTIFACTS, "nights", self.day.isoformat(), f"{part}.json")


def mark_ingested(lake: Lake, run: Any) -> None:
    """Note that an ingest DAG has ended well for its day; other DAGs that load note nothing."""
    if run.dag_id in INGEST_PARTS:
        mark = Mark(run_id=run.run_id, at=now())
        Night(lake, business_day(run)).mark(Part(run.dag_id), mark)


def now() -> datetime:
    return datetime.now(UTC)


def days_to_compare(day: date) -> tuple[date, date]:
    """The first and last day of which it matters what was loaded, to know what a day misses."""
    return day - timedelta(days=EXPECTED_AFTER_DAYS), day


def missing_contracts(day: date, covered: Iterable[Coverage]) -> list[str]:
    """The source contracts of which fewer files hold rows of the day than can be expected.

    ``covered`` are the loads that hold rows of `days_to_compare`. Expected is nine tenths of the
    least that any of the days before had. What never delivered is not expected, nor what has
    delivered nothing for a week: that is told by the freshness of its table.
    """
    files = _files_by_day(day, covered)
    missing = []
    for contract in sorted(files):
        found = files[contract].pop(day, 0)
        expected = max(1, int(min(files[contract].values(), default=0) * EXPECTED_SHARE))
        if not found and files[contract]:
            missing.append(f"{contract} has no rows of the day")
        elif found < expected:
            missing.append(f"{contract} has {found} files of the day, of at least {expected}")
    return missing


def _files_by_day(day: date, covered: Iterable[Coverage]) -> dict[str, Counter[date]]:
    """How many loads of each source contract hold rows of each of the `days_to_compare`."""
    first, last = days_to_compare(day)
    files: defaultdict[str, Counter[date]] = defaultdict(Counter)
    for span in covered:
        begin, end = max(first, span.first_day), min(last, span.last_day)
        for number in range((end - begin).days + 1):
            files[span.source_contract][begin + timedelta(days=number)] += span.loads
    return files
