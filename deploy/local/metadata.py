"""What is put in order in Airflow's metadata database while nobody else has it open.

Run by the supervisor in a process of its own, before any part of Airflow starts. The REST API could
do the same, but only once the scheduler has taken up what an interrupted run left, and a write
through it can meet a task's own: both then wait for SQLite until one gives up.
"""

from __future__ import annotations

from sqlalchemy import delete, update
from sqlalchemy.orm import Session

WAREHOUSE_POOL = "warehouse"


def put_in_order() -> None:
    """Have the pool, and no run or asset event that an interrupted round left unfinished."""
    from airflow.utils.session import create_session

    with create_session() as session:
        _fail_unfinished_runs(session)
        _forget_queued_assets(session)
        _have_pool(session)


def _fail_unfinished_runs(session: Session) -> None:
    from airflow.models.dagrun import DagRun
    from airflow.models.taskinstance import TaskInstance
    from airflow.utils.state import DagRunState, State, TaskInstanceState

    tasks_at_work = [state for state in State.unfinished if state is not None]
    session.execute(
        update(TaskInstance)
        .where(TaskInstance.state.in_(tasks_at_work))
        .values(state=TaskInstanceState.FAILED)
        .execution_options(synchronize_session=False)
    )
    session.execute(
        update(DagRun)
        .where(DagRun._state.in_([DagRunState.QUEUED, DagRunState.RUNNING]))
        .values(_state=DagRunState.FAILED)
        .execution_options(synchronize_session=False)
    )


def _forget_queued_assets(session: Session) -> None:
    # Left over, they would start a transform as soon as the first of two ingests has finished.
    from airflow.models.asset import AssetDagRunQueue

    session.execute(delete(AssetDagRunQueue))


def _have_pool(session: Session) -> None:
    from airflow.models.pool import Pool

    Pool.create_or_update_pool(
        WAREHOUSE_POOL,
        slots=1,
        description="Openers of the DuckDB file: only one process at a time may.",
        include_deferred=False,
        session=session,
    )
