"""How Cosmos renders the dbt project: one place for the configuration of the DAG `transform`.

Cosmos reads the manifest and lays out the graph; each of its nodes becomes a DbtNodeOperator, which
follows the one build of the run (include/transform/build.py). Cosmos's own watcher mode works the
same way and is not used, for three reasons found in 1.15.1: a test over several models is never
reported to its task, which then passes or waits for ever; a node that was never built passes; and
the dozen XCom writes for each node double the time of the build.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG, BaseOperator, TaskGroup
from cosmos.airflow.dag import DbtDag
from cosmos.config import ExecutionConfig, ProfileConfig, ProjectConfig, RenderConfig
from cosmos.constants import (
    DbtResourceType,
    ExecutionMode,
    LoadMode,
    SourceRenderingBehavior,
    TestBehavior,
)

from include.settings import Settings
from include.transform.manifest import Manifest, load_manifest
from include.transform.node_task import DbtNodeOperator, DbtNodes, node_task

GATES_GROUP_ID = "gates"

COMMANDS = {
    DbtResourceType.MODEL: "run",
    DbtResourceType.SEED: "seed",
    DbtResourceType.SNAPSHOT: "snapshot",
}


def render_dbt(settings: Settings, **dag_arguments: Any) -> DbtDag:
    """The DAG with a task for every model, its tests, the tests of sources, and the gates.

    It needs the build beside them (BUILD_TASK_ID), which tells the verdicts of `watched_nodes`.
    Raises ManifestError if the manifest has not been built.
    """
    manifest = load_manifest(settings.dbt_manifest_path)
    converters = _Converters(manifest, settings)
    # Cosmos writes a page of parse logs to each task's log otherwise.
    logging.getLogger("cosmos").setLevel(logging.WARNING)
    dag = DbtDag(
        project_config=_project(settings),
        profile_config=ProfileConfig(
            profile_name="vending",
            target_name=settings.dbt_target,
            profiles_yml_filepath=settings.dbt_project_path / "profiles.yml",
        ),
        execution_config=ExecutionConfig(execution_mode=ExecutionMode.LOCAL),
        render_config=RenderConfig(
            load_method=LoadMode.DBT_MANIFEST,
            # Cosmos warns about each node that it has no task for.
            exclude=["resource_type:exposure"],
            test_behavior=TestBehavior.AFTER_EACH,
            should_detach_multiple_parents_tests=True,
            source_rendering_behavior=SourceRenderingBehavior.WITH_TESTS_OR_FRESHNESS,
            source_pruning=True,
            group_nodes_by_folder=True,
            node_converters=converters.by_type(),
            node_conversion_by_task_group=False,
            # Mart assets are emitted once everything has been checked (see publish_marts).
            emit_datasets=False,
        ),
        **dag_arguments,
    )
    _close_gates(dag, manifest, converters.gates)
    _drop_empty_groups(dag)
    return dag


def watched_nodes(dag: DAG) -> dict[str, tuple[str, ...]]:
    """The unique ids of the dbt nodes of each task."""
    return {
        task.task_id: task.nodes.unique_ids
        for task in dag.tasks
        if isinstance(task, DbtNodeOperator)
    }


def _project(settings: Settings) -> ProjectConfig:
    project = ProjectConfig(
        dbt_project_path=settings.dbt_project_path, install_dbt_deps=False, partial_parse=False
    )
    # Given to the constructor it becomes an ObjectStoragePath, whose opening imports the Amazon
    # provider and Cosmos's web plugin: a second in every parse and in every task.
    project.manifest_path = settings.dbt_manifest_path
    return project


class _Converters:
    """Makes the tasks. Cosmos calls with keyword arguments; what is not needed is left in rest."""

    def __init__(self, manifest: Manifest, settings: Settings) -> None:
        self._manifest = manifest
        self._settings = settings
        self._gate_tests = {f"{test.name}_test": test for test in manifest.gates}
        self.gates: dict[str, BaseOperator] = {}

    def __deepcopy__(self, memo: Any) -> _Converters:
        # Cosmos copies its configuration deeply, and would copy the manifest with it.
        return self

    def by_type(self) -> dict[DbtResourceType, Callable[..., BaseOperator]]:
        return {
            **dict.fromkeys(COMMANDS, self._node),
            DbtResourceType.SOURCE: self._source,
            DbtResourceType.TEST: self._tests,
        }

    def _node(self, *, node: Any, task_id: str, dag: DAG, task_group: Any, **rest: Any) -> Any:
        command = COMMANDS[node.resource_type]
        return self._task(task_id, dag, task_group, (node.unique_id,), command)

    def _source(self, *, task_id: str, dag: DAG, task_group: Any, **rest: Any) -> Any:
        # Shows where the data comes from; the scheduler passes it without starting a process.
        return EmptyOperator(task_id=task_id, dag=dag, task_group=task_group)

    def _tests(self, *, node: Any, task_id: str, dag: DAG, task_group: Any, **rest: Any) -> Any:
        if task_id == "test":
            tests = self._manifest.tests_of(node.unique_id)
            return self._task(task_id, dag, task_group, tests, "test")
        return self._gate(task_id, dag)

    def _gate(self, cosmos_id: str, dag: DAG) -> DbtNodeOperator:
        # Cosmos hands over the node and the group of whichever model came last, so the test is
        # found by the name that Cosmos made for its task.
        test = self._gate_tests[cosmos_id]
        group = dag.task_group.children.get(GATES_GROUP_ID) or TaskGroup(GATES_GROUP_ID, dag=dag)
        gate = self._task(test.name, dag, group, (test.unique_id,), "test")
        self.gates[test.unique_id] = gate
        return gate

    def _task(
        self, task_id: str, dag: DAG, group: Any, node_ids: tuple[str, ...], command: str
    ) -> DbtNodeOperator:
        nodes = DbtNodes(node_ids, command)
        return node_task(self._settings, nodes, task_id=task_id, dag=dag, task_group=group)


def _close_gates(dag: DbtDag, manifest: Manifest, gates: dict[str, BaseOperator]) -> None:
    """Let nothing run behind a test over several models that has not passed.

    dbt holds back every node that depends on all of the tested models; Cosmos leaves that out.
    The first such node of each path is enough.
    """
    for test_id, gate in gates.items():
        tested = manifest.nodes[test_id].parents
        behind = {
            unique_id
            for unique_id, node in manifest.nodes.items()
            if node.resource_type != "test" and tested <= manifest.ancestors(unique_id)
        }
        for unique_id in behind:
            if not behind & manifest.nodes[unique_id].parents:
                gate >> dag.tasks_map[unique_id]


def _drop_empty_groups(dag: DbtDag) -> None:
    """Cosmos makes a group for each folder, also for that of tests, whose tasks are elsewhere."""
    groups = dag.task_group.children
    for group_id in [name for name, child in groups.items() if not getattr(child, "children", 1)]:
        del groups[group_id]
