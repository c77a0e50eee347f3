"""What a load does to what came before it: rejections it resolves, copies, versions made again."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from include.contracts import SameContent, load_catalog
from include.ingest.plan import BatchLoad, ColumnDrift, ConformedBatch, DriftKind
from include.lake import DiskLake
from include.warehouse import CurrentFile, ReplaySelection, Warehouse
from tests.include.warehouse.batches import NOON, PRODUCTS, SALES, BatchMaker, Version

FILE, COPY = "sales_VM001_20260101.csv", "copy/sales_VM001_20260101.csv"


class Loader:
    """Loads batches, each in a run of its own, into an open warehouse."""

    def __init__(self, warehouse: Warehouse, make_batch: BatchMaker) -> None:
        self.warehouse = warehouse
        self.make_batch = make_batch
        self.runs = 0

    def __call__(self, *versions: Version, **batch: Any) -> BatchLoad:
        self.runs += 1
        made = self.make_batch(*versions, batch_id=f"batch-{self.runs}", **batch)
        return self.load(made)

    def load(self, batch: ConformedBatch) -> BatchLoad:
        dataset = load_catalog().dataset(batch.dataset)
        return self.warehouse.load(batch, dataset, f"run-{self.runs}")

    def rows(self, statement: str) -> list[tuple]:
        return self.warehouse._connection.execute(statement).fetchall()


@pytest.fixture
def loader(warehouse: Warehouse, lake: DiskLake) -> Loader:
    return Loader(warehouse, BatchMaker(lake))


RESOLUTIONS = (
    "SELECT row_number, resolution, resolved_by, resolved_run_id FROM ops.quarantine "
    "WHERE load_id = {} ORDER BY row_number"
)


def test_a_replay_marks_what_it_accepted_and_what_it_rejected_again(loader):
    first = Version(rows=3, rejected=2)
    loader(first)
    again = Version(rows=4, rejected=1, generation=1, replaces=first.load_id)
    loader(again)

    # The fixture numbers rejected rows behind the accepted ones: 5 and 6, and then 6.
    assert loader.rows(RESOLUTIONS.format(first.load_id)) == [
        (5, "accepted", again.load_id, "run-2"),
        (6, "rejected_again", again.load_id, "run-2"),
    ]
    assert loader.rows(RESOLUTIONS.format(again.load_id)) == [(6, None, None, None)]


def test_a_corrected_file_replaces_the_rejections_of_the_version_before(loader):
    first = Version(rejected=1)
    other = Version(object_key="sales_VM002_20260101.csv", content="other", rejected=1)
    loader(first, other)
    corrected = Version(
        content="B", generation=1, replaces=first.load_id, landed_at=NOON + timedelta(hours=1)
    )
    loader(corrected)

    assert loader.rows(RESOLUTIONS.format(first.load_id)) == [
        (5, "replaced", corrected.load_id, "run-2")
    ]
    assert loader.rows(RESOLUTIONS.format(other.load_id)) == [(5, None, None, None)]


def test_a_replayed_master_version_takes_the_place_of_its_own_load_only(loader):
    first = Version("products.csv", "A", rows=2, rejected=1, contract=PRODUCTS)
    second = Version(
        "products.csv", "B", generation=1, contract=PRODUCTS, landed_at=NOON + timedelta(days=1)
    )
    loader(first, contract=PRODUCTS)
    loader(second, contract=PRODUCTS)
    again = Version("products.csv", "A", rows=3, generation=2, contract=PRODUCTS)

    result = loader(again, contract=PRODUCTS)

    assert (result.rows_loaded, result.rows_retired) == (3, 2)
    current = loader.rows("SELECT load_id FROM ops.load_history WHERE is_current")
    assert {load_id for (load_id,) in current} == {second.load_id, again.load_id}
    assert loader.rows("SELECT count(*) FROM raw.products") == [(6,)]


def test_a_copy_is_loaded_with_a_note_where_the_contract_says_nothing(loader):
    original = Version()
    copy = Version(object_key=COPY)

    result = loader(original, copy)

    assert (result.files_loaded, result.files_skipped, result.rows_loaded) == (2, 0, 6)
    notes = "SELECT object_key, same_as, note FROM ops.load_history WHERE same_as IS NOT NULL"
    assert loader.rows(notes) == [
        (COPY, original.load_id, f"Has the content of {FILE}, and was loaded as well.")
    ]


def test_a_copy_is_skipped_with_a_note_where_the_contract_says_so(loader):
    original = Version(rows=3, rejected=1)
    loader(original)
    copy = Version(object_key=COPY, rows=3, rejected=1)

    result = loader(copy, same_content=SameContent.SKIP)

    assert (result.files_skipped, result.rows_loaded, result.rows_quarantined) == (1, 0, 0)
    ledger = (
        "SELECT same_as, note, rows_read, rows_conformed, rows_quarantined, rows_duplicate "
        f"FROM ops.load_history WHERE load_id = {copy.load_id}"
    )
    note = f"Has the content of {FILE}, and was skipped."
    assert loader.rows(ledger) == [(original.load_id, note, 4, 0, 0, 4)]
    assert loader.warehouse.check("sales", [original.load_id, copy.load_id], "run") == []


def test_a_skipped_copy_comes_back_when_its_original_is_corrected(loader):
    original = Version()
    copy = Version(object_key=COPY)
    loader(original, copy, same_content=SameContent.SKIP)
    corrected = Version(content="B", generation=1, replaces=original.load_id)
    loader(corrected, same_content=SameContent.SKIP)

    current = f"SELECT is_current FROM ops.load_history WHERE load_id = {copy.load_id}"
    assert loader.rows(current) == [(False,)]
    returned = Version(object_key=COPY, generation=1)
    assert loader(returned, same_content=SameContent.SKIP).rows_loaded == 3
    assert loader.rows("SELECT count(*) FROM raw.sales") == [(6,)]


def test_a_skipped_copy_stays_skipped_when_its_original_is_replayed(loader):
    original = Version()
    loader(original, Version(object_key=COPY), same_content=SameContent.SKIP)
    again = Version(generation=1, replaces=original.load_id)
    loader(again, same_content=SameContent.SKIP)

    copies = f"SELECT same_as, is_current FROM ops.load_history WHERE object_key = '{COPY}'"
    assert loader.rows(copies) == [(again.load_id, True)]
    assert loader.rows("SELECT count(*) FROM raw.sales") == [(3,)]


def test_the_drift_of_a_file_is_recorded_with_its_load(loader):
    drift = ColumnDrift(kind=DriftKind.RENAMED, column="qty", expected="quantity", found="qty")
    drifted = Version(drift=(drift,))
    loader(drifted)

    found = "SELECT load_id, object_key, kind, column_name, expected, found FROM ops.schema_drift"
    assert loader.rows(found) == [(drifted.load_id, FILE, "renamed", "qty", "quantity", "qty")]


def test_a_file_that_is_gone_is_remembered_until_it_is_back(loader):
    loader(Version(), Version(object_key=COPY, content="other"))
    gone = CurrentFile(SALES, FILE, is_missing=False)
    noon = datetime(2026, 1, 2, 12, tzinfo=UTC)

    loader.warehouse.note_missing([gone], [], noon)
    missing = {
        file.object_key for file in loader.warehouse.current_files([SALES]) if file.is_missing
    }
    assert missing == {FILE}
    since = "SELECT missing_since FROM ops.load_history WHERE missing_since IS NOT NULL"
    assert loader.rows(since) == [(noon.replace(tzinfo=None),)]

    loader.warehouse.note_missing([], [gone], noon)
    assert not any(file.is_missing for file in loader.warehouse.current_files([SALES]))


@pytest.mark.parametrize(
    ("selection", "found"),
    [
        (ReplaySelection(), {"bad"}),
        (ReplaySelection(source="fleet"), {"bad"}),
        (ReplaySelection(source=SALES), {"bad"}),
        (ReplaySelection(source="completejourney"), set()),
        (ReplaySelection(object_key="bad"), {"bad"}),
        (ReplaySelection(object_key="good"), set()),
        (ReplaySelection(reason="invalid_value"), {"bad"}),
        (ReplaySelection(reason="invalid"), set()),
        (ReplaySelection(contract_version="1.0.0"), {"bad"}),
        (ReplaySelection(contract_version="1.0.1"), set()),
        (ReplaySelection(first_day=NOON.date(), last_day=NOON.date()), {"bad", "good"}),
        (
            ReplaySelection(
                first_day=NOON.date() + timedelta(days=1), last_day=NOON.date() + timedelta(days=9)
            ),
            set(),
        ),
    ],
    # A set has another order in each process, and the processes of a run compare the names.
    ids=lambda value: str(sorted(value) if isinstance(value, set) else value),
)
def test_a_selection_finds_the_loads_to_make_again(loader, selection, found):
    bad = Version("bad", rejected=1)
    loader(bad, Version("good", "other"))
    loader(Version("retired", "C", rejected=1))
    loader(Version("retired", "D", generation=1, landed_at=NOON + timedelta(days=30)))

    candidates = {
        candidate.object_key: candidate for _, candidate in loader.warehouse.replayable(selection)
    }

    assert set(candidates) == found
    if "bad" in candidates:
        chosen = candidates["bad"]
        assert (chosen.current.load_id, chosen.earlier_loads) == (bad.load_id, 1)
        assert (chosen.location, chosen.landed_at) == (chosen.raw_location, NOON)


def test_a_replay_of_a_version_that_was_corrected_meanwhile_changes_nothing(loader):
    first = Version()
    loader(first)
    corrected = Version(
        content="B", generation=1, replaces=first.load_id, landed_at=NOON + timedelta(hours=1)
    )
    loader(corrected)

    late = loader(replace(first, generation=1, replaces=first.load_id))

    assert late.rows_loaded == 0
    assert loader.rows("SELECT DISTINCT _load_id FROM raw.sales") == [(corrected.load_id,)]
