"""In the process of a task that follows the build, the DAG is that task alone, and no other."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest
from airflow.sdk import DAG
from airflow.sdk.definitions.context import (
    _AIRFLOW_PARSING_CONTEXT_DAG_ID as DAG_ID,
)
from airflow.sdk.definitions.context import (
    _AIRFLOW_PARSING_CONTEXT_TASK_ID as TASK_ID,
)

from include.dag_defaults import Layer, dag_arguments
from include.schedules import TRANSFORM_WINDOWS
from include.settings import CODE_ROOT, Settings, load_settings
from include.transform.dag import transform_dag
from include.transform.manifest import build_manifest
from include.transform.node_task import DbtNodeOperator
from include.transform.project import DbtProject

# What decides how Airflow runs a task, whichever DAG it was found in.
COMPARED = (
    "retries",
    "retry_delay",
    "execution_timeout",
    "trigger_rule",
    "on_failure_callback",
    "waiting",
    "pool",
    "owner",
)


@pytest.fixture(scope="module")
def settings() -> Settings:
    return load_settings({"VENDING_ENV": "dev"})


@pytest.fixture(scope="module")
def whole(settings: Settings) -> DAG:
    build_manifest(DbtProject.of_target(settings.dbt_target))
    return parsed(settings)


def parsed(settings: Settings) -> DAG:
    return transform_dag(
        settings, dag_id="transform", schedule=None, **dag_arguments(layer=Layer.TRANSFORM)
    )


def node_tasks(dag: DAG) -> Iterator[DbtNodeOperator]:
    return (task for task in dag.tasks if isinstance(task, DbtNodeOperator))


def parsed_for(task_id: str, settings: Settings) -> DAG:
    # Airflow's own context manager leaves the variables behind.
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv(DAG_ID, "transform")
        environment.setenv(TASK_ID, task_id)
        return parsed(settings)


def test_each_node_task_is_alone_in_its_process_and_the_same_as_in_the_whole(
    whole: DAG, settings: Settings
) -> None:
    assert list(node_tasks(whole))
    for task in node_tasks(whole):
        (alone,) = parsed_for(task.task_id, settings).tasks
        for name in COMPARED:
            assert getattr(alone, name) == getattr(task, name), (task.task_id, name)


def test_a_task_that_is_alone_finds_its_nodes_when_it_needs_them(
    whole: DAG, settings: Settings
) -> None:
    tasks = list(node_tasks(whole))
    for task in (tasks[0], tasks[-1]):
        (alone,) = parsed_for(task.task_id, settings).tasks
        assert isinstance(alone, DbtNodeOperator)
        assert alone.nodes == task.nodes


@pytest.mark.parametrize("task_id", ["dbt_build", "check_results", "publish_marts"])
def test_a_task_that_needs_the_whole_finds_it(whole: DAG, settings: Settings, task_id: str) -> None:
    assert parsed_for(task_id, settings).task_ids == whole.task_ids


def test_a_task_that_follows_the_build_imports_neither_cosmos_nor_dbt_nor_contracts() -> None:
    program = (
        "import sys, runpy; runpy.run_path('dags/transform.py');"
        # Airflow itself imports a part of Cosmos, which registers a listener.
        "heavy = {'cosmos.converter', 'dbt', 'duckdb', 'boto3', 'include.contracts'};"
        "heavy &= set(sys.modules);"
        "sys.exit(', '.join(heavy) or 0)"
    )
    process = subprocess.run(
        [sys.executable, "-c", program],
        cwd=CODE_ROOT,
        env=os.environ | {DAG_ID: "transform", TASK_ID: "models.marts.dim_dates.run"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert process.returncode == 0, process.stderr[-500:]


def test_every_window_of_a_layer_is_about_tasks_of_the_dag(whole: DAG) -> None:
    groups = {window.task_group for window in TRANSFORM_WINDOWS} - {None}

    assert len(groups) == 3
    assert groups <= set(whole.task_group_dict)
