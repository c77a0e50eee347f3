"""A worker of the smallest class is enough for the default fleet: one vCPU and 2 GB for five tasks.

The memory limit is a cgroup's, the settings are those that Terraform gives an environment of the
class. The fifty machines of the default fleet deliver two weeks, cut so that all five slots conform
at once; what one task needs follows from its settings and not from the days that it is given.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from benchmarks.cgroup import MemoryGroup, memory_group
from deploy.mwaa.layout import AIRFLOW_VERSIONS, REPOSITORY
from tests.mwaa.service import SLOTS
from tests.mwaa.staging import running_staging

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

MEGABYTE = 1024**2
LIMIT = 2048 * MEGABYTE
CLASSES = REPOSITORY / "deploy" / "terraform" / "aws" / "modules" / "mwaa" / "main.tf"
# 900 files and some, in tasks of 200.
FLEET = ("--machines", "50", "--days", "14")
FILES_OF_A_TASK = "200"


@pytest.fixture
def group() -> Iterator[MemoryGroup]:
    with ExitStack() as stack:
        try:
            group = stack.enter_context(memory_group(LIMIT))
        except OSError as error:
            pytest.skip(f"needs a writable memory cgroup: {error}")
        yield group


def settings_of(environment_class: str) -> dict[str, int]:
    """What Terraform says of a class of environment."""
    text = CLASSES.read_text("utf-8")
    found = re.search(rf'"{re.escape(environment_class)}" *= \{{(.*)\}}', text)
    assert found, environment_class
    return {name: int(value) for name, value in re.findall(r"(\w+) = (\d+)", found[1])}


def test_five_tasks_at_once_fit_into_a_worker_of_the_smallest_class(
    tmp_path: Path, group: MemoryGroup
) -> None:
    smallest = settings_of("mw1.small")
    assert smallest["tasks"] == SLOTS
    options = {
        "AIRFLOW__VENDING__CONFORM_MEMORY_MB": str(smallest["conform_memory_mb"]),
        "AIRFLOW__VENDING__DBT_THREADS": str(smallest["dbt_threads"]),
        "AIRFLOW__VENDING__BATCH_FILES": FILES_OF_A_TASK,
    }
    core = min(os.sched_getaffinity(0))

    def confine(pid: int) -> None:
        group.add(pid)
        os.sched_setaffinity(pid, {core})

    with running_staging(
        *(tmp_path, AIRFLOW_VERSIONS[0], FLEET),
        options=options,
        workers=("worker",),
        confine=confine,
    ) as (_, service):
        runs = [
            *service.runs_of_the_schedule("ingest_files", "ingest_apis"),
            *service.runs_of_the_schedule("transform"),
        ]
        tasks = service.api.task_instances(runs[0])
        failures = {run.dag_id: service.failures(run) for run in runs}
    print(f"At most {group.peak / MEGABYTE:.0f} MB of {LIMIT / MEGABYTE:.0f} MB were held.")
    assert failures == {"ingest_files": {}, "ingest_apis": {}, "transform": {}}
    assert sum(task.task_id == "conform" for task in tasks) == SLOTS
    assert group.oom_kills == 0
