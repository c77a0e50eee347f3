"""A missed deadline is stored in the lake by a module that stands alone, and told by a task."""

from __future__ import annotations

import ast
import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance
from airflow.triggers.callback import CallbackTrigger

from include.alerts.events import deadline_event, tell_stored
from include.lake import Lake, open_lake
from include.settings import Settings, load_settings
from tests.services.aws import REGION, Aws, running_aws

PLUGIN = Path(__file__).parents[2] / "plugins" / "vending_deadlines.py"
SENTENCE = "The run has not ended 60 minutes after its start."
RUN = "scheduled__2026-11-20"


@pytest.fixture
def aws() -> Iterator[Aws]:
    with running_aws() as server:
        yield server


@pytest.fixture
def settings(aws: Aws, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Staging over an empty bucket."""
    aws.make_bucket("acme-vending-data-staging")
    monkeypatch.setenv("AIRFLOW_CONN_LAKE", json.dumps(aws.connection))
    monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)
    return load_settings({"VENDING_ENV": "staging", "VENDING_COMPANY": "acme"})


@pytest.fixture(autouse=True)
def states(monkeypatch: pytest.MonkeyPatch) -> dict[str, str | None]:
    """What Airflow says of the tasks of the group; one of them has not begun."""
    monkeypatch.syspath_prepend(PLUGIN.parent)
    found: dict[str, str | None] = {"stg_sales.run": "success", "stg_sales.test": None}

    def get_task_states(*, dag_id: str, task_group_id: str | None, run_ids: list[str]) -> Any:
        assert (task_group_id, run_ids) == ("models.staging", [RUN])
        return {RUN: found}

    monkeypatch.setattr(RuntimeTaskInstance, "get_task_states", get_task_states)
    return found


def miss(settings: Settings, dag_id: str = "check_deployment", **run: str) -> None:
    """Let Airflow's own trigger call the callback, by its path, as it does when a window ends."""
    of_the_run = {"dag_id": dag_id, "dag_run_id": RUN, "run_type": "scheduled", "state": "running"}
    trigger = CallbackTrigger(
        "vending_deadlines.keep_if_late",
        deadline_event(settings, dag_id, SENTENCE)
        | {"task_group": "models.staging", "context": {"dag_run": of_the_run | run}},
    )
    assert asyncio.run(last_state(trigger)) == "success"


async def last_state(trigger: CallbackTrigger) -> str:
    return [event.payload["state"] async for event in trigger.run()][-1]


def stored(lake: Lake, folder: str) -> list[str]:
    return [each.key for each in lake.list(f"monitoring/alerts/{folder}")]


def test_a_missed_deadline_is_one_event_however_often_the_triggerer_calls(
    settings: Settings,
) -> None:
    miss(settings)
    miss(settings)
    lake = open_lake(settings.lake)
    (key,) = stored(lake, "events")
    event = json.loads(lake.read_bytes(key))
    assert (event["dag_id"], event["run_id"]) == ("check_deployment", RUN)
    assert event["sentence"] == f"{SENTENCE} They are 1, 'stg_sales.test' first."


def test_an_event_is_encrypted_and_classified_as_the_rest_of_the_lake(
    settings: Settings, aws: Aws
) -> None:
    miss(settings)
    (key,) = stored(open_lake(settings.lake), "events")
    place = {"Bucket": settings.lake.bucket, "Key": key}
    assert aws.client("s3").head_object(**place)["ServerSideEncryption"] == "AES256"
    tags = aws.client("s3").get_object_tagging(**place)["TagSet"]
    assert tags == [{"Key": "classification", "Value": "internal"}]


def test_a_part_that_has_ended_is_not_late_even_if_tasks_of_it_failed(
    settings: Settings, states: dict[str, str | None]
) -> None:
    states["stg_sales.test"] = "failed"
    miss(settings)
    assert stored(open_lake(settings.lake), "events") == []


@pytest.mark.parametrize("run", [{"run_type": "backfill"}, {"state": "failed"}], ids=str)
def test_a_backfill_and_a_run_that_is_over_are_not_late(
    settings: Settings, run: dict[str, str]
) -> None:
    miss(settings, **run)
    assert stored(open_lake(settings.lake), "events") == []


def test_the_event_is_told_as_one_incident_and_forgotten(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("include.alerts.telling.deliver", lambda *_: 0)
    lake = open_lake(settings.lake)
    for _ in range(2):
        miss(settings)
        assert tell_stored(settings) == 1
    assert stored(lake, "events") == []
    (key,) = stored(lake, "outbox")
    message = json.loads(lake.read_bytes(key))
    assert f"check_deployment is late in staging: {SENTENCE}" in message["text"]
    assert "runbook docs/runbooks/check_deployment.md" in message["text"]


def test_what_is_no_event_is_removed_and_keeps_no_other_from_being_told(
    settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    lake = open_lake(settings.lake)
    for number, content in enumerate((b"{", b"[]", b'{"outcome": "late"}')):
        lake.write_bytes(f"monitoring/alerts/events/{number}.json", content)
    assert tell_stored(settings) == 0
    assert stored(lake, "events") == []
    assert caplog.text.count("is no event; it is removed") == 3


def test_importing_it_costs_nothing_of_airflow() -> None:
    tree = ast.parse(PLUGIN.read_text("utf-8"))
    at_import = [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
    modules = {getattr(node, "module", None) or node.names[0].name for node in at_import}
    assert not {name for name in modules if name.startswith("airflow")}
