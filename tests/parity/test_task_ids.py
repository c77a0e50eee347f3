"""Both engines' manifests render the same DAG."""

from __future__ import annotations

import pytest

from include.settings import Environment, Settings, load_settings
from include.transform.dag import transform_dag
from include.transform.manifest import build_manifest, load_manifest
from include.transform.project import DbtProject

# What only staging and prod have; see include/transform/dag.py.
BETWEEN_ENVIRONMENTS = {
    "mark_verified",
    "wait_for_deployment",
    "wait_for_ingest",
    "wait_for_staging",
}
VARIABLES = {"VENDING_COMPANY": "acme", "VENDING_KMS_KEY_ID": "key"}


@pytest.fixture(scope="module")
def settings() -> dict[Environment, Settings]:
    each = {e: load_settings({"VENDING_ENV": e.value, **VARIABLES}) for e in Environment}
    for environment in each:
        build_manifest(DbtProject.of_target(environment.value))
    return each


def task_ids(settings: Settings) -> set[str]:
    dag = transform_dag(settings, dag_id="transform", schedule=None)
    return {task.task_id for task in dag.tasks} - BETWEEN_ENVIRONMENTS


def test_the_same_tasks_are_rendered_in_every_environment(settings) -> None:
    dev = task_ids(settings[Environment.DEV])

    assert "dbt_build" in dev
    assert len(dev) > 50
    assert task_ids(settings[Environment.STAGING]) == dev
    assert task_ids(settings[Environment.PROD]) == dev


def test_the_same_nodes_are_in_every_manifest(settings) -> None:
    nodes = [set(load_manifest(each.dbt_manifest_path).nodes) for each in settings.values()]

    assert nodes[0] == nodes[1] == nodes[2]
