"""Every file is in the raw tables once, whatever happens at its source and however many runs."""

from __future__ import annotations

import dataclasses
import multiprocessing
from pathlib import Path

import pytest

from include.contracts import SameContent, load_catalog
from include.ingest import settle, steps
from include.ingest.plan import Noticed, RunSummary
from include.ingest.runs import IngestRun
from include.ingest.verify import findings
from include.lake import DiskLake
from include.settings import load_settings
from tests.include.ingest.running import products, sales

CATALOG = load_catalog()
FIRST, SECOND = "sales_VM001_20260101.csv", "sales_VM002_20260102.csv"


def test_a_file_that_is_removed_is_reported_once_and_its_rows_stay(ingest):
    ingest.deliver(FIRST, sales("VM001", 120))
    ingest.deliver(SECOND, sales("VM002", 500))
    ingest()
    ingest.lake.delete(f"sources/{FIRST}")

    assert ingest().removed == Noticed(count=1, first=(FIRST,))
    assert ingest().removed == Noticed()

    missing = "SELECT object_key FROM ops.load_history WHERE missing_since IS NOT NULL"
    assert ingest.rows(missing) == [(FIRST,)]
    assert ingest.rows("SELECT count(*) FROM raw.sales") == [(2,)]


def test_a_file_that_was_removed_and_is_back_is_known(ingest):
    ingest.deliver(FIRST, sales("VM001", 120))
    ingest()
    ingest.lake.delete(f"sources/{FIRST}")
    ingest()
    ingest.deliver(FIRST, sales("VM001", 120))

    assert ingest().files == 0

    missing = "SELECT count(*) FROM ops.load_history WHERE missing_since IS NOT NULL"
    assert ingest.rows(missing) == [(0,)]
    assert ingest.rows("SELECT count(*) FROM raw.sales") == [(1,)]


def test_a_file_that_is_still_being_written_is_loaded_by_the_next_run(ingest, monkeypatch):
    path = Path(ingest.lake._root) / "sources" / FIRST
    ingest.deliver(FIRST, sales("VM001", 120))
    ingest.deliver(SECOND, sales("VM002", 500))
    look = settle._look

    def look_and_write(lake, file):
        if file.object_key == FIRST:
            path.write_bytes(path.read_bytes() + b"half a line")
        return look(lake, file)

    with monkeypatch.context() as writing:
        writing.setattr(settle, "_look", look_and_write)
        first = ingest()
    ingest.deliver(FIRST, sales("VM001", 120, 130))

    assert first.waiting == Noticed(count=1, first=(FIRST,))
    assert first.files == 1
    assert ingest().rows_conformed == 2
    assert ingest.rows("SELECT count(*) FROM ops.quarantine") == [(0,)]


def test_the_contract_decides_whether_a_copy_is_loaded(ingest, monkeypatch):
    skipping = tuple(
        dataclasses.replace(source, same_content=SameContent.SKIP) for source in CATALOG.sources
    )
    catalog = dataclasses.replace(CATALOG, sources=skipping)
    monkeypatch.setattr(steps, "load_catalog", lambda: catalog)
    ingest.deliver(FIRST, sales("VM001", 120, "cheap"))
    ingest.deliver(f"copy/{FIRST}", sales("VM001", 120, "cheap"))

    summary = ingest()

    assert (summary.rows_read, summary.rows_duplicate, summary.rows_quarantined) == (4, 2, 1)
    assert ingest.rows("SELECT count(*) FROM raw.sales") == [(1,)]
    assert ingest().files == 0


def test_what_is_counted_of_each_load_is_kept(ingest):
    ingest.deliver(FIRST, sales("VM001", 120, "cheap"))
    ingest.deliver("products.csv", products("Cola"))
    ingest()

    kept = (
        "SELECT object_key, load_checks.run_id, load_checks.rows_read, rows_loaded, "
        "load_checks.rows_quarantined, is_balanced "
        "FROM ops.load_checks JOIN ops.load_history USING (load_id) ORDER BY 1"
    )
    assert ingest.rows(kept) == [
        ("products.csv", "run-1", 1, 1, 0, True),
        (FIRST, "run-1", 2, 1, 1, True),
    ]


def test_a_column_that_is_new_is_recorded_and_told_and_its_values_are_kept(ingest):
    first, *rows = sales("VM001", 120, 130).decode().splitlines()
    lines = [f"{first},channel", *(f"{row},app" for row in rows)]
    ingest.deliver(FIRST, ("\n".join(lines) + "\n").encode())

    summary = ingest()

    assert findings(summary) == "fleet.sales: added channel in 1 files."
    drift = "SELECT object_key, kind, column_name, run_id FROM ops.schema_drift"
    assert ingest.rows(drift) == [(FIRST, "added", "channel", "run-1")]
    assert ingest.rows("SELECT DISTINCT _extra FROM raw.sales") == [('{"channel": "app"}',)]


def _ingest(root: str, run_id: str) -> int:
    """A whole run in a process of its own."""
    settle.PAUSE_SECONDS = 0.0
    settings = load_settings({"VENDING_DATA_DIR": root})
    run = IngestRun(DiskLake(Path(root)), "ingest_files", run_id)
    for group in steps.discover_files(run, settings):
        steps.conform(run, settings, group)
    report = steps.load(run, settings)
    steps.verify_run(run, settings)
    return sum(batch.files_loaded for batch in report.batches)


def test_two_runs_at_once_load_each_file_once(ingest):
    for number in range(40):
        ingest.deliver(f"sales_VM{number:03}_20260101.csv", sales(f"VM{number:03}", 120, "cheap"))
    ingest.deliver("products.csv", products("Cola"))
    root = str(ingest.lake._root)

    with multiprocessing.get_context("spawn").Pool(2) as pool:
        loaded = pool.starmap(_ingest, [(root, "run-1"), (root, "run-2")])

    assert sum(loaded) == 41
    assert ingest.rows("SELECT count(*), count(DISTINCT object_key) FROM ops.load_history") == [
        (41, 41)
    ]
    assert ingest.rows("SELECT count(*) FROM raw.sales") == [(40,)]
    assert ingest.rows("SELECT count(*) FROM ops.quarantine") == [(40,)]


NOTHING = RunSummary(
    files=1,
    unknown_files=3,
    rows_read=1,
    rows_conformed=1,
    rows_quarantined=0,
    rows_duplicate=0,
    quarantined={},
)


@pytest.mark.parametrize(
    ("noticed", "sentence"),
    [
        ({}, None),
        ({"waiting": Noticed(count=1, first=("a.csv",))}, None),
        (
            {"drift": {"fleet.sales: added channel": 7}},
            "fleet.sales: added channel in 7 files.",
        ),
        (
            {
                "refused": Noticed(count=1, first=("a%.csv (its name has the character %)",)),
                "removed": Noticed(count=7, first=tuple("abcdefg")),
            },
            "1 files refused for their name: a%.csv (its name has the character %); "
            "7 loaded files removed from the source: a, b, c, d, e, ….",
        ),
    ],
    ids=["nothing", "waiting", "drift", "names"],
)
def test_people_are_told_what_needs_them_although_the_run_succeeded(noticed, sentence):
    assert findings(NOTHING.model_copy(update=noticed)) == sentence
