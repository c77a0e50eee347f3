"""A task that is started in a Python of its own: ``python -m benchmarks.new_interpreter``.

Airflow 3 forks tasks from the process that starts them; containers (ECS, Kubernetes) start a new
interpreter for each. Measured is what Airflow's task runner does before a task executes, in a new
process: it imports itself, and parses the DAG file for the one task. Once a node's task of
`transform`, once a task of a file that imports `airflow.sdk` alone; in CPU seconds, in turn.
Exits 1 above 0.25 CPU seconds more.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.nothing import NOTHING_OPERATOR
from benchmarks.processes import answer_of
from benchmarks.results import Result, alone, show
from deploy.local.layout import REPOSITORY

MOST_MORE_SECONDS = 0.25
PLAIN = f"""from airflow.sdk import DAG, BaseOperator


{NOTHING_OPERATOR}

with DAG("plain", schedule=None):
    Nothing(task_id="nothing")
"""


@dataclass(frozen=True, slots=True)
class Task:
    """One task of a DAG file."""

    file: Path
    dag_id: str
    task_id: str


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="A task in a Python of its own.")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--parse", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.parse:
        file, dag_id, task_id = options.parse
        print(json.dumps(_parse(Task(Path(file), dag_id, task_id))))
        return 0
    return show(measure(options.rounds))


def measure(rounds: int = 5) -> list[Result]:
    node = Task(REPOSITORY / "dags" / "transform.py", "transform", "models.marts.fct_sales.run")
    with tempfile.TemporaryDirectory(prefix="benchmark-interpreter-") as name:
        plain = Task(Path(name) / "plain.py", "plain", "nothing")
        plain.file.write_text(PLAIN, encoding="utf-8")
        environment = {**os.environ, "AIRFLOW_HOME": name, "VENDING_ENV": "dev"}
        more = [_seconds(node, environment) - _seconds(plain, environment) for _ in range(rounds)]
    return [alone("task_above_nothing_new_interpreter", "CPU s", more, MOST_MORE_SECONDS)]


def _seconds(task: Task, environment: dict[str, str]) -> float:
    named = (task.file, task.dag_id, task.task_id)
    seconds: float = answer_of(
        "benchmarks.new_interpreter", "--parse", *named, environment=environment
    )
    return seconds


def _parse(task: Task) -> float:
    """CPU seconds of this process from its start until it has the task."""
    from airflow.dag_processing.dagbag import BundleDagBag
    from airflow.sdk.definitions._internal.dag_parsing_context import (
        _airflow_parsing_context_manager,
    )
    from airflow.sdk.execution_time import supervisor, task_runner  # noqa: F401

    with _airflow_parsing_context_manager(dag_id=task.dag_id, task_id=task.task_id):
        bag = BundleDagBag(
            dag_folder=task.file, bundle_path=task.file.parent, bundle_name="benchmark"
        )
    bag.dags[task.dag_id].get_task(task.task_id)
    return time.process_time()


if __name__ == "__main__":
    sys.exit(main())
