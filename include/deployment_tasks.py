"""Tasks that look whether a deployment arrived: those of `check_deployment`, and the first task of
the DAGs that a half-copied one would harm.
"""

from __future__ import annotations

import logging
from datetime import timedelta

from airflow.sdk import PokeReturnValue, task

from include import deployment
from include.alerts.callbacks import on_run_success
from include.settings import current_settings

log = logging.getLogger(__name__)

# The service copies every 30 s.
LOOK_SECONDS = 30
GIVE_UP = timedelta(minutes=15)


@task.sensor(mode="reschedule", poke_interval=LOOK_SECONDS, timeout=GIVE_UP.total_seconds())
def wait_for_deployment() -> PokeReturnValue:
    """All that `check_deployment` asks, in one task; its failure names what is lacking."""
    has_arrived = _code_has_arrived()
    if has_arrived:
        deployment.check_packages()
        deployment.check_connections(current_settings())
    return PokeReturnValue(is_done=has_arrived)


@task.sensor(mode="reschedule", poke_interval=LOOK_SECONDS, timeout=GIVE_UP.total_seconds())
def wait_for_code() -> PokeReturnValue:
    return PokeReturnValue(is_done=_code_has_arrived())


@task
def check_packages() -> None:
    deployment.check_packages()


@task(on_success_callback=on_run_success)
def check_connections() -> None:
    deployment.check_connections(current_settings())


def _code_has_arrived() -> bool:
    unfinished = deployment.unfinished_files()
    if unfinished:
        log.warning(
            "The copy of the code on this worker is unfinished: %d files differ, %s among them.",
            *(len(unfinished), unfinished[0]),
        )
    return not unfinished
