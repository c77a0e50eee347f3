"""The graph that Cosmos draws: every node once, and nothing ahead of a test that guards it."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest
from airflow.sdk import DAG

from include.dag_defaults import Layer, dag_arguments
from include.settings import Environment, Settings, load_settings
from include.transform.cosmos_config import draw_layout
from include.transform.drawn_tasks import make_tasks
from include.transform.layout import load_layout
from include.transform.manifest import Manifest, ManifestError, build_manifest, load_manifest
from include.transform.node_task import DbtNodeOperator, watched_nodes
from include.transform.project import DbtProject


@pytest.fixture(scope="module")
def settings() -> Settings:
    return load_settings({"VENDING_ENV": "dev"})


@pytest.fixture(scope="module")
def manifest(settings: Settings) -> Manifest:
    build_manifest(DbtProject.of_target(settings.dbt_target))
    return load_manifest(settings.dbt_manifest_path)


@pytest.fixture(scope="module")
def dag(settings: Settings, manifest: Manifest) -> DAG:
    return rendered(settings)


def rendered(settings: Settings) -> DAG:
    with DAG("drawn", schedule=None, **dag_arguments(layer=Layer.TRANSFORM)) as dag:
        make_tasks(load_layout(settings.dbt_manifest_path), dag, settings)
    return dag


def tasks(dag: DAG) -> list[DbtNodeOperator]:
    return [task for task in dag.tasks if isinstance(task, DbtNodeOperator)]


def test_every_node_of_the_manifest_belongs_to_exactly_one_task(
    dag: DAG, manifest: Manifest
) -> None:
    watched = [node for nodes in watched_nodes(dag).values() for node in nodes]
    assert sorted(watched) == sorted(manifest.nodes)


def test_every_model_has_a_task_of_its_own(dag: DAG, manifest: Manifest) -> None:
    for nodes in watched_nodes(dag).values():
        kinds = {manifest.nodes[node].resource_type for node in nodes}
        assert kinds == {"test"} or len(nodes) == 1


def test_models_are_grouped_by_layer(dag: DAG, manifest: Manifest) -> None:
    for task in tasks(dag):
        node = manifest.nodes[task.nodes.unique_ids[0]]
        if node.resource_type != "test":
            assert task.task_id.startswith(f"models.{node.layer}.{node.name}")


def test_no_group_is_empty(dag: DAG) -> None:
    assert set(dag.task_group.children) == {"models", "gates"}
    assert all(group.children for group in dag.task_group.get_task_group_dict().values())


def test_no_unit_test_is_part_of_the_run(dag: DAG, manifest: Manifest) -> None:
    assert manifest.content["unit_tests"], "the project should have unit tests to leave out"
    watched = {node for nodes in watched_nodes(dag).values() for node in nodes}
    assert not watched & set(manifest.content["unit_tests"])


def test_airflow_waits_for_all_that_dbt_waits_for(dag: DAG, manifest: Manifest) -> None:
    """The rule of `dbt build`: a node waits for each test whose parents are all above it.

    dbt.compilation.Compiler.add_test_edges: otherwise a task would run a node that dbt, and so the
    build, holds back.
    """
    task_of = {node: task for task, nodes in watched_nodes(dag).items() for node in nodes}

    @cache
    def upstream(task_id: str) -> frozenset[str]:
        direct = dag.get_task(task_id).upstream_task_ids
        return frozenset(direct).union(*(upstream(each) for each in direct))

    checked = 0
    for node in manifest.nodes.values():
        if node.resource_type == "test":
            continue
        above = manifest.ancestors(node.unique_id)
        for parent in above & manifest.nodes.keys():
            assert task_of[parent] in upstream(task_of[node.unique_id])
        for test in manifest.tests:
            if test.parents <= above:
                checked += 1
                assert task_of[test.unique_id] in upstream(task_of[node.unique_id])
    assert checked > len(manifest.tests) / 2


def test_no_node_task_takes_the_slot_of_the_warehouse(dag: DAG) -> None:
    assert {task.pool for task in tasks(dag)} == {"default_pool"}


def test_failures_of_nodes_are_told_by_the_check_alone(dag: DAG) -> None:
    assert not any(task.on_failure_callback for task in tasks(dag))


@pytest.mark.parametrize(
    ("environment", "patience"),
    [(Environment.DEV, 60), (Environment.STAGING, 0), (Environment.PROD, 0)],
)
def test_in_the_cloud_a_waiting_task_leaves_its_slot_at_once(
    environment: Environment, patience: float, settings: Settings
) -> None:
    cloud = settings._replace(environment=environment)
    build_manifest(DbtProject.of_target(cloud.dbt_target))
    assert {task.waiting.patience.total_seconds() for task in tasks(rendered(cloud))} == {patience}


def test_marts_are_those_of_the_manifest(settings: Settings, manifest: Manifest) -> None:
    layout = load_layout(settings.dbt_manifest_path)
    assert layout.marts == tuple(mart.name for mart in manifest.marts)
    assert "fct_sales" in layout.marts


def test_what_was_drawn_is_what_cosmos_draws_now(settings: Settings, manifest: Manifest) -> None:
    drawn = draw_layout(DbtProject.of_target(settings.dbt_target))
    assert load_layout(settings.dbt_manifest_path) == drawn


def test_a_task_knows_its_nodes_without_the_others(dag: DAG, settings: Settings) -> None:
    layout = load_layout(settings.dbt_manifest_path)
    for task in tasks(dag):
        assert layout.nodes_of(task.task_id) == task.nodes


@pytest.mark.parametrize("content", [None, "{", '{"tasks": 1}'])
def test_without_a_layout_the_error_says_what_to_run(content: str | None, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / "dev.layout.json").write_text(content)
    with pytest.raises(ManifestError, match="run make manifest"):
        load_layout(tmp_path / "dev.json")
