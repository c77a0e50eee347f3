"""Ingest in a real Airflow, broken in the ways in which it breaks: what is there afterwards.

One Airflow for all of them, so that each drill finds the history that the ones before left.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Iterator

import pytest

from tests.drills.deliveries import Deliveries
from tests.drills.stack import Platform, kill, platform, wait_until

pytestmark = [pytest.mark.timeout(600), pytest.mark.xdist_group("drills")]

RUN_SECONDS = 4.0


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


@pytest.mark.parametrize("number", range(5))
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
