"""A missed deadline is stored in the lake by a module that stands alone, and told by a task."""

from __future__ import annotations

import ast
import asyncio
import importlib.util
import json
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from include.alerts.events import deadline_event, tell_stored
from include.lake import Lake, open_lake
from include.settings import Settings, load_settings
from tests.services.aws import REGION, running_aws

PLUGIN = Path(__file__).parents[2] / "plugins" / "vending_deadlines.py"
SENTENCE = "The run has not ended 60 minutes after its start."
CONTEXT = {"dag_run": {"dag_run_id": "scheduled__2026-11-20"}}


@pytest.fixture
def settings(monkeypatch: pytest.MonkeyPatch) -> Iterator[Settings]:
    """Staging over an empty bucket."""
    with running_aws() as aws:
        aws.make_bucket("acme-vending-data-staging")
        monkeypatch.setenv("AIRFLOW_CONN_LAKE", json.dumps(aws.connection))
        monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)
        yield load_settings({"VENDING_ENV": "staging", "VENDING_COMPANY": "acme"})


def plugin() -> ModuleType:
    spec = importlib.util.spec_from_file_location("vending_deadlines", PLUGIN)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def miss(settings: Settings, dag_id: str = "check_deployment") -> None:
    arguments = deadline_event(settings, dag_id, SENTENCE)
    asyncio.run(plugin().keep(**arguments, context=CONTEXT))


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
    assert (event["dag_id"], event["run_id"]) == ("check_deployment", "scheduled__2026-11-20")


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
