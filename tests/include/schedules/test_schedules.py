"""Schedules: one key a night, one day a run, one alert a window."""

from __future__ import annotations

from datetime import UTC, date, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk import CronPartitionTimetable

from include.assets import EveryAsset
from include.schedules import (
    INGEST_WINDOWS,
    TRANSFORM_WINDOWS,
    Window,
    business_day,
    deadlines,
    ingest_schedule,
    transform_schedule,
)
from include.settings import Settings, load_settings

DEV = load_settings({})
STAGING = load_settings({"VENDING_ENV": "staging", "VENDING_COMPANY": "acme"})
PROD = load_settings(
    {"VENDING_ENV": "prod", "VENDING_COMPANY": "acme", "VENDING_KMS_KEY_ID": "key"}
)


def run(partition_key: str | None = None, due: datetime | None = None) -> Any:
    return SimpleNamespace(partition_key=partition_key, run_after=due)


@pytest.mark.parametrize(
    ("settings", "ingest", "transform"),
    [(STAGING, "0 1 * * *", "0 3 * * *"), (PROD, "0 2 * * *", "0 4 * * *")],
    ids=["staging", "prod"],
)
def test_both_dags_of_a_night_carry_the_same_day(
    settings: Settings, ingest: str, transform: str
) -> None:
    schedules = [ingest_schedule(settings), transform_schedule(settings)]

    assert all(isinstance(schedule, CronPartitionTimetable) for schedule in schedules)
    assert [schedule.expression for schedule in schedules] == [ingest, transform]
    assert {(s.run_offset, s.key_format) for s in schedules} == {(-1, "%Y-%m-%d")}


def test_in_dev_transform_follows_the_assets() -> None:
    assert ingest_schedule(DEV) is None
    assert isinstance(transform_schedule(DEV), EveryAsset)


def test_a_run_is_for_its_partition_key_whenever_it_runs() -> None:
    late = datetime(2026, 12, 24, 3, tzinfo=UTC)
    assert business_day(run("2026-11-19", late)) == date(2026, 11, 19)


def test_a_run_without_a_key_is_for_the_day_before_it_was_due() -> None:
    tokyo_morning = datetime.fromisoformat("2026-11-20T05:00:00+09:00")
    assert business_day(run(due=datetime(2026, 11, 20, 3, tzinfo=UTC))) == date(2026, 11, 19)
    assert business_day(run(due=tokyo_morning)) == date(2026, 11, 18)


def test_a_key_that_is_no_day_is_a_sentence_with_the_remedy() -> None:
    with pytest.raises(ValueError, match="'yesterday' is no day; start the run with a key such as"):
        business_day(run("yesterday"))


def ends(schedule: CronPartitionTimetable, windows: tuple[Window, ...]) -> dict[str, str]:
    """The time of day in UTC at which each window ends."""
    hour = int(schedule.expression.split()[1])
    start = datetime(2026, 1, 1, hour, tzinfo=UTC)
    return {window.part: f"{start + window.length:%H:%M}" for window in windows}


def test_the_windows_are_those_of_the_design() -> None:
    assert ends(ingest_schedule(STAGING), INGEST_WINDOWS) == {"ingest": "02:00"}
    assert ends(ingest_schedule(PROD), INGEST_WINDOWS) == {"ingest": "03:00"}
    assert list(ends(transform_schedule(STAGING), TRANSFORM_WINDOWS).items()) == [
        ("the staging layer", "03:30"),
        ("the intermediate layer", "04:00"),
        ("the marts", "04:30"),
        ("the last tests", "05:00"),
    ]
    assert ends(transform_schedule(PROD), TRANSFORM_WINDOWS)["the last tests"] == "06:00"


def test_each_window_has_an_alert_except_in_dev() -> None:
    alerts = deadlines("transform", TRANSFORM_WINDOWS, PROD)

    assert deadlines("transform", TRANSFORM_WINDOWS, DEV) == []
    assert [alert.interval for alert in alerts] == [window.length for window in TRANSFORM_WINDOWS]
    assert [alert.callback.kwargs["task_group"] for alert in alerts] == [
        "models.staging",
        "models.intermediate",
        "models.marts",
        None,
    ]
    [first, *_] = [alert.callback for alert in alerts]
    assert first.path == "vending_deadlines.keep_if_late"
    assert first.kwargs["place"].endswith("-prod/monitoring/alerts/events")
    assert first.kwargs["event"]["sentence"].startswith("The window of the staging layer is over")
