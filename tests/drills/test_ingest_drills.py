"""Ingest in a real Airflow, broken in the ways in which it breaks: what is there afterwards.

One Airflow for all of them, so that each drill finds the history that the ones before left.
"""

from __future__ import annotations

import os
import random
import resource
import time
from collections.abc import Iterator

import duckdb
import psutil
import pytest

from include import rebuild
from include.settings import load_settings
from tests.drills.deliveries import Deliveries
from tests.drills.stack import Platform, kill, platform, restart, wait_until

pytestmark = [pytest.mark.timeout(600), pytest.mark.xdist_group("drills")]

RUN_SECONDS = 4.0
MANY_ROWS = 250_000


@pytest.fixture(scope="module")
def airflow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    with (
        pytest.MonkeyPatch.context() as monkeypatch,
        platform(tmp_path_factory.mktemp("drills"), monkeypatch, {}) as started,
    ):
        yield started


@pytest.fixture(scope="module")
def deliveries(airflow: Platform) -> Deliveries:
    return Deliveries(airflow)


@pytest.fixture(scope="module")
def chance() -> random.Random:
    """Seeded by DRILL_SEED, or anew each time: pytest shows the seed of a drill that failed."""
    seed = int(os.environ.get("DRILL_SEED", time.time_ns() % 1_000_000))
    print(f"DRILL_SEED={seed}")
    return random.Random(seed)


def deliver_something(deliveries: Deliveries, chance: random.Random) -> None:
    """New files, and a correction of an old one."""
    deliveries.add(files=20)
    deliveries.correct(chance.randint(1, deliveries.machines), 7, 8, "cheap", 9)


@pytest.mark.parametrize("number", range(int(os.environ.get("DRILL_KILLS", 5))))
def test_a_task_killed_at_a_random_moment_is_run_again_and_nothing_shows(
    airflow: Platform, deliveries: Deliveries, chance: random.Random, number: int
) -> None:
    deliver_something(deliveries, chance)
    run = airflow.start()
    delay = chance.uniform(0, RUN_SECONDS)
    time.sleep(delay)
    wait_until(lambda: airflow.tasks() or airflow.api.run(run).is_over, "a task at work")
    victims = airflow.tasks()
    killed = bool(victims) and kill(chance.choice(victims))
    run = airflow.finish(run)

    print(f"drill {number}: after {delay:.2f} s, killed {killed}, {airflow.states(run)}")
    assert run.state == "success"
    deliveries.check()


def test_a_run_whose_scheduler_was_killed_is_made_good_by_the_next(
    airflow: Platform, deliveries: Deliveries, chance: random.Random
) -> None:
    deliver_something(deliveries, chance)
    run = airflow.start()
    wait_until(lambda: airflow.tasks() or airflow.api.run(run).is_over, "a task at work")
    time.sleep(chance.uniform(0, RUN_SECONDS / 2))
    assert kill(airflow.scheduler())
    wait_until(lambda: not airflow.running.state.is_alive, "Airflow to end without a scheduler")

    restart(airflow)

    assert airflow.api.run(run).is_over
    assert airflow.run().state == "success"
    deliveries.check()


def test_a_load_killed_inside_its_transaction_leaves_nothing_and_is_repeated(
    airflow: Platform, deliveries: Deliveries
) -> None:
    deliveries.add(files=1)
    deliveries.put(1, range(MANY_ROWS))
    content = airflow.layout.sources / deliveries.name(1)
    before = airflow.layout.warehouse.stat().st_size
    run = airflow.start()
    # DuckDB writes the rows of an open transaction to its file before it commits them.
    wait_until(
        lambda: airflow.layout.warehouse.stat().st_size > before + 500_000, "rows to be written"
    )
    victims = airflow.tasks()
    committed = airflow.api.run(run).is_over
    killed = [kill(process) for process in victims]
    run = airflow.finish(run)

    assert any(killed)
    assert not committed
    assert content.stat().st_size > 10_000_000
    assert run.state == "success"
    deliveries.check()
    deliveries.correct(1, 1, 2)
    assert airflow.run().state == "success"
    deliveries.check()


