"""Ingest in a real Airflow, broken in the ways in which it breaks: what is there afterwards.

One Airflow for all of them, so that each drill finds the history that the ones before left.
"""

from __future__ import annotations

import os
import random
import resource
import time
from collections.abc import Iterator
from dataclasses import dataclass

import duckdb
import psutil
import pytest

from include import rebuild
from include.ingest.api import ApiLimits
from include.settings import load_settings
from tests.drills.deliveries import Deliveries
from tests.drills.stack import Platform, connection, kill, platform, restart, wait_until
from tests.include.ingest.vendor import TOKEN, Answer, Vendor, page, problem, serving

pytestmark = [pytest.mark.timeout(600), pytest.mark.xdist_group("drills")]

RUN_SECONDS, STEP_SECONDS = 4.0, 1.5
AT_WORK = ("running", "success")
MANY_ROWS = 180_000


@dataclass(frozen=True)
class Vendors:
    """The two APIs that the Airflow of the drills is connected to."""

    fleet: Vendor
    weather: Vendor


@pytest.fixture(scope="module")
def vendors() -> Iterator[Vendors]:
    with serving() as fleet, serving() as weather:
        nothing = page(next_cursor="start", has_more=False)
        fleet.pages[None] = weather.pages[None] = nothing
        yield Vendors(fleet, weather)


