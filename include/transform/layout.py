"""The graph of the DAG `transform` as Cosmos drew it, kept beside the manifest.

Cosmos reads the manifest and draws the graph when the manifest is built (cosmos_config.py). A DAG
file, which Airflow parses again and again and each task once more, makes its tasks from what was
kept: that costs neither Cosmos, two seconds of processor time, nor the manifest. Its named tuples
are made in a quarter of the time of dataclasses.
"""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from include.transform.project import ManifestError, layout_path


class DbtNodes(NamedTuple):
    """What one task stands for: unique ids, and the dbt command that runs them alone.

    That is a model, or all tests that belong to it alone, or a test over several models; the
    command is run, test, seed or snapshot.
    """

    unique_ids: tuple[str, ...]
    command: str


class PlannedTask(NamedTuple):
    """A task, by ids as Airflow has them.

    ``groups`` are the ids of its groups from the outermost in. ``nodes`` is None of a source, which
    shows where data comes from and does nothing.
    """

    task_id: str
    groups: tuple[str, ...]
    nodes: DbtNodes | None
    downstream: tuple[str, ...]


class PublishedTable(NamedTuple):
    """A mart, or a table of the pipeline's own, and the sinks that it is published to."""

    name: str
    sinks: tuple[str, ...]


class Layout(NamedTuple):
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
        tasks = [
            task._asdict() | {"nodes": task.nodes and task.nodes._asdict()} for task in self.tasks
        ]
        published = [table._asdict() for table in self.published]
        return json.dumps({"tasks": tasks, "marts": self.marts, "published": published}).encode()


def load_layout(manifest_path: Path) -> Layout:
    """Read the layout of a manifest. Raises ManifestError if it is missing or not one."""
    path = layout_path(manifest_path)
    try:
        return _read(path, path.stat().st_mtime_ns)
    except FileNotFoundError:
        raise ManifestError(f"There is no dbt manifest at {path}; run make manifest.") from None
    except (ValueError, KeyError, TypeError):
        raise ManifestError(f"{path} is not a layout; delete it and run make manifest.") from None


# Kept, because a task process that was forked from the scheduler finds it there already.
@lru_cache(maxsize=1)
def _read(path: Path, modified_ns: int) -> Layout:
    content = json.loads(path.read_bytes())
    return Layout(
        tasks=tuple(_planned(task) for task in content["tasks"]),
        marts=tuple(content["marts"]),
        published=tuple(
            PublishedTable(table["name"], tuple(table["sinks"])) for table in content["published"]
        ),
    )


# Without pydantic, whose check of what we wrote ourselves cost every parse more than reading it.
def _planned(task: dict[str, Any]) -> PlannedTask:
    nodes = task["nodes"]
    return PlannedTask(
        task_id=task["task_id"],
        groups=tuple(task["groups"]),
        nodes=nodes and DbtNodes(tuple(nodes["unique_ids"]), nodes["command"]),
        downstream=tuple(task["downstream"]),
    )
