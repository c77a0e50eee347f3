"""What the page answers: to whom, how fast, and with which headers."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from statistics import median
from typing import TYPE_CHECKING

import httpx
import pytest

from tests.plugins.health_page.snapshots import bad_day, healthy_day

if TYPE_CHECKING:
    from tests.plugins.health_page.conftest import Server, Show

LIMIT_SECONDS = 0.3


@pytest.mark.parametrize("path", ["", "models/fct_sales", "dbt/", "dbt/manifest.json"])
@pytest.mark.parametrize("token", [None, "", "not-a-token"])
def test_without_a_valid_token_there_is_no_data(
    server: Server, show: Show, token: str | None, path: str
) -> None:
    show(healthy_day())
    answer = server.get(path, token=token)
    assert answer.status_code in (401, 403)
    assert "fct_sales" not in answer.text


def test_with_a_token_the_page_shows_the_snapshot(server: Server, show: Show) -> None:
    show(healthy_day())
    answer = server.get(token=server.token)
    assert answer.status_code == 200
    assert "fct_sales" in answer.text
    assert answer.text.count("<strong>Yes</strong>") == 4


def test_a_bad_day_says_what_is_wrong(server: Server, show: Show) -> None:
    show(bad_day())
    text = server.get(token=server.token).text
    assert text.count("<strong>No</strong>") == 4
    for told in ("fleet machine_telemetry", "holds_fct_sales_amount", "invalid_value 37"):
        assert told in text


def test_a_model_shows_its_last_runs_and_an_unknown_one_that_there_are_none(
    server: Server, show: Show
) -> None:
    show(healthy_day())
    text = server.get("models/fct_daily_inventory", token=server.token).text
    assert text.count(">passed<") == 4
    assert "/data-health/dbt/#!/model/model.vending.fct_daily_inventory" in text
    unknown = server.get("models/<b>", token=server.token)
    assert unknown.status_code == 200
    assert "No run has known the model &lt;b&gt;." in unknown.text


@pytest.mark.parametrize(
    ("change", "answer"),
    [
        ({}, True),
        ({"loaded_at": "2026-11-20T23:00:00Z"}, False),
        ({"published_run_id": "an-earlier-run"}, False),
    ],
)
def test_data_is_published_if_nothing_was_loaded_since(
    server: Server, show: Show, change: dict[str, str], answer: bool
) -> None:
    show(replace(healthy_day(), **change))
    text = server.get(token=server.token).text
    assert ("Published at" in text) is answer


def test_it_answers_within_300_ms(server: Server, show: Show) -> None:
    marts = tuple(replace(healthy_day().marts[0], name=f"fct_{number}") for number in range(40))
    show(replace(bad_day(), marts=marts))
    seconds = []
    for _ in range(11):
        started = time.perf_counter()
        assert server.get(token=server.token).status_code == 200
        seconds.append(time.perf_counter() - started)
    assert median(seconds) < LIMIT_SECONDS


def test_an_old_snapshot_says_so(server: Server, show: Show) -> None:
    show(healthy_day(datetime.now(UTC) - timedelta(hours=50)))
    assert "50 hours old" in server.get(token=server.token).text


@pytest.mark.parametrize(
    ("content", "told"),
    [(None, "nothing to show"), ("{", "cannot be read"), ('{"format": 99}', "cannot be read")],
)
def test_without_a_usable_snapshot_it_says_why(
    server: Server, show: Show, content: str | None, told: str
) -> None:
    show(None)
    if content is not None:
        server.layout.health_snapshot.write_text(content, encoding="utf-8")
    answer = server.get(token=server.token)
    assert answer.status_code == 200
    assert told in answer.text


@pytest.mark.parametrize(
    ("path", "header", "language"),
    [("?lang=ja", "en", "ja"), ("", "ja-JP,en;q=0.5", "ja"), ("?lang=xx", "de, en", "en")],
)
def test_the_language_is_asked_for_or_the_browsers(
    server: Server, show: Show, path: str, header: str, language: str
) -> None:
    show(healthy_day())
    headers = {"Authorization": f"Bearer {server.token}", "Accept-Language": header}
    answer = httpx.get(server.page + path, headers=headers, trust_env=False, timeout=30)
    assert f'<html lang="{language}">' in answer.text


def test_nothing_may_come_from_elsewhere(server: Server, show: Show) -> None:
    show(healthy_day())
    answer = server.get(token=server.token)
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "frame-ancestors 'self'" in policy
    assert "://" not in answer.text


def test_the_page_is_in_the_navigation_of_the_ui(server: Server) -> None:
    headers = {"Authorization": f"Bearer {server.token}"}
    url = f"{server.address}/api/v2/plugins"
    plugins = httpx.get(url, headers=headers, trust_env=False, timeout=30).json()["plugins"]
    views = [view for plugin in plugins for view in plugin["external_views"]]
    assert [(view["name"], view["href"]) for view in views if view["name"] == "Data health"] == [
        ("Data health", "/data-health/")
    ]
