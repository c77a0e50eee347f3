"""The DAG `transform`: whole where Airflow reads it, and of one task where that task runs."""

from __future__ import annotations

from typing import Any

from airflow.sdk import DAG, cross_downstream, get_parsing_context

from include.dag_defaults import begin_when_deployed, leave_params_to_dag
from include.settings import Environment, Settings
from include.transform.layout import DbtNodes, load_layout
from include.transform.node_task import node_task


def transform_dag(settings: Settings, *, schedule: Any, **dag_arguments: Any) -> DAG:
    """The DAG, with arguments as Airflow's `DAG` takes them.

    Each task's process parses the DAG file again. A task that follows the build needs nothing of
    the others, so there the DAG consists of it alone.
    Raises ManifestError if the manifest has not been built and is needed.
    """
    task_id = get_parsing_context().task_id
    if task_id is not None and _is_node_task(task_id):
        return _dag_of_one(task_id, settings, dag_arguments)
    return _whole_dag(settings, schedule, dag_arguments)


def _is_node_task(task_id: str) -> bool:
    # The tasks of nodes are in groups, and no others are.
    return "." in task_id


def _whole_dag(settings: Settings, schedule: Any, dag_arguments: dict[str, Any]) -> DAG:
    # Imported here: a task that follows the build needs none of it.
    from include.transform.drawn_tasks import make_tasks
    from include.transform.tasks import after_all, dbt_build

    layout = load_layout(settings.dbt_manifest_path)
    with DAG(schedule=schedule, **dag_arguments) as dag:
        nodes, build = make_tasks(layout, dag, settings), dbt_build()
        published = after_all([build, *nodes], layout.marts)
        if settings.environment is not Environment.DEV:
            _between_environments(settings, dag, published)
    return leave_params_to_dag(dag)


def _between_environments(settings: Settings, dag: DAG, published: Any) -> None:
    """Wait for the day's ingest and, in prod, for staging; let staging say that it passed.

    The sources wait too and not the build alone, or the tasks behind them would look for the build
    every minute of the wait.
    """
    # Imported here: dev needs none of it.
    from include.transform.gates import gates, mark_verified

    first = dag.roots
    waiting = gates(settings)
    cross_downstream(waiting, first)
    begin_when_deployed(*waiting, settings=settings)
    if settings.environment is Environment.STAGING:
        published >> mark_verified()


def _dag_of_one(task_id: str, settings: Settings, dag_arguments: dict[str, Any]) -> DAG:
    def nodes() -> DbtNodes:
        return load_layout(settings.dbt_manifest_path).nodes_of(task_id)

    dag = DAG(schedule=None, **dag_arguments)
    node_task(settings, nodes, task_id=task_id, dag=dag)
    return dag
