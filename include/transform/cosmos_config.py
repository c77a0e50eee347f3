"""How Cosmos renders the dbt project: one place for its configuration.

Cosmos reads the manifest and draws the graph of the DAG `transform`; what it drew is written beside
the manifest (layout.py), from where the DAG file makes its tasks. Each of its nodes becomes a
DbtNodeOperator, which follows the one build of the run (build.py). Cosmos's own watcher mode works
the same way and is not used, for three reasons found in 1.15.1: a test over several models is never
reported to its task, which then passes or waits for ever; a node that was never built passes; and
the dozen XCom writes for each node double the time of the build.
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

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

from include.publish.pipeline_tables import published_tables
from include.publish.spec import Sink
from include.transform.layout import DbtNodes, Layout, PlannedTask, PublishedTable
from include.transform.manifest import Manifest, load_manifest
from include.transform.project import DbtProject

GATES_GROUP_ID = "gates"

COMMANDS = {
    DbtResourceType.MODEL: "run",
    DbtResourceType.SEED: "seed",
    DbtResourceType.SNAPSHOT: "snapshot",
}


def draw_layout(project: DbtProject) -> Layout:
    """A task for every model, its tests, the tests of sources, and the gates.

    Raises ManifestError if the manifest has not been built.
    """
    manifest = load_manifest(project.manifest_path)
    converters = _Converters(manifest)
    # Cosmos writes a page of parse logs otherwise.
    logging.getLogger("cosmos").setLevel(logging.WARNING)
    dag = DbtDag(
        dag_id="drawn",
        schedule=None,
        project_config=_project(project),
        profile_config=ProfileConfig(
            profile_name="vending",
            target_name=project.target,
            profiles_yml_filepath=project.path / "profiles.yml",
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
    )
    _close_gates(dag, manifest, converters.gates)
    # Cosmos's own order differs from process to process.
    tasks = [_planned(task) for task in sorted(dag.tasks, key=lambda task: task.task_id)]
    published = [
        PublishedTable(table.name, tuple(sink.value for sink in Sink if sink in table.sinks))
        for table in published_tables(manifest)
    ]
    marts = tuple(mart.name for mart in manifest.marts)
    return Layout(tuple(tasks), marts, tuple(sorted(published, key=lambda table: table.name)))


class _Drawn(BaseOperator):
    """Stands for a task while Cosmos draws."""

    def __init__(self, *, nodes: DbtNodes | None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.nodes = nodes


def _planned(task: _Drawn) -> PlannedTask:
    groups: list[str] = []
    group = task.task_group
    while group is not None and group.group_id is not None:
        groups.insert(0, group.group_id)
        group = group.parent_group
    return PlannedTask(
        task.task_id, tuple(groups), task.nodes, tuple(sorted(task.downstream_task_ids))
    )


def _project(project: DbtProject) -> ProjectConfig:
    config = ProjectConfig(
        dbt_project_path=project.path, install_dbt_deps=False, partial_parse=False
    )
    # Given to the constructor it becomes an ObjectStoragePath, whose opening imports the Amazon
    # provider and Cosmos's web plugin: a second.
    config.manifest_path = project.manifest_path
    return config


class _Converters:
    """Makes the tasks. Cosmos calls with keyword arguments; what is not needed is left in rest."""

    def __init__(self, manifest: Manifest) -> None:
        self._manifest = manifest
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
        return _Drawn(nodes=None, task_id=task_id, dag=dag, task_group=task_group)

    def _tests(self, *, node: Any, task_id: str, dag: DAG, task_group: Any, **rest: Any) -> Any:
        if task_id == "test":
            tests = self._manifest.tests_of(node.unique_id)
            return self._task(task_id, dag, task_group, tests, "test")
        return self._gate(task_id, dag)

    def _gate(self, cosmos_id: str, dag: DAG) -> _Drawn:
        # Cosmos hands over the node and the group of whichever model came last, so the test is
        # found by the name that Cosmos made for its task.
        test = self._gate_tests[cosmos_id]
        group = dag.task_group.children.get(GATES_GROUP_ID) or TaskGroup(GATES_GROUP_ID, dag=dag)
        gate = self._task(test.name, dag, group, (test.unique_id,), "test")
        self.gates[test.unique_id] = gate
        return gate

    def _task(
        self, task_id: str, dag: DAG, group: Any, node_ids: tuple[str, ...], command: str
    ) -> _Drawn:
        nodes = DbtNodes(node_ids, command)
        return _Drawn(nodes=nodes, task_id=task_id, dag=dag, task_group=group)


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


def main(arguments: list[str] | None = None) -> None:
    """Draw the layout of a manifest into a file; called while a manifest is built."""
    parser = argparse.ArgumentParser(prog="python -m include.transform.cosmos_config")
    parser.add_argument("--project", type=Path, required=True)
    parser.add_argument("--target", required=True)
    parser.add_argument("--manifest", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args(arguments)
    project = DbtProject(options.project, options.target, options.manifest)
    options.out.write_bytes(draw_layout(project).to_json())


if __name__ == "__main__":
    sys.exit(main())