@pytest.fixture
def full_disk(airflow: Platform) -> Iterator[None]:
    """No task can write beyond the first 200 KB of a file, as under a quota that is used up.

    A limit of the processes and not of a disk: that needs no privileges. Of the error that the
    kernel gives only the number differs.
    """
    workers = airflow.workers()
    assert workers
    for worker in workers:
        worker.rlimit(psutil.RLIMIT_FSIZE, (200_000, resource.RLIM_INFINITY))
    yield
    for worker in workers:
        worker.rlimit(psutil.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


def test_a_full_disk_is_a_sentence_and_nothing_is_half_loaded(
    airflow: Platform, deliveries: Deliveries, full_disk: Iterator[None]
) -> None:
    before = airflow.rows("SELECT count(*), sum(amount) FROM raw.sales")
    for machine in range(1, 4):
        deliveries.put(machine, range(20_000))

    run = airflow.run()

    assert run.state == "failed"
    assert "free space on the disk and run the task again" in airflow.log(run)
    assert "free space on the disk" in airflow.alerts()
    assert airflow.rows("SELECT count(*), sum(amount) FROM raw.sales") == before


def test_after_a_full_disk_the_next_run_loads_what_is_missing(
    airflow: Platform, deliveries: Deliveries
) -> None:
    assert airflow.run().state == "success"
    deliveries.check()


def test_truncated_parquet_is_a_sentence_and_conform_writes_it_again(
    airflow: Platform, deliveries: Deliveries, chance: random.Random
) -> None:
    deliver_something(deliveries, chance)
    known = set((airflow.layout.data / "staging" / "sales").glob("*.parquet"))
    run = airflow.start()
    wait_until(lambda: airflow.states(run).get("discover_files") == "success", "discovery")
    airflow.api.size_pool(0)
    wait_until(lambda: airflow.states(run).get("conform[0]") == "success", "conform")
    [made] = set((airflow.layout.data / "staging" / "sales").glob("*.parquet")) - known
    os.truncate(made, made.stat().st_size // 2)
    airflow.api.size_pool(1)
    run = airflow.finish(run)

    assert run.state == "failed"
    assert "clear the conform task of the batch" in airflow.log(run)
    assert airflow.clear(run, "conform").state == "success"
    deliveries.check()


def test_a_truncated_warehouse_is_a_sentence_and_is_made_again_from_raw(
    airflow: Platform, deliveries: Deliveries
) -> None:
    path = airflow.layout.warehouse
    with duckdb.connect(str(path)) as connection:
        connection.execute("CHECKPOINT")
    os.truncate(path, path.stat().st_size // 2)
    run = airflow.run()
    assert run.state == "failed"
    assert "make it again from raw with make rebuild" in airflow.log(run)

    settings = load_settings({"VENDING_DATA_DIR": str(airflow.layout.data)})
    beside = rebuild._beside(settings, settings.warehouse)
    rebuild.rebuild_raw(beside)
    rebuild._swap(beside.warehouse.path, path)

    deliveries.check()
    assert airflow.run().state == "success"
    deliveries.check()


def test_parameters_that_make_no_sense_start_nothing(airflow: Platform) -> None:
    assert airflow.api.refusal("replay_quarantine", {"contract_version": "1; DROP TABLE x"}) == 400
    assert airflow.api.refusal("replay_quarantine", {"source": "fleet' OR 1=1"}) == 400
    assert airflow.api.refusal("replay_quarantine", {"dry_run": "maybe"}) == 400
    assert airflow.api.refusal("reprocess_day", {"first_day": "yesterday"}) == 400

    run = airflow.run("replay_quarantine", source="flet")
    assert run.state == "failed"
    assert "'flet' is no source; use one of" in airflow.alerts()


def test_a_replay_says_first_and_does_then(airflow: Platform, deliveries: Deliveries) -> None:
    ledger = "SELECT count(*) FROM ops.load_history"
    before = airflow.rows(ledger)
    selection = {"source": "fleet.sales", "reason": "invalid_value"}

    dry = airflow.run("replay_quarantine", **selection)
    assert dry.state == "success"
    assert f"Dry run: {len(deliveries.bad_files())} files would be loaded again" in airflow.log(dry)
    assert airflow.rows(ledger) == before

    run = airflow.run("replay_quarantine", **selection, dry_run=False)
    assert run.state == "success"
    resolved = (
        f"SELECT DISTINCT resolution FROM ops.quarantine WHERE resolved_run_id = '{run.run_id}'"
    )
    assert airflow.rows(resolved) == [("rejected_again",)]
    deliveries.check()


def test_a_backfill_of_airflow_reprocesses_each_day(
    airflow: Platform, deliveries: Deliveries
) -> None:
    airflow.api.backfill(
        "reprocess_day", "2025-12-31", "2026-01-01", runs=2, conf={"dry_run": False}
    )
    wait_until(
        lambda: [run.is_over for run in airflow.api.runs(["reprocess_day"])] == [True, True],
        "both days",
    )

    runs = airflow.api.runs(["reprocess_day"])
    assert {run.state for run in runs} == {"success"}
    assert {run.run_id.split("__")[2] for run in runs} == {"2025-12-31", "2026-01-01"}
    [(loads,)] = airflow.rows(
        "SELECT count(*) FROM ops.load_history WHERE is_current AND run_id LIKE 'backfill%'"
    )
    assert loads == len(deliveries.files)
    deliveries.check()


def test_a_day_is_reprocessed_by_hand(airflow: Platform, deliveries: Deliveries) -> None:
    run = airflow.run("reprocess_day", first_day="2026-01-01", dry_run=False)

    assert run.state == "success"
    deliveries.check()
