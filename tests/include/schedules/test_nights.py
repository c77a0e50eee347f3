"""What a night has done, and what it still misses."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path
from types import SimpleNamespace

import pytest

from include.bundle import bundle_checksum
from include.lake import DiskLake, LakeError
from include.nights import Mark, Night, Part, mark_ingested, missing_contracts
from include.warehouse import Coverage

DAY = date(2026, 11, 19)
MARK = Mark(run_id="run", at=datetime(2026, 11, 20, 1, 30, tzinfo=UTC), checksum="abc")


@pytest.fixture
def night(tmp_path: Path) -> Night:
    return Night(DiskLake(tmp_path), DAY)


def run_of(dag_id: str) -> SimpleNamespace:
    return SimpleNamespace(dag_id=dag_id, run_id="run", partition_key="2026-11-19", run_after=None)


def test_a_mark_is_read_as_it_was_written_and_the_last_one_counts(night: Night) -> None:
    assert night.read(Part.VERIFIED) is None
    night.mark(Part.VERIFIED, MARK)
    night.mark(Part.VERIFIED, MARK.model_copy(update={"checksum": "def"}))

    assert night.read(Part.VERIFIED) == MARK.model_copy(update={"checksum": "def"})


def test_marks_of_another_day_do_not_count(night: Night) -> None:
    Night(night.lake, date(2026, 11, 18)).mark(Part.VERIFIED, MARK)

    assert night.read(Part.VERIFIED) is None


def test_both_ingest_dags_have_to_end(night: Night) -> None:
    assert night.missing_ingest() == ["ingest_files has not ended", "ingest_apis has not ended"]

    mark_ingested(night.lake, run_of("ingest_files"))
    assert night.missing_ingest() == ["ingest_apis has not ended"]

    mark_ingested(night.lake, run_of("ingest_apis"))
    assert night.missing_ingest() == []


def test_a_dag_that_loads_for_another_reason_notes_nothing(night: Night) -> None:
    mark_ingested(night.lake, run_of("reprocess_day"))

    assert list(night.lake.list("dbt-artifacts")) == []


def test_a_damaged_mark_is_a_sentence_with_the_remedy(night: Night) -> None:
    night.lake.write_bytes("dbt-artifacts/nights/2026-11-19/verified.json", b"{")

    with pytest.raises(LakeError, match=r"is no mark of a night .*; delete it"):
        night.read(Part.VERIFIED)


def test_a_vendor_that_delivered_lately_and_not_today_is_missed() -> None:
    covered = [
        Coverage("fleet.sales", date(2026, 11, 1), date(2026, 11, 18), 1),
        Coverage("fleet.sales", DAY, DAY, 1),
        Coverage("fleet.replenishment", date(2026, 11, 18), date(2026, 11, 18), 1),
        Coverage("weather_service.weather", date(2026, 11, 10), date(2026, 11, 25), 1),
    ]

    assert missing_contracts(DAY, covered) == ["fleet.replenishment has no rows of the day"]


def files(contract: str, counts: dict[int, int]) -> list[Coverage]:
    """So many files of one day each, by the day of November."""
    return [
        Coverage(contract, date(2026, 11, day), date(2026, 11, day), count)
        for day, count in counts.items()
    ]


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        ({17: 50, 18: 50, 19: 30}, ["fleet.sales has 30 files of the day, of at least 45"]),
        ({17: 50, 18: 50, 19: 45}, []),
        ({17: 20, 18: 50, 19: 18}, []),
        ({18: 1, 19: 1}, []),
        ({18: 50}, ["fleet.sales has no rows of the day"]),
        ({19: 1}, []),
    ],
    ids=["half", "enough", "a quiet day before", "one file a day", "nothing", "the first day"],
)
def test_a_delivery_that_stopped_half_way_is_missed(counts, expected) -> None:
    assert missing_contracts(DAY, files("fleet.sales", counts)) == expected


def test_who_never_delivered_is_not_expected() -> None:
    assert missing_contracts(DAY, []) == []


def test_the_checksum_is_of_the_code_wherever_it_lies(tmp_path: Path) -> None:
    def bundle(name: str, dags: str, content: str = "x = 1\n") -> str:
        root = tmp_path / name
        for path in (f"{dags}transform.py", "include/a.py", "dbt/models/m.sql", "dbt/target/x.sql"):
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_text(content, "utf-8")
        (root / "dbt/target/x.sql").write_text(name, "utf-8")
        return bundle_checksum(root)

    assert bundle("repository", "dags/") == bundle("mwaa", "")
    assert bundle("repository", "dags/") != bundle("changed", "dags/", "x = 2\n")
