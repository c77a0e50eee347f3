"""What every DAG has in common, decided in one place.

@dag(dag_id="ingest_files", schedule=..., doc_md=__doc__, **dag_arguments(layer=Layer.INGEST))
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, TypedDict

from airflow.sdk import DAG
from airflow.sdk.definitions.param import ParamsDict

from include.alerts.callbacks import on_run_failure, on_task_failure
from include.settings import Environment, Settings, current_settings

OWNER = "data-platform"

# Airflow asks for a date in the past; catchup is off, so nothing is run for it.
START_DATE = datetime(2026, 1, 1, tzinfo=UTC)

TASK_TIMEOUT = timedelta(hours=1)
RUN_TIMEOUT = timedelta(hours=3)


class Layer(StrEnum):
    """The part of the pipeline that a DAG belongs to."""

    INGEST = "ingest"
    TRANSFORM = "transform"
    PUBLISH = "publish"
    OPERATIONS = "operations"


class Impact(StrEnum):
    """What stops when a DAG fails: reports of the day (high) or something less."""

    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"


Callback = Callable[[Any], None]


class TaskDefaults(TypedDict):
    owner: str
    retries: int
    retry_delay: timedelta
    execution_timeout: timedelta
    on_failure_callback: Callback | None


class DagArguments(TypedDict):
    start_date: datetime
    catchup: bool
    max_active_runs: int
    dagrun_timeout: timedelta
    tags: set[str]
    default_args: TaskDefaults
    on_failure_callback: Callback


def dag_arguments(
    *, layer: Layer, impact: Impact = Impact.HIGH, settings: Settings | None = None
) -> DagArguments:
    """The keyword arguments of a DAG, beside its id, schedule and documentation.

    Tags are the layer and ``impact:<level>``, so that a person on call can filter for what matters.
    One run at a time: the ledger and the warehouse are shared by all runs of a DAG. The task that
    ends a DAG carries `on_run_success` (include/alerts/callbacks.py).
    """
    return DagArguments(
        start_date=START_DATE,
        catchup=False,
        max_active_runs=1,
        dagrun_timeout=RUN_TIMEOUT,
        tags={layer.value, f"impact:{impact.value}"},
        default_args=_task_defaults(settings or current_settings()),
        on_failure_callback=on_run_failure,
    )


def leave_params_to_dag(dag: DAG) -> DAG:
    """Take the tasks' copies of a DAG's parameters away; a run reads the DAG's in any case.

    Airflow validates each copy several times when it stores the DAG: with many tasks three quarters
    of what that costs.
    """
    for task in dag.tasks:
        task.params = ParamsDict()
    return dag


def begin_when_deployed(*first: Any, settings: Settings | None = None) -> None:
    """Let the first tasks of a DAG wait until the worker has the whole deployment.

    A deployment reaches workers file by file. Nothing is deployed in dev, where no task is added.
    """
    settings = settings or current_settings()
    if settings.environment is Environment.DEV:
        return
    # Imported here: dev needs none of it.
    from include.deployment_tasks import wait_for_deployment

    wait_for_deployment() >> list(first)


def _task_defaults(settings: Settings) -> TaskDefaults:
    return TaskDefaults(
        owner=OWNER,
        retries=settings.retries,
        retry_delay=timedelta(seconds=settings.retry_delay_seconds),
        execution_timeout=TASK_TIMEOUT,
        on_failure_callback=on_task_failure,
    )
