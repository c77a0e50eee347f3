"""The graph of the DAG `transform` as Cosmos drew it, kept beside the manifest.

Cosmos reads the manifest and draws the graph when the manifest is built (cosmos_config.py). A DAG
file, which Airflow parses again and again and each task once more, makes its tasks from what was
kept: that costs neither Cosmos, two seconds of processor time, nor the manifest.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG, BaseOperator, TaskGroup
from airflow.sdk.definitions.param import ParamsDict
from pydantic import TypeAdapter, ValidationError

from include.settings import Settings
from include.transform.manifest import ManifestError
from include.transform.node_task import DbtNodes, node_task
from include.transform.project import layout_path


@dataclass(frozen=True, slots=True)
class PlannedTask:
    """A task, by ids as Airflow has them.

    ``groups`` are the ids of its groups from the outermost in. ``nodes`` is None of a source, which
    shows where data comes from and does nothing.
    """

    task_id: str
    groups: tuple[str, ...]
    nodes: DbtNodes | None
    downstream: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PublishedTable:
    """A mart, or a table of the pipeline's own, and the sinks that it is published to."""

    name: str
    sinks: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Layout:
    """What DAG files need to know of the dbt project; all of it sorted by name."""

    tasks: tuple[PlannedTask, ...]
    marts: tuple[str, ...]
    published: tuple[PublishedTable, ...]

    def nodes_of(self, task_id: str) -> DbtNodes:
        """Raises KeyError if no task with dbt nodes has this id."""
        for task in self.tasks:
            if task.task_id == task_id and task.nodes is not None:
                return task.nodes
        raise KeyError(task_id)

    def to_json(self) -> bytes:
        return _LAYOUT.dump_json(self)

    def make_tasks(self, dag: DAG, settings: Settings) -> list[BaseOperator]:
        """Make all tasks and groups in the DAG, with their dependencies."""
        groups = _Groups(dag)
        tasks = {task.task_id: _make(task, groups, dag, settings) for task in self.tasks}
        for task in self.tasks:
            if task.downstream:
                tasks[task.task_id] >> [tasks[below] for below in task.downstream]
        return list(tasks.values())


def load_layout(manifest_path: Path) -> Layout:
    """Read the layout of a manifest. Raises ManifestError if it is missing or not one."""
    path = layout_path(manifest_path)
    try:
        return _read(path, path.stat().st_mtime_ns)
    except FileNotFoundError:
        raise ManifestError(f"There is no dbt manifest at {path}; run make manifest.") from None
    except ValidationError:
        raise ManifestError(f"{path} is not a layout; delete it and run make manifest.") from None


# Kept, because a task process that was forked from the scheduler finds it there already.
@lru_cache(maxsize=1)
def _read(path: Path, modified_ns: int) -> Layout:
    return _LAYOUT.validate_json(path.read_bytes())


def _make(task: PlannedTask, groups: _Groups, dag: DAG, settings: Settings) -> BaseOperator:
    label = task.task_id.removeprefix(_prefix(task.groups))
    group = groups.get(task.groups)
    place = {"task_id": label, "task_group": group, "dag": dag}
    if task.nodes is None:
        made: BaseOperator = EmptyOperator(**place)
    else:
        made = node_task(settings, task.nodes, **place)
    # A task is given a copy of the DAG's parameters, and Airflow validates each copy several times
    # when it stores the DAG: three quarters of what that costs. A run reads the DAG's in any case.
    made.params = ParamsDict()
    return made


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


_LAYOUT = TypeAdapter(Layout)
