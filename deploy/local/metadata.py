"""What is put in order in Airflow's metadata database while nobody else has it open.

Run by the supervisor in a process of its own, before any part of Airflow starts. The REST API could
do the same, but only once the scheduler has taken up what an interrupted run left, and a write
through it can meet a task's own: both then wait for SQLite until one gives up.
"""

from __future__ import annotations

from sqlalchemy import delete, update
from sqlalchemy.orm import Session

# Name, slots, and what a slot stands for.
POOLS = (
    ("warehouse", 1, "Openers of the DuckDB file: only one process at a time may."),
    ("cloudflare", 4, "Each slot owns a quarter of Cloudflare's requests."),
)


def put_in_order() -> None:
    """Have the pools, and no run or asset event that an interrupted round left unfinished."""
    from airflow.utils.session import create_session

    with create_session() as session:
        _fail_unfinished_runs(session)
        _forget_queued_assets(session)
        _have_pools(session)


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


def _have_pools(session: Session) -> None:
    from airflow.models.pool import Pool

    for name, slots, description in POOLS:
        Pool.create_or_update_pool(
            name,
            slots=slots,
            description=description,
            include_deferred=False,
            session=session,
        )
