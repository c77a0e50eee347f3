"""Loads made again from raw: what a changed contract accepts now, and what else must not move."""

from __future__ import annotations

import dataclasses
import logging

import pytest

from include.contracts import load_catalog
from include.ingest import replay, steps
from include.ingest.replay import ReplayError, rejected_rows, whole_days
from include.ingest.steps import IngestError
from include.warehouse import ReplaySelection
from tests.include.ingest.running import products, sales

CATALOG = load_catalog()
FIRST, SECOND = "sales_VM001_20260101.csv", "sales_VM002_20260102.csv"
REFUND = ReplaySelection(reason="out_of_range")


def widen(catalog, dataset: str, field: str, maximum):
    """The catalog of a release in which a field's upper bound is another."""
    sources = []
    for source in catalog.sources:
        if source.dataset.name == dataset:
            fields = tuple(
                dataclasses.replace(each, maximum=maximum) if each.name == field else each
                for each in source.dataset.fields
            )
            wider = dataclasses.replace(source.dataset, fields=fields)
            by_name = {each.name: each for each in fields}
            mappings = tuple(
                dataclasses.replace(each, field=by_name[each.field.name])
                for each in source.mappings
            )
            source = dataclasses.replace(
                source,
                dataset=wider,
                mappings=mappings,
                version="2.0.0",
                fingerprint=f"{source.fingerprint}-wider",
            )
        sources.append(source)
    return dataclasses.replace(catalog, sources=tuple(sources))


@pytest.fixture
def release(monkeypatch):
    """Deploys other contracts."""

    def deploy(catalog) -> None:
        monkeypatch.setattr(steps, "load_catalog", lambda: catalog)

    return deploy


QUANTITY = CATALOG.dataset("sales").field("quantity")


def too_many() -> bytes:
    """Two sales, the second of more pieces than the contract takes."""
    lines = sales("VM001", 120, 130).decode().splitlines()
    lines[2] = lines[2].replace(",1,120,130,", f",{QUANTITY.maximum + 1},120,130,")
    return ("\n".join(lines) + "\n").encode()


def test_a_row_that_a_new_contract_accepts_is_loaded_once_and_marked_resolved(ingest, release):
    ingest.deliver(FIRST, too_many())
    ingest.deliver(SECOND, sales("VM002", 500, "cheap"))
    assert ingest().rows_quarantined == 2
    release(widen(CATALOG, "sales", "quantity", QUANTITY.maximum + 1))

    summary = ingest.replay(REFUND)

    assert (summary.files, summary.rows_conformed, summary.rows_quarantined) == (1, 2, 0)
    assert ingest.rows("SELECT machine_id, count(*) FROM raw.sales GROUP BY 1 ORDER BY 1") == [
        ("VM001", 2),
        ("VM002", 1),
    ]
    assert ingest.rows(
        "SELECT object_key, resolution, resolved_run_id FROM ops.quarantine ORDER BY 1"
    ) == [(FIRST, "accepted", "run-2"), (SECOND, None, None)]
    versions = "SELECT contract_version, is_current FROM ops.load_history WHERE object_key = '{}'"
    assert sorted(ingest.rows(versions.format(FIRST))) == [("1.0.0", False), ("2.0.0", True)]
    assert ingest().files == 0


def test_a_dry_run_says_what_a_replay_would_do_and_changes_nothing(ingest, release, caplog):
    ingest.deliver(FIRST, too_many())
    ingest()
    release(widen(CATALOG, "sales", "quantity", QUANTITY.maximum + 1))
    everything = ("FROM raw.sales", "FROM ops.load_history", "FROM ops.quarantine")
    before = [ingest.rows(statement) for statement in everything]
    run = ingest.new_run()

    with caplog.at_level(logging.INFO):
        groups = steps.discover_replay(run, ingest.settings, REFUND, is_dry_run=True)
        for group in groups:
            steps.conform(run, ingest.settings, group)
        assert steps.load(run, ingest.settings) is None

    assert (
        "Dry run: 1 files would be loaded again; rows loaded 1 now and 2 then, "
        "quarantined 1 now and 0 then; nothing was changed." in caplog.text
    )
    assert [ingest.rows(statement) for statement in everything] == before


