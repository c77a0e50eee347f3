"""When DAGs run, by environment. In dev ingest is started by hand."""

from __future__ import annotations

from airflow.sdk import CronPartitionTimetable

from include.settings import Settings, current_settings

BUSINESS_DAY = "%Y-%m-%d"


def days_of_a_backfill() -> CronPartitionTimetable:
    """For a DAG with an ``end_date`` in the past: never started by itself, it has a run for each
    day of a backfill, with the day as its partition key.
    """
    return CronPartitionTimetable("0 0 * * *", timezone="UTC", key_format=BUSINESS_DAY)


def ingest_schedule(settings: Settings | None = None) -> CronPartitionTimetable | None:
    """The schedule of both ingest DAGs: None, or daily at the environment's time in UTC.

    A scheduled run carries the day before it as its partition key: the run of 2026-11-20 01:00
    has 2026-11-19. Airflow checks the cron expression when the DAG is parsed.
    """
    cron = (settings or current_settings()).ingest_schedule
    if cron is None:
        return None
    return CronPartitionTimetable(cron, timezone="UTC", run_offset=-1, key_format=BUSINESS_DAY)
