"""When DAGs run and when they must be done, by environment. In dev ingest is started by hand.

Every scheduled run carries its business day as partition key, the day before it; so does whatever
a run by hand or a backfill names. All times are UTC.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from airflow.sdk import AsyncCallback, CronPartitionTimetable, DeadlineAlert, DeadlineReference

from include.assets import RAW_ASSETS, EveryAsset
from include.settings import Environment, Settings, current_settings

BUSINESS_DAY = "%Y-%m-%d"

# In plugins/, by its path: the triggerer calls it, and on MWAA it cannot import include/.
_KEEP = "vending_deadlines.keep_if_late"

# Of messages that wait: a person hears of a missed deadline ten minutes late at most.
DELIVERY = "*/10 * * * *"

# How long transform waits for what has to be there before it begins.
WAITING = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Window:
    """A part of a DAG, and how long after the start of a run it has to be done.

    ``task_group`` is the part's in the DAG; None stands for the whole run.
    """

    part: str
    length: timedelta
    task_group: str | None = None


# Staging: ingest 01:00 to 02:00, transform 03:00 to 05:00. Prod is the same an hour later.
INGEST_WINDOWS = (Window("ingest", timedelta(hours=1)),)
TRANSFORM_WINDOWS = (
    Window("the staging layer", timedelta(minutes=30), "models.staging"),
    Window("the intermediate layer", timedelta(hours=1), "models.intermediate"),
    Window("the marts", timedelta(minutes=90), "models.marts"),
    Window("the last tests", timedelta(hours=2)),
)


def days_of_a_backfill() -> CronPartitionTimetable:
    """For a DAG with an ``end_date`` in the past: never started by itself, it has a run for each
    day of a backfill, with the day as its partition key.
    """
    return CronPartitionTimetable("0 0 * * *", timezone="UTC", key_format=BUSINESS_DAY)


def ingest_schedule(settings: Settings | None = None) -> CronPartitionTimetable | None:
    """The schedule of both ingest DAGs: None, or daily at the environment's time.

    A scheduled run carries the day before it as its partition key: the run of 2026-11-20 01:00
    has 2026-11-19. Airflow checks the cron expression when the DAG is parsed.
    """
    cron = (settings or current_settings()).ingest_schedule
    return None if cron is None else _daily(cron)


def transform_schedule(settings: Settings | None = None) -> CronPartitionTimetable | EveryAsset:
    """The schedule of transform: daily with the same key as ingest; in dev after both ingest DAGs.

    Where it is daily it waits for the day's ingest by a task, so it runs once, at a known time, and
    says what is missing. An asset schedule would say nothing, and together with a time run twice.
    """
    cron = (settings or current_settings()).transform_schedule
    return EveryAsset(*RAW_ASSETS) if cron is None else _daily(cron)


def export_schedule(settings: Settings | None = None) -> CronPartitionTimetable | None:
    """The schedule of the anonymised export, with the same key as ingest; None outside prod."""
    cron = (settings or current_settings()).export_schedule
    return None if cron is None else _daily(cron)


def compliance_schedule(settings: Settings | None = None) -> CronPartitionTimetable | None:
    """The schedule of the compliance report: None, or monthly, with the first day of the month
    before as its key.
    """
    cron = (settings or current_settings()).compliance_schedule
    return None if cron is None else _daily(cron)


def business_day(dag_run: Any) -> date:
    """The day that a run is for: its partition key, else the day before it was due.

    Manual runs and those of an asset have no key of their own. Never the clock: a run that is
    cleared a week later is still for its day. Raises ValueError if the key is no date.
    """
    if dag_run.partition_key:
        try:
            return date.fromisoformat(dag_run.partition_key)
        except ValueError:
            raise ValueError(
                f"The partition key {dag_run.partition_key!r} is no day; start the run with a key "
                "such as 2026-11-19."
            ) from None
    due: datetime = dag_run.run_after
    return due.astimezone(UTC).date() - timedelta(days=1)


def deadlines(
    dag_id: str, windows: Iterable[Window], settings: Settings | None = None
) -> list[DeadlineAlert]:
    """An alert for each part of a DAG that is not done when its window is over; none in dev.

    Counted from when a run was queued: partitioned runs have no logical date.
    """
    settings = settings or current_settings()
    if settings.environment is Environment.DEV:
        return []
    return [
        DeadlineAlert(
            DeadlineReference.DAGRUN_QUEUED_AT,
            window.length,
            AsyncCallback(_KEEP, kwargs=_late(dag_id, window, settings)),
        )
        for window in windows
    ]


def _late(dag_id: str, window: Window, settings: Settings) -> dict[str, Any]:
    # Imported here: dev has no windows.
    from include.alerts.events import deadline_event

    minutes = int(window.length.total_seconds() // 60)
    sentence = (
        f"The window of {window.part} is over, {minutes} minutes after the start of the run; look "
        "what the tasks wait for that are not done."
    )
    event = deadline_event(settings, dag_id, sentence)
    return {**event, "task_group": window.task_group}


def _daily(cron: str) -> CronPartitionTimetable:
    return CronPartitionTimetable(cron, timezone="UTC", run_offset=-1, key_format=BUSINESS_DAY)