def test_a_replay_under_the_same_contract_ends_with_the_same_rows(ingest):
    ingest.deliver(FIRST, sales("VM001", 120, "cheap"))
    ingest.deliver("products.csv", products("Cola", "Tea"))
    ingest()
    contents = (
        "SELECT * EXCLUDE (_load_id) FROM raw.sales ORDER BY ALL",
        "SELECT * EXCLUDE (_load_id) FROM raw.products ORDER BY ALL",
        "SELECT row_number, reasons, record FROM ops.quarantine WHERE resolution IS NULL",
    )
    before = [ingest.rows(statement) for statement in contents]

    assert ingest.replay(ReplaySelection()).files == 1
    days = whole_days(CATALOG, first_day="2025-12-01", last_day="2026-11-30")
    assert ingest.replay(days).files == 2

    assert [ingest.rows(statement) for statement in contents] == before


def test_a_replay_that_is_done_twice_from_one_plan_is_done_once(ingest):
    ingest.deliver(FIRST, sales("VM001", 120, "cheap"))
    ingest()
    run = ingest.new_run()
    groups = steps.discover_replay(run, ingest.settings, ReplaySelection(), is_dry_run=False)
    for _ in range(2):
        for group in groups:
            steps.conform(run, ingest.settings, group)
        steps.load(run, ingest.settings)
    steps.verify_run(run, ingest.settings)

    assert ingest.rows("SELECT count(*) FROM ops.load_history") == [(2,)]
    assert ingest.rows("SELECT count(*) FROM raw.sales") == [(1,)]


def test_a_day_is_made_again_with_what_was_rejected_of_it(ingest):
    ingest.deliver(FIRST, sales("VM001", 120))
    ingest.deliver(SECOND, sales("VM002", 500, day="2026-01-02"))
    ingest()

    days = whole_days(CATALOG, first_day="2026-01-02", last_day="")
    assert ingest.replay(days).files == 1

    again = "SELECT object_key FROM ops.load_history WHERE generation = 1"
    assert ingest.rows(again) == [(SECOND,)]


def test_raw_that_is_not_what_was_loaded_is_named_and_not_loaded(ingest, lake):
    ingest.deliver(FIRST, sales("VM001", 120, "cheap"))
    ingest()
    [(location,)] = ingest.rows("SELECT raw_location FROM ops.load_history")
    lake.write_bytes(location, sales("VM001", 999))
    run = ingest.new_run()
    [group] = steps.discover_replay(run, ingest.settings, ReplaySelection(), is_dry_run=False)

    with pytest.raises(IngestError, match=r"in raw is not what was loaded from .*; restore it"):
        steps.conform(run, ingest.settings, group)
    steps.load(run, ingest.settings)

    assert ingest.rows("SELECT amount::INTEGER FROM raw.sales") == [(120,)]


def test_a_load_whose_contract_no_longer_exists_is_a_sentence(ingest, release):
    ingest.deliver(FIRST, sales("VM001", "cheap"))
    ingest()
    others = tuple(source for source in CATALOG.sources if source.id != "fleet.sales")
    release(dataclasses.replace(CATALOG, sources=others))

    with pytest.raises(ReplayError, match=r"The contract fleet.sales of .* no longer exists"):
        steps.discover_replay(ingest.new_run(), ingest.settings, ReplaySelection(), is_dry_run=True)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"source": "flet"}, "'flet' is no source; use one of completejourney, "),
        ({"source": "fleet' OR 1=1"}, "is no source; use one of"),
        ({"reason": "cheap"}, "'cheap' is no reason code; use one of conflicting_key, "),
    ],
)
def test_a_parameter_that_names_nothing_is_a_sentence(parameters, message):
    given = {"source": "", "object_key": "", "reason": "", "contract_version": ""}
    with pytest.raises(ReplayError, match=message):
        rejected_rows(CATALOG, **(given | parameters))


@pytest.mark.parametrize(
    ("first_day", "last_day", "message"),
    [
        ("", "", "'' is no day; write it as in 2026-10-05"),
        ("yesterday", "", "'yesterday' is no day"),
        ("2026-02-30", "", "'2026-02-30' is no day"),
        ("2026-10-05", "2026-10-04", "2026-10-05 to 2026-10-04 is no range"),
        ("2024-10-05", "2026-10-04", "is no range of 1 to 366 days"),
    ],
)
def test_a_range_that_is_none_is_a_sentence(first_day, last_day, message):
    with pytest.raises(ReplayError, match=message):
        whole_days(CATALOG, first_day=first_day, last_day=last_day)


def test_the_longest_range_is_a_leap_year():
    days = whole_days(CATALOG, first_day="2024-01-01", last_day="2024-12-31")
    assert (days.last_day - days.first_day).days + 1 == replay.LONGEST_RANGE_DAYS
