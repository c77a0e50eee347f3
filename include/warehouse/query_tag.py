"""What Snowflake's query history says about a statement: which environment, DAG, run and task."""

from __future__ import annotations

import json

from airflow.sdk import get_current_context

from include.settings import Environment

# Of Snowflake's parameter QUERY_TAG.
_LONGEST = 2_000


def query_tag(environment: Environment) -> str:
    """A JSON object: ``environment`` and, inside a task, ``dag``, ``run``, ``task`` and ``try``."""
    tag: dict[str, str | int] = {"environment": environment.value}
    try:
        task_instance = get_current_context()["ti"]
    except RuntimeError:  # not inside a task: a person's shell, a test
        return json.dumps(tag)
    tag |= {
        "dag": task_instance.dag_id,
        "run": task_instance.run_id,
        "task": task_instance.task_id,
        "try": task_instance.try_number,
    }
    return json.dumps(tag)[:_LONGEST]
