"""Makes the tasks of a layout: the graph that Cosmos drew, as Airflow's tasks and groups."""

from __future__ import annotations

from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG, BaseOperator, TaskGroup

from include.settings import Settings
from include.transform.layout import Layout, PlannedTask
from include.transform.node_task import node_task


def make_tasks(layout: Layout, dag: DAG, settings: Settings) -> list[BaseOperator]:
    """Make all tasks and groups in the DAG, with their dependencies."""
    groups = _Groups(dag)
    tasks = {task.task_id: _make(task, groups, dag, settings) for task in layout.tasks}
    for task in layout.tasks:
        if task.downstream:
            tasks[task.task_id] >> [tasks[below] for below in task.downstream]
    return list(tasks.values())


def _make(task: PlannedTask, groups: _Groups, dag: DAG, settings: Settings) -> BaseOperator:
    label = task.task_id.removeprefix(_prefix(task.groups))
    group = groups.get(task.groups)
    place = {"task_id": label, "task_group": group, "dag": dag}
    if task.nodes is None:
        return EmptyOperator(**place)
    return node_task(settings, task.nodes, **place)


class _Groups:
    """The groups of a DAG, made when they are first asked for."""

    def __init__(self, dag: DAG) -> None:
        self._dag = dag
        self._made: dict[str, TaskGroup] = {}

    def get(self, ids: tuple[str, ...]) -> TaskGroup:
        if not ids:
            return self._dag.task_group
        *outer, group_id = ids
        if group_id not in self._made:
            around = tuple(outer)
            label = group_id.removeprefix(_prefix(around))
            self._made[group_id] = TaskGroup(label, parent_group=self.get(around), dag=self._dag)
        return self._made[group_id]


def _prefix(groups: tuple[str, ...]) -> str:
    return f"{groups[-1]}." if groups else ""
