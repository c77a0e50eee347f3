"""The callbacks that every DAG has. None of them ever fails a task.

A task's callback runs in the task's own process, a DAG run's in the dag-processor, which first
parses the file again and, when a callback asks for a connection for the first time, builds itself
an execution API: 9 CPU seconds on a laptop. So a DAG run's callback is left for what no task could
tell, such as a run that took too long; its success is told by the task that ends it.

A failure is told once: each task that failed by itself tells it. Tasks whose failure merely
repeats another's carry no callback (see include/transform/node_task.py).

Every parse of a DAG file imports this module, so what tells is imported when there is something to
tell.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Context = Mapping[str, Any]


def on_task_failure(context: Context) -> None:
    """Tell that a task failed for good, with what it raised."""
    from include.alerts.reports import report_task_failure

    report_task_failure(context)


def on_run_failure(context: Context) -> None:
    """Tell that a run failed, unless one of its tasks has told it already."""
    from include.alerts.reports import report_run_failure

    report_run_failure(context)


def on_run_success(context: Context) -> None:
    """Tell that a run finished: for the task that ends its DAG when all others have succeeded."""
    from include.alerts.reports import report_run_success

    report_run_success(context)


def on_unremarkable_success(context: Context) -> None:
    """Tell what is over, and no success: for the task that ends a DAG of every few minutes."""
    from include.alerts.reports import report_recovery

    report_recovery(context)


def runbook_of(dag_id: str) -> str:
    """The path in this repository of what to do when a DAG alerts."""
    return f"docs/runbooks/{dag_id}.md"
