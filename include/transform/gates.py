"""What transform waits for in staging and prod, and what it leaves for the next environment.

A gate looks, and while something is missing gives its slot back and looks again a minute later. It
waits as long as its window says, then fails with a sentence that says what is missing.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from airflow.sdk import BaseOperator, TriggerRule, get_current_context, task
from airflow.sdk.exceptions import AirflowFailException

from include.nights import (
    Mark,
    Night,
    Part,
    days_to_compare,
    missing_contracts,
    now,
)
from include.schedules import WAITING, business_day
from include.settings import Environment, Settings, current_settings

LOOK_AGAIN = timedelta(minutes=1)

OVERRIDE_PARAM = "override_reason"


class Gate(BaseOperator):
    """Passes once ``missing`` finds nothing any more; it is given the settings and the DAG run.

    Deferred by the time trigger of Airflow itself: the triggerer of MWAA imports nothing of ours.
    """

    ui_color = "#f3e6c8"

    def __init__(self, *, missing: Callable[[Settings, Any], list[str]], **kwargs: Any) -> None:
        # The window ends the wait, with a better message than a time-out's.
        limit = WAITING + 10 * LOOK_AGAIN
        super().__init__(execution_timeout=limit, **kwargs)
        self.missing = missing

    def execute(self, context: Any) -> None:
        """Look; wait or fail if something is missing."""
        self.look_again(context, None)

    def look_again(self, context: Any, event: Any) -> None:
        """What the trigger comes back to; ``event`` is the time that it waited for."""
        run = context["dag_run"]
        missing = self.missing(current_settings(), run)
        if not missing:
            return
        sentence = f"{business_day(run)} is not complete: {'; '.join(missing)}."
        ends = run.run_after + WAITING
        if now() >= ends:
            raise AirflowFailException(
                f"{sentence} Mend it and clear this task; {self.task_id} waited until {ends:%H:%M}."
            )
        self.log.info("%s Looking again until %s UTC.", sentence, f"{ends:%H:%M}")
        self._wait_until(min(now() + LOOK_AGAIN, ends))

    def _wait_until(self, moment: datetime) -> None:
        from airflow.providers.standard.triggers.temporal import DateTimeTrigger

        self.defer(trigger=DateTimeTrigger(moment=moment), method_name=self.look_again.__name__)


def missing_of_ingest(settings: Settings, run: Any) -> list[str]:
    """What of the run's day is not in the warehouse: an ingest DAG, or a vendor's rows."""
    from include.lake import open_lake
    from include.warehouse import open_warehouse

    day = business_day(run)
    lake = open_lake(settings.lake)
    if missing := Night(lake, day).missing_ingest():
        return missing
    with open_warehouse(settings.warehouse, lake) as warehouse:
        return missing_contracts(day, warehouse.covered_days(*days_to_compare(day)))


def missing_of_staging(settings: Settings, run: Any) -> list[str]:
    """Whether staging has verified this code tonight; a person may say that it need not have."""
    from include.bundle import bundle_checksum
    from include.lake import open_lake

    day = business_day(run)
    if reason := (run.conf or {}).get(OVERRIDE_PARAM):
        _record_override(settings, run, day, reason)
        return []
    assert settings.staging_lake is not None
    verified = Night(open_lake(settings.staging_lake), day).read(Part.VERIFIED)
    if verified is None:
        return ["staging has not verified the day"]
    if verified.checksum != bundle_checksum():
        return [f"staging has verified other code, in its run {verified.run_id}"]
    return []


@task(trigger_rule=TriggerRule.ALL_SUCCESS)
def mark_verified() -> None:
    """Leave the mark that prod waits for: every test passed tonight, with this code."""
    from include.bundle import bundle_checksum
    from include.lake import open_lake

    run = get_current_context()["dag_run"]
    mark = Mark(run_id=run.run_id, at=now(), checksum=bundle_checksum())
    Night(open_lake(current_settings().lake), business_day(run)).mark(Part.VERIFIED, mark)


def gates(settings: Settings) -> list[Gate]:
    """The gates of an environment; none in dev, where the assets start transform."""
    if settings.environment is Environment.DEV:
        return []
    ingest = Gate(task_id="wait_for_ingest", missing=missing_of_ingest)
    if settings.environment is Environment.STAGING:
        return [ingest]
    return [ingest, Gate(task_id="wait_for_staging", missing=missing_of_staging)]


def _record_override(settings: Settings, run: Any, day: Any, reason: str) -> None:
    from include.lake import open_lake

    by = getattr(run, "triggering_user_name", None)
    mark = Mark(run_id=run.run_id, at=now(), by=by, reason=reason)
    Night(open_lake(settings.lake), day).mark(Part.OVERRIDE, mark)
