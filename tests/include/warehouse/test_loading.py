"""Loading a batch: exactly once, whole or not at all."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path

import duckdb
import pytest

from include.contracts import load_catalog
from include.ingest.plan import BatchLoad, ConformedBatch, UnchangedFile
from include.lake import DiskLake
from include.settings import Settings, load_settings
from include.warehouse import ListedFile, Warehouse, WarehouseError, open_warehouse
from tests.include.warehouse.batches import NOON, PRODUCTS, BatchMaker, Version

REPOSITORY = Path(__file__).parents[3]


@pytest.fixture
def make_batch(lake: DiskLake) -> BatchMaker:
    return BatchMaker(lake)


def load(warehouse: Warehouse, batch: ConformedBatch, run_id: str = "run") -> BatchLoad:
    return warehouse.load(batch, load_catalog().dataset(batch.dataset), run_id)


def rows(settings: Settings, statement: str) -> list[tuple]:
    """What another process sees of the warehouse, once no one has it open."""
    with duckdb.connect(str(settings.warehouse.path), read_only=True) as connection:
        return connection.execute(statement).fetchall()


@pytest.fixture
def closed(settings: Settings, lake: DiskLake) -> Settings:
    """A warehouse with its tables that no one has open."""
    with open_warehouse(settings.warehouse, lake) as warehouse:
        warehouse.ensure_schema(load_catalog().datasets)
    return settings


def load_closed(settings: Settings, lake: DiskLake, batch: ConformedBatch) -> BatchLoad:
    with open_warehouse(settings.warehouse, lake) as warehouse:
        return load(warehouse, batch)


def test_a_batch_brings_rows_quarantine_and_ledger_together(closed, lake, make_batch):
    version = Version(rows=3, rejected=2)

    result = load_closed(closed, lake, make_batch(version))

    assert (result.files_loaded, result.rows_loaded, result.rows_quarantined) == (1, 3, 2)
    assert rows(closed, "SELECT DISTINCT _load_id, count(*) FROM raw.sales GROUP BY ALL") == [
        (version.load_id, 3)
    ]
    assert rows(closed, "SELECT load_id, row_number FROM ops.quarantine ORDER BY row_number") == [
        (version.load_id, 5),
        (version.load_id, 6),
    ]
    ledger = "SELECT load_id, is_current, loaded_seq, rows_read, run_id, etag FROM ops.load_history"
    assert rows(closed, ledger) == [(version.load_id, True, 1, 5, "run", "etag-A")]


def test_loading_a_batch_again_changes_nothing(closed, lake, make_batch):
    batch = make_batch(Version(rejected=1))
    load_closed(closed, lake, batch)
    before = rows(closed, "SELECT * FROM ops.load_history")

    again = load_closed(closed, lake, batch)

    assert (again.files_loaded, again.files_known, again.rows_loaded) == (0, 1, 0)
    assert rows(closed, "SELECT * FROM ops.load_history") == before
    assert rows(closed, "SELECT count(*) FROM raw.sales") == [(3,)]
    assert rows(closed, "SELECT count(*) FROM ops.quarantine") == [(1,)]


def test_a_corrected_file_replaces_exactly_its_own_rows(closed, lake, make_batch):
    first = Version(rows=3)
    other = Version(object_key="sales_VM002_20260101.csv", content="other", rows=4)
    load_closed(closed, lake, make_batch(first, other))
    corrected = Version(content="B", rows=5, generation=1, replaces=first.load_id)

    result = load_closed(closed, lake, make_batch(corrected, batch_id="batch-2"))

    assert (result.loads_retired, result.rows_retired, result.rows_loaded) == (1, 3, 5)
    by_load = rows(closed, "SELECT _load_id, count(*) FROM raw.sales GROUP BY ALL")
    assert dict(by_load) == {corrected.load_id: 5, other.load_id: 4}
    retired = (
        "SELECT load_id, retired_seq, replaced_by, retired_at IS NOT NULL FROM ops.load_history "
        "WHERE NOT is_current"
    )
    assert rows(closed, retired) == [(first.load_id, 2, corrected.load_id, True)]


def test_a_file_that_returns_to_an_earlier_content_is_a_new_load(closed, lake, make_batch):
    first = Version(content="A", rows=3)
    second = Version(content="B", rows=5, generation=1, replaces=first.load_id)
    third = Version(content="A", rows=3, generation=2, replaces=second.load_id)
    for number, version in enumerate((first, second, third)):
        load_closed(closed, lake, make_batch(version, batch_id=f"batch-{number}"))

    assert third.load_id != first.load_id
    assert rows(closed, "SELECT DISTINCT _load_id FROM raw.sales") == [(third.load_id,)]
    history = "SELECT load_id, is_current FROM ops.load_history ORDER BY loaded_seq"
    assert rows(closed, history) == [
        (first.load_id, False),
        (second.load_id, False),
        (third.load_id, True),
    ]


def test_the_same_content_under_another_name_is_a_load_of_its_own(closed, lake, make_batch):
    original = Version()
    copy = Version(object_key="copy/sales_VM001_20260101.csv")

    load_closed(closed, lake, make_batch(original, copy))

    assert original.load_id != copy.load_id
    assert rows(closed, "SELECT count(*) FROM raw.sales") == [(6,)]


def test_every_version_of_a_master_stays(closed, lake, make_batch):
    first = Version(object_key="products.csv", contract=PRODUCTS, content="A", rows=2)
    second = Version(
        object_key="products.csv",
        contract=PRODUCTS,
        content="B",
        rows=3,
        generation=1,
        replaces=first.load_id,
    )
    load_closed(closed, lake, make_batch(first, contract=PRODUCTS))

    load_closed(closed, lake, make_batch(second, contract=PRODUCTS, batch_id="batch-2"))

    assert rows(closed, "SELECT count(*) FROM raw.products") == [(5,)]
    assert rows(closed, "SELECT count(*) FROM ops.load_history WHERE is_current") == [(2,)]


def test_a_late_load_of_an_older_version_does_not_take_over(closed, lake, make_batch):
    """Two runs planned from the same state; the one that landed first loads last."""
    first = Version()
    older = Version(
        content="B",
        rows=4,
        generation=1,
        replaces=first.load_id,
        landed_at=NOON + timedelta(minutes=1),
    )
    newer = Version(
        content="C",
        rows=5,
        generation=1,
        replaces=first.load_id,
        landed_at=NOON + timedelta(minutes=2),
    )
    for number, version in enumerate((first, newer, older)):
        load_closed(closed, lake, make_batch(version, batch_id=f"batch-{number}"))

    assert rows(closed, "SELECT DISTINCT _load_id FROM raw.sales") == [(newer.load_id,)]
    history = (
        f"SELECT is_current, replaced_by FROM ops.load_history WHERE load_id = {older.load_id}"
    )
    assert rows(closed, history) == [(False, newer.load_id)]


def test_a_planned_replacement_holds_although_the_clock_was_set_back(closed, lake, make_batch):
    first = Version()
    second = Version(
        content="B", generation=1, replaces=first.load_id, landed_at=NOON - timedelta(hours=1)
    )
    load_closed(closed, lake, make_batch(first))
    load_closed(closed, lake, make_batch(second, batch_id="batch-2"))

    assert rows(closed, "SELECT DISTINCT _load_id FROM raw.sales") == [(second.load_id,)]


def test_an_unchanged_file_has_its_new_etag_noted(closed, lake, make_batch):
    version = Version()
    load_closed(closed, lake, make_batch(version))
    touched = UnchangedFile(load_id=version.load_id, etag="etag-touched")

    load_closed(closed, lake, make_batch(unchanged=[touched], batch_id="batch-2"))

    assert rows(closed, "SELECT etag FROM ops.load_history") == [("etag-touched",)]


def test_a_batch_that_lost_a_row_is_refused_whole(closed, lake, make_batch):
    batch = make_batch(Version(rejected=1))
    file = batch.files[0].model_copy(update={"rows_conformed": 4, "rows_read": 5})
    short = batch.model_copy(update={"files": (file,)})

    with pytest.raises(WarehouseError, match=r"batch-1 promises 4 rows .* holds 3"):
        load_closed(closed, lake, short)

    for table in ("raw.sales", "ops.load_history", "ops.quarantine"):
        assert rows(closed, f"SELECT count(*) FROM {table}") == [(0,)]
    assert rows(closed, "SELECT ledger_seq FROM ops.load_lock") == [(0,)]


def test_a_batch_without_its_parquet_is_refused_in_a_sentence(closed, lake, make_batch):
    batch = make_batch(Version())
    lake.delete(batch.parquet_location)

    with pytest.raises(WarehouseError, match=r"loading batch batch-1 .*staging/sales/batch-1"):
        load_closed(closed, lake, batch)

    assert rows(closed, "SELECT count(*) FROM ops.load_history") == [(0,)]


def test_two_processes_that_load_the_same_batch_load_it_once(closed, lake, make_batch):
    batch = make_batch(*(Version(object_key=f"sales_VM{n:03}_20260101.csv") for n in range(200)))
    document = batch.model_dump_json()
    spawn = multiprocessing.get_context("spawn")
    with spawn.Pool(2) as pool:
        results = pool.starmap(_load_document, [(str(lake._root), document)] * 2)

    assert sorted(results) == [0, 200]
    assert rows(closed, "SELECT count(*), count(DISTINCT load_id) FROM ops.load_history") == [
        (200, 200)
    ]
    assert rows(closed, "SELECT count(*) FROM raw.sales") == [(600,)]


def _load_document(root: str, document: str) -> int:
    settings = load_settings({"VENDING_DATA_DIR": root})
    batch = ConformedBatch.model_validate_json(document)
    return load_closed(settings, DiskLake(Path(root)), batch).files_loaded


KILLED = """
import os, signal, sys
from pathlib import Path
from include.contracts import load_catalog
from include.ingest.plan import ConformedBatch
from include.lake import DiskLake
from include.warehouse import duckdb, open_warehouse
from include.settings import load_settings

