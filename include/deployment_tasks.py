"""The tasks of the DAG `check_deployment`."""

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
def wait_for_code() -> PokeReturnValue:
    unfinished = deployment.unfinished_files()
    if unfinished:
        log.warning(
            "The copy of the code on this worker is unfinished: %d files differ, %s among them.",
            *(len(unfinished), unfinished[0]),
        )
    return PokeReturnValue(is_done=not unfinished)


@task
def check_packages() -> None:
    deployment.check_packages()


@task(on_success_callback=on_run_success)
def check_connections() -> None:
    deployment.check_connections(current_settings())
