"""Discovery: what is new or changed, in few batches, and what no contract knows."""

from __future__ import annotations

import logging
import os
import time
from dataclasses import replace
from pathlib import Path

import pytest

from include.contracts import Catalog, ContractError, load_catalog
from include.ingest.discover import plan_files, plan_pages
from include.ingest.plan import Batch, IngestPlan
from include.ingest.runs import IngestRun, contract_of
from include.lake import DiskLake
from include.settings import ConformLimits

CATALOG = load_catalog()
LIMITS = ConformLimits(memory_mb=256, threads=1, batch_bytes=1_000_000, batch_files=5_000)


def deliver(lake: DiskLake, *keys: str, content: bytes = b"x") -> None:
    for key in keys:
        lake.write_bytes(f"sources/{key}", content)


def batches(run: IngestRun, plan: IngestPlan) -> list[Batch]:
    return [run.read_batch(key) for key in plan.batches]


def test_files_are_found_anywhere_and_batched_by_contract(run, lake, warehouse):
    deliver(
        lake,
        "sales_VM001_20260101.csv",
        "deep/down/sales_VM001_20260102.csv",
        "products.csv",
        "completejourney/products.csv",
    )

    plan = plan_files(run, warehouse, CATALOG, LIMITS)

    found = {batch.source_contract: _keys(batch) for batch in batches(run, plan)}
    assert found == {
        "fleet.sales": ["deep/down/sales_VM001_20260102.csv", "sales_VM001_20260101.csv"],
        "fleet.products": ["products.csv"],
        "completejourney.products": ["completejourney/products.csv"],
    }
    assert plan.files == 4
    assert run.read_plan() == plan


def _keys(batch: Batch) -> list[str]:
    return [candidate.object_key for candidate in batch.candidates]


def test_files_that_no_contract_knows_are_named(run, lake, warehouse, caplog):
    deliver(lake, "notes.txt", "sales_VM001.csv", "products.csv")

    with caplog.at_level(logging.WARNING):
        plan = plan_files(run, warehouse, CATALOG, LIMITS)

    assert (plan.files, plan.unknown_files) == (1, 2)
    assert set(plan.first_unknown) == {"notes.txt", "sales_VM001.csv"}
    assert "No source contract knows 2 files" in caplog.text
    assert run.read_plan() == plan


def test_a_name_that_is_not_utf8_is_refused(run, lake, warehouse):
    deliver(lake, "products.csv")
    Path(os.fsdecode(bytes(lake._root / "sources") + b"/sales_\xff_20260101.csv")).write_bytes(b"")

    plan = plan_files(run, warehouse, CATALOG, LIMITS)

    assert plan.files == 1
    assert plan.refused.first == (
        "sales_\\udcff_20260101.csv (its name has bytes that are not UTF-8)",
    )
    assert run.read_plan() == plan


def test_links_are_refused_and_what_they_lead_to_is_not_read(run, lake, warehouse, tmp_path):
    deliver(lake, "products.csv")
    secret = tmp_path / "secret.csv"
    secret.write_bytes(b"x")
    (lake._root / "sources" / "staff.csv").symlink_to(secret)
    (lake._root / "sources" / "outside").symlink_to(tmp_path)

    plan = plan_files(run, warehouse, CATALOG, LIMITS)

    assert plan.files == 1
    assert set(plan.refused.first) == {
        "staff.csv (it is a link or a device)",
        "outside (it is a link or a device)",
    }


def _with_marker(contract_id: str, marker: str) -> Catalog:
    return Catalog(
        CATALOG.datasets,
        tuple(
            replace(source, ready_marker=marker) if source.id == contract_id else source
            for source in CATALOG.sources
        ),
    )


def test_a_file_waits_for_the_marker_that_its_contract_names(run, lake, warehouse, caplog):
    catalog = _with_marker("fleet.products", ".done")
    deliver(lake, "products.csv", "staff.csv")

    with caplog.at_level(logging.WARNING):
        waiting = plan_files(run, warehouse, catalog, LIMITS)
    deliver(lake, "products.csv.done")
    complete = plan_files(run, warehouse, catalog, LIMITS)

    assert (waiting.files, waiting.waiting.first) == (1, ("products.csv",))
    assert "1 files wait for the marker" in caplog.text
    assert (complete.files, complete.unknown_files, complete.waiting.count) == (2, 0, 0)


def test_nothing_new_is_an_empty_plan(run, warehouse):
    plan = plan_files(run, warehouse, CATALOG, LIMITS)

    assert plan == IngestPlan(groups=(), files=0)
    assert run.read_plan() == plan


def test_a_batch_ends_at_its_bound_on_files(run, lake, warehouse):
    deliver(lake, *(f"sales_VM{n:03}_20260101.csv" for n in range(7)))
    limits = LIMITS._replace(batch_files=3)

    found = batches(run, plan_files(run, warehouse, CATALOG, limits))

    assert sorted(len(batch.candidates) for batch in found) == [1, 3, 3]
    assert len({batch.batch_id for batch in found}) == 3