root, document, moment = sys.argv[1:]
settings = load_settings({"VENDING_DATA_DIR": root})
batch = ConformedBatch.model_validate_json(Path(document).read_text())
with open_warehouse(settings.warehouse, DiskLake(Path(root))) as warehouse:
    def die(*_, **__):
        os.kill(os.getpid(), signal.SIGKILL)
    setattr(duckdb.DuckDBWarehouse, moment, die)
    warehouse.load(batch, load_catalog().dataset(batch.dataset), "killed")
"""


@pytest.mark.parametrize("moment", ["_insert_quarantine", "_note_etags"])
def test_a_load_that_is_killed_leaves_nothing_and_can_be_repeated(
    closed, lake, make_batch, tmp_path, moment
):
    first = Version(rows=3)
    load_closed(closed, lake, make_batch(first))
    corrected = Version(content="B", rows=5, generation=1, replaces=first.load_id)
    batch = make_batch(corrected, batch_id="batch-2")
    document = tmp_path / "batch.json"
    document.write_text(batch.model_dump_json())

    killed = subprocess.run(
        [sys.executable, "-c", KILLED, str(lake._root), str(document), moment],
        cwd=REPOSITORY,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        timeout=60,
        check=False,
    )

    assert killed.returncode == -signal.SIGKILL
    by_load = "SELECT _load_id, count(*) FROM raw.sales GROUP BY ALL"
    assert rows(closed, by_load) == [(first.load_id, 3)]
    assert rows(closed, "SELECT ledger_seq FROM ops.load_lock") == [(1,)]
    assert load_closed(closed, lake, batch).rows_loaded == 5
    assert rows(closed, by_load) == [(corrected.load_id, 5)]


def test_discovery_sees_what_is_new_and_what_changed(warehouse, make_batch):
    known = Version()
    changed = Version(object_key="sales_VM002_20260101.csv", content="other")
    load(warehouse, make_batch(known, changed))
    listed = [
        _listed(known.object_key, known.etag),
        _listed(changed.object_key, "etag-corrected"),
        _listed("sales_VM003_20260101.csv", "etag-new"),
        _listed(known.object_key, known.etag, contract="completejourney.sales"),
    ]

    found = {
        (contract, candidate.object_key): candidate
        for contract, candidate in warehouse.new_versions(listed)
    }

    assert found.keys() == {
        ("fleet.sales", changed.object_key),
        ("fleet.sales", "sales_VM003_20260101.csv"),
        ("completejourney.sales", known.object_key),
    }
    correction = found["fleet.sales", changed.object_key]
    assert correction.earlier_loads == 1
    assert correction.current.load_id == changed.load_id
    assert correction.current.checksum == changed.checksum
    assert found["fleet.sales", "sales_VM003_20260101.csv"].current is None


def _listed(object_key: str, etag: str, contract: str = "fleet.sales") -> ListedFile:
    return ListedFile(contract, object_key, f"sources/{object_key}", 10, etag)


def test_a_lost_row_and_a_row_too_many_are_found(closed, lake, make_batch):
    lost = Version(rejected=1)
    whole = Version(object_key="sales_VM002_20260101.csv", content="other")
    load_closed(closed, lake, make_batch(lost, whole))
    with duckdb.connect(str(closed.warehouse.path)) as connection:
        connection.execute(
            "DELETE FROM raw.sales WHERE _load_id = ? AND transaction_id = 'T1'", [lost.load_id]
        )
        connection.execute("DELETE FROM ops.quarantine")

    with open_warehouse(closed.warehouse, lake) as warehouse:
        found = warehouse.check("sales", [lost.load_id, whole.load_id], "run")
        again = warehouse.check("sales", [lost.load_id, whole.load_id], "run")

    problem = "has 2 rows in raw.sales instead of 3"
    assert [(imbalance.load_id, imbalance.problem) for imbalance in found] == [
        (lost.load_id, problem)
    ]
    assert again == found
    assert rows(
        closed,
        "SELECT rows_read, rows_loaded, rows_quarantined, problem FROM ops.load_checks "
        "ORDER BY rows_read DESC",
    ) == [(4, 2, 0, problem), (3, 3, 0, None)]


def test_totals_count_quarantined_rows_by_their_first_reason(warehouse, make_batch):
    version = Version(rows=3, rejected=2)
    load(warehouse, make_batch(version))

    totals = warehouse.totals([version.load_id])

    assert (totals.files, totals.rows_read, totals.rows_conformed) == (1, 5, 3)
    assert totals.quarantined == {"invalid_value": 2}


def test_six_thousand_files_are_one_quick_commit(warehouse, make_batch, lake):
    """The ledger is written as one relation: row by row it would take a minute."""
    batch = make_batch(
        *(Version(object_key=f"sales_VM{n:05}_20260101.csv", rows=1) for n in range(6_000))
    )
    started = time.process_time()

    result = load(warehouse, batch)

    assert result.files_loaded == 6_000
    assert time.process_time() - started < 10