@pytest.fixture(scope="module")
def airflow(tmp_path_factory: pytest.TempPathFactory, vendors: Vendors) -> Iterator[Platform]:
    variables = {
        "AIRFLOW_CONN_FLEET_API": connection(vendors.fleet.base_url, TOKEN),
        "AIRFLOW_CONN_WEATHER_API": connection(vendors.weather.base_url, TOKEN),
    }
    with (
        pytest.MonkeyPatch.context() as monkeypatch,
        platform(tmp_path_factory.mktemp("drills"), monkeypatch, variables) as started,
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


@pytest.mark.parametrize("number", range(5))
def test_a_task_killed_at_a_random_moment_is_run_again_and_nothing_shows(
    airflow: Platform, deliveries: Deliveries, chance: random.Random, number: int
) -> None:
    kill_once(airflow, deliveries, chance)


@pytest.mark.slow
@pytest.mark.parametrize("number", range(25))
def test_twenty_five_more_random_moments(
    airflow: Platform, deliveries: Deliveries, chance: random.Random, number: int
) -> None:
    kill_once(airflow, deliveries, chance)


@pytest.mark.slow
@pytest.mark.parametrize("number", range(5))
@pytest.mark.parametrize("step", ["discover_files", "conform[0]", "load", "verify"])
def test_each_step_killed_five_times(
    airflow: Platform, deliveries: Deliveries, chance: random.Random, step: str, number: int
) -> None:
    kill_once(airflow, deliveries, chance, step)


def kill_once(
    airflow: Platform, deliveries: Deliveries, chance: random.Random, step: str | None = None
) -> None:
    """Kill a task of a run at a random moment of the run, or of one of its steps.

    A run that ended before its moment came is followed by another, until one is hit.
    """
    while not run_is_hit(airflow, deliveries, chance, step):
        continue


def run_is_hit(
    airflow: Platform, deliveries: Deliveries, chance: random.Random, step: str | None
) -> bool:
    deliver_something(deliveries, chance)
    run = airflow.start()
    if step:
        wait_until(lambda: airflow.states(run).get(step) in AT_WORK, f"the start of {step}")
    delay = chance.uniform(0, STEP_SECONDS if step else RUN_SECONDS)
    time.sleep(delay)
    wait_until(lambda: airflow.tasks() or airflow.api.run(run).is_over, "a task at work")
    victims = airflow.tasks()
    killed = bool(victims) and kill(chance.choice(victims))
    ended = airflow.finish(run)

    print(f"{step or 'run'}: after {delay:.2f} s, killed {killed}, {airflow.states(run)}")
    assert ended.state == "success"
    deliveries.check()
    return killed


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


def test_a_backfill_by_airflows_own_command_gives_the_same_tables(
    airflow: Platform, deliveries: Deliveries
) -> None:
    columns = "SELECT * EXCLUDE (_load_id) FROM raw.sales ORDER BY ALL"
    before = airflow.rows(columns)
    airflow.command(
        *("backfill", "create", "--dag-id", "reprocess_day"),
        *("--from-date", "2025-12-31", "--to-date", "2026-01-01"),
        *("--max-active-runs", "2", "--dag-run-conf", '{"dry_run": false}'),
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
    assert airflow.rows(columns) == before
    deliveries.check()


@pytest.mark.slow
def test_a_day_is_reprocessed_by_hand(airflow: Platform, deliveries: Deliveries) -> None:
    run = airflow.run("reprocess_day", first_day="2026-01-01", dry_run=False)

    assert run.state == "success"
    deliveries.check()


def event(number: int) -> str:
    moment = "2026-01-01T10:00:00+09:00"
    return f'{{"event_id":"e{number}","machine_id":"VM00001","measured_at":"{moment}"}}'


def weather(day: int) -> str:
    return f'{{"prefecture":"Tokyo","date":"2026-01-{day:02}","temperature_max_c":9.5}}'


# No object, one without its key, and one whose time is none.
MALFORMED_ITEMS = (
    "[1,2]",
    '{"machine_id":"VM00001","measured_at":"2026-01-01T10:00:00+09:00"}',
    '{"event_id":"e9","machine_id":"VM00001","measured_at":"soon"}',
)
REJECTED_ITEMS = (
    "SELECT row_number, first_reason FROM ops.quarantine "
    "WHERE dataset = 'machine_telemetry' AND row_number IS NOT NULL ORDER BY 1"
)
EVENTS = "SELECT event_id FROM raw.machine_telemetry ORDER BY 1"
DAYS = "SELECT business_date::VARCHAR FROM raw.weather ORDER BY 1"


def test_an_api_that_fails_and_changes_its_total_is_asked_until_it_answers_and_loses_nothing(
    airflow: Platform, vendors: Vendors
) -> None:
    vendors.fleet.faults = [
        problem(429, Retry_After="1"), problem(503), problem(500), Answer(is_cut_off=True),
    ]  # fmt: skip
    vendors.fleet.pages |= {
        None: page(event(1), next_cursor="c1", has_more=True, total=100),
        "c1": page(event(2), *MALFORMED_ITEMS, next_cursor="c2", has_more=False, total=1),
        "c2": page(next_cursor="c2", has_more=False),
    }

    assert airflow.run("ingest_apis").state == "success"
    assert airflow.rows(EVENTS) == [("e1",), ("e2",)]
    assert airflow.rows(REJECTED_ITEMS) == [
        (3, "malformed_row"), (4, "missing_value"), (5, "invalid_value"),
    ]  # fmt: skip


@pytest.mark.slow
def test_an_api_that_hangs_is_asked_again(airflow: Platform, vendors: Vendors) -> None:
    last = vendors.fleet.asked[-1]
    vendors.fleet.faults = [Answer(seconds_before=ApiLimits().timeout + 1)]

    run = airflow.run("ingest_apis")

    assert run.state == "success"
    assert "time-out; trying again in" in airflow.log(run)
    assert vendors.fleet.asked[-2:] == [last, last]


@pytest.mark.slow
def test_a_refused_token_and_a_cursor_that_goes_back_keep_what_came_before(
    airflow: Platform, vendors: Vendors
) -> None:
    vendors.fleet.faults = [problem(401)] * 3
    vendors.weather.pages |= {
        None: page(weather(1), next_cursor="w1", has_more=True),
        "w1": page(weather(2), next_cursor="w2", has_more=True),
        "w2": page(weather(3), next_cursor="w1", has_more=True),
    }

    assert airflow.run("ingest_apis").state == "failed"
    assert "refused the token (401); set the password of the Airflow connection" in airflow.alerts()
    assert "runs in a circle" in airflow.alerts()
    assert airflow.rows(EVENTS) == [("e1",), ("e2",)]
    assert airflow.rows(DAYS) == [("2026-01-01",), ("2026-01-02",)]

    vendors.weather.pages["w2"] = page(weather(3), next_cursor="w3", has_more=False)
    vendors.weather.pages["w3"] = page(next_cursor="w3", has_more=False)
    vendors.fleet.pages["c2"] = page(event(3), next_cursor="c3", has_more=False)
    vendors.fleet.pages["c3"] = page(next_cursor="c3", has_more=False)
    assert airflow.run("ingest_apis").state == "success"
    assert airflow.rows(EVENTS) == [("e1",), ("e2",), ("e3",)]
    assert airflow.rows(DAYS) == [("2026-01-01",), ("2026-01-02",), ("2026-01-03",)]


@pytest.mark.slow
def test_malformed_json_is_quarantined_and_a_body_of_a_gigabyte_is_left(
    airflow: Platform, vendors: Vendors
) -> None:
    cursor = {"X-Next-Cursor": "c4", "X-Has-More": "true"}
    vendors.fleet.pages |= {
        "c3": Answer(body=b'{"data": [', headers=cursor),
        "c4": page(event(4), next_cursor="c5", has_more=False),
        "c5": page(next_cursor="c5", has_more=False),
    }
    more = {"X-Next-Cursor": "w4", "X-Has-More": "true"}
    vendors.weather.pages["w3"] = Answer(body=b"x" * 1_000_000, times=1_000, headers=more)
    before = vendors.weather.bytes_sent()

    assert airflow.run("ingest_apis").state == "failed"
    assert "sent a page of more than 64,000,000 bytes" in airflow.alerts()
    # Three tries, each of which stops reading at its bound; what is on the way is sent as well.
    assert vendors.weather.bytes_sent() - before < 3 * 100_000_000
    assert airflow.rows(EVENTS)[-1] == ("e4",)
    malformed = (
        "SELECT first_reason FROM ops.quarantine "
        "WHERE dataset = 'machine_telemetry' AND row_number IS NULL"
    )
    assert airflow.rows(malformed) == [("malformed_page",)]

    vendors.weather.pages["w3"] = page(weather(4), next_cursor="w4", has_more=False)
    assert airflow.run("ingest_apis").state == "success"
    assert len(airflow.rows(DAYS)) == 4