def test_a_batch_ends_at_its_bound_on_bytes_and_holds_at_least_one_file(run, lake, warehouse):
    names = [f"sales_VM{n:03}_20260101.csv" for n in range(3)]
    deliver(lake, *names, content=b"x" * 700_000)
    deliver(lake, "sales_VM009_20260101.csv", content=b"x" * 2_000_000)

    found = batches(run, plan_files(run, warehouse, CATALOG, LIMITS))

    assert [len(batch.candidates) for batch in found] == [1, 1, 1, 1]


def test_two_vendors_that_claim_one_file_are_a_sentence(run, lake, warehouse):
    clash = CATALOG.source("completejourney.products")
    catalog = Catalog(
        CATALOG.datasets,
        tuple(_without_folder(source) if source is clash else source for source in CATALOG.sources),
    )
    deliver(lake, "products.csv")

    with pytest.raises(ContractError, match=r"both match 'products.csv'"):
        plan_files(run, warehouse, catalog, LIMITS)


def _without_folder(source):
    return replace(source, folder=None)


def test_pages_in_raw_are_planned_and_other_files_there_are_not(run, lake, warehouse):
    folder = "raw/api/fleet/machine_telemetry"
    for name in ("page-00000001.jsonl.gz", "page-00000002.jsonl.gz", "notes.txt"):
        lake.write_bytes(f"{folder}/{name}", b"x")

    [batch] = batches(run, plan_pages(run, warehouse, CATALOG, LIMITS))

    assert batch.source_contract == "fleet.machine_telemetry"
    assert _keys(batch) == [
        "api/fleet/machine_telemetry/page-00000001.jsonl.gz",
        "api/fleet/machine_telemetry/page-00000002.jsonl.gz",
    ]
    assert batch.candidates[0].raw_location == f"{folder}/page-00000001.jsonl.gz"


def test_two_runs_never_share_a_batch(lake, warehouse):
    deliver(lake, "products.csv")
    first, second = (IngestRun(lake, "ingest_files", run_id) for run_id in ("a:b", "a+b"))

    plans = [plan_files(run, warehouse, CATALOG, LIMITS) for run in (first, second)]

    assert plans[0].batches[0] != plans[1].batches[0]
    assert batches(first, plans[0])[0].batch_id != batches(second, plans[1])[0].batch_id


def test_twenty_thousand_files_are_planned_in_seconds(run, lake, warehouse):
    folder = lake._root / "sources" / "sales"
    folder.mkdir(parents=True)
    for number in range(20_000):
        (folder / f"sales_VM{number:05}_20260101.csv").touch()
    started = time.process_time()

    plan = plan_files(run, warehouse, CATALOG, LIMITS)

    assert (plan.files, len(plan.batches)) == (20_000, 4)
    assert time.process_time() - started < 10


def test_small_batches_share_a_task_and_a_large_one_has_its_own(run, lake, warehouse):
    deliver(lake, "products.csv", "staff.csv", "vending_machines.csv")
    deliver(lake, *(f"sales_VM{n:03}_20260101.csv" for n in range(6)))
    limits = LIMITS._replace(batch_files=6)

    plan = plan_files(run, warehouse, CATALOG, limits)

    by_task = [[contract_of(key) for key in group] for group in plan.groups]
    assert by_task == [
        ["fleet.sales"],
        ["fleet.products", "fleet.staff", "fleet.vending_machines"],
    ]


def test_what_is_not_read_is_kept_with_its_reason_until_it_is_gone(ingest, lake, tmp_path):
    open_files = (
        "SELECT object_key, reason, run_id FROM ops.unread_files "
        "WHERE resolved_at IS NULL ORDER BY 1"
    )
    link = lake._root / "sources" / "staff.csv"
    ingest.deliver("notes.txt", b"")
    ingest.deliver("sales_$(id)_20260101.csv", b"")
    link.symlink_to(tmp_path)
    ingest()
    ingest()
    link.unlink()
    lake.delete("sources/notes.txt")
    ingest.deliver("sales_$(id)_20260102.csv", b"")
    first = ("sales_$(id)_20260101.csv", "its name has the character $", "run-1")
    second = ("sales_$(id)_20260102.csv", "its name has the character $", "run-3")

    ingest()

    assert ingest.rows(open_files) == [first, second]
    resolved = ingest.rows(
        "SELECT object_key, reason, resolved_run_id FROM ops.unread_files "
        "WHERE resolved_at IS NOT NULL ORDER BY 1"
    )
    assert resolved == [
        ("notes.txt", "no source contract knows it", "run-3"),
        ("staff.csv", "it is a link or a device", "run-3"),
    ]
    ingest.deliver("notes.txt", b"")
    ingest()
    assert ("notes.txt", "no source contract knows it", "run-4") in ingest.rows(open_files)
