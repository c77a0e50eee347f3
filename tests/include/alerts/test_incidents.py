"""One message for each incident, none lost, and one when it is over."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from include.alerts import outbox
from include.alerts.formatter import Alert, Outcome
from include.alerts.incidents import count_open, incident_key
from include.alerts.outbox import Message, count_waiting
from include.alerts.routing import QuietHours, load_routing
from include.alerts.tasks import deliver as send_what_waits
from include.alerts.telling import SECONDS, deliver, tell, tell_only_recovery
from include.lake import DiskLake, Lake, open_lake
from include.settings import Settings, load_settings

if TYPE_CHECKING:
    from tests.services.slack import SlackServer

Connect = Callable[[str], None]


@pytest.fixture
def lake(dev: Settings) -> Lake:
    return open_lake(dev.lake)


@pytest.fixture
def slack(slack_server: SlackServer, connect_slack: Connect) -> SlackServer:
    connect_slack(slack_server.url)
    return slack_server


def texts(slack: SlackServer) -> list[str]:
    return [message["text"] for message in slack.messages]


def succeeded(alert: Alert, run_id: str) -> Alert:
    return replace(alert, outcome=Outcome.SUCCEEDED, run_id=run_id, sentence="The run finished.")


def make_due(lake: Lake) -> None:
    """Let the time pass that failed messages wait."""
    for stored in list(lake.list("monitoring/alerts/outbox")):
        message = outbox._read(lake, stored.key)
        assert message is not None
        outbox._write(lake, stored.key, replace(message, not_before="2026-01-01T00:00:00+00:00"))


def test_tasks_that_fail_of_one_cause_are_one_message(
    dev: Settings, slack: SlackServer, failed_test: Alert
) -> None:
    for index in range(3):
        sentence = f"Cannot read 'sales_{index}.csv' in the lake (No space left); free {index} MB."
        tell(replace(failed_test, subject=f"conform[{index}]", sentence=sentence), dev)
    assert len(slack.messages) == 1
    tell(replace(failed_test, sentence="Another cause."), dev)
    assert len(slack.messages) == 2


def test_a_run_that_succeeds_says_what_is_over_and_how_long_it_took(
    dev: Settings, lake: Lake, slack: SlackServer, failed_test: Alert
) -> None:
    for run_id in ("run-1", "run-2"):
        tell(replace(failed_test, run_id=run_id), dev)
    tell(succeeded(failed_test, "run-3"), dev)
    failure, recovery, success = texts(slack)
    assert "transform is back to normal in dev: Back to normal after 2 runs." in recovery
    assert failed_test.sentence in recovery
    assert failed_test.sentence in failure
    assert "succeeded" in success
    assert count_open(lake) == 0


def test_what_comes_back_after_a_recovery_is_told_again(
    dev: Settings, slack: SlackServer, failed_test: Alert
) -> None:
    tell(failed_test, dev)
    tell(succeeded(failed_test, "run-2"), dev)
    tell(failed_test, dev)
    assert sum("check_results failed" in text for text in texts(slack)) == 2


def test_another_dags_success_closes_nothing(
    dev: Settings, lake: Lake, slack: SlackServer, failed_test: Alert
) -> None:
    tell(failed_test, dev)
    tell(replace(succeeded(failed_test, "run-2"), dag_id="ingest_files"), dev)
    assert count_open(lake) == 1


def test_what_a_run_notices_is_told_once_for_as_long_as_it_lasts(
    dev: Settings, lake: Lake, slack: SlackServer, failed_test: Alert
) -> None:
    for run_id in ("run-1", "run-2"):
        noticed = replace(failed_test, outcome=Outcome.NOTICED, run_id=run_id)
        tell(noticed, dev)
        tell(succeeded(failed_test, run_id), dev)
    assert sum("noticed something" in text for text in texts(slack)) == 1
    tell(succeeded(failed_test, "run-3"), dev)
    assert count_open(lake) == 0


@pytest.mark.parametrize("fault", ["status 500", "hangs", "nonsense"])
def test_what_a_channel_does_not_take_costs_five_seconds_at_most_and_is_told_later(
    dev: Settings, lake: Lake, slack: SlackServer, failed_test: Alert, fault: str
) -> None:
    slack.status = 500 if fault == "status 500" else 200
    slack.is_hanging = fault == "hangs"
    slack.body = b"nonsense" if fault == "nonsense" else b"ok"
    started = time.monotonic()
    tell(failed_test, dev)
    assert time.monotonic() - started < SECONDS + 1.5
    assert count_waiting(lake) == 1

    slack.status, slack.is_hanging, slack.body = 200, False, b"ok"
    slack.messages.clear()
    make_due(lake)
    assert deliver(dev, SECONDS) == 1
    assert [failed_test.sentence in text for text in texts(slack)] == [True]
    assert count_waiting(lake) == 0


def test_a_rate_limit_is_kept_to(
    dev: Settings, lake: Lake, slack: SlackServer, failed_test: Alert
) -> None:
    slack.status, slack.retry_after = 429, "120"
    tell(failed_test, dev)
    (stored,) = lake.list("monitoring/alerts/outbox")
    message = outbox._read(lake, stored.key)
    assert message is not None
    assert timedelta(seconds=100) < message.due_at - datetime.now(UTC) <= timedelta(seconds=120)
    deliver(dev, SECONDS)
    assert len(slack.messages) == 1


def test_a_channel_that_nobody_connected_leaves_nothing_behind(
    dev: Settings, lake: Lake, failed_test: Alert
) -> None:
    tell(failed_test, dev)
    assert count_waiting(lake) == 0


def test_a_lake_that_cannot_be_written_is_no_exception(
    dev: Settings, tmp_path: Path, slack: SlackServer, failed_test: Alert
) -> None:
    (tmp_path / "monitoring").write_bytes(b"in the way")
    tell(failed_test, dev)
    assert (tmp_path / "alerts.log").exists()


def test_a_message_that_another_process_is_sending_is_left_to_it(
    tmp_path: Path, failed_test: Alert
) -> None:
    lake = DiskLake(tmp_path)
    now = datetime.now(UTC)
    key = outbox.put(lake, Message("slack", "s", "t", [], now.isoformat()), now)
    sent: list[str] = []
    with outbox._claimed(lake, key) as is_ours:
        assert is_ours
        outbox.deliver(lake, lambda channel, message, left: sent.append(channel), 5)
    assert sent == []
    outbox.deliver(lake, lambda channel, message, left: sent.append(channel), 5)
    assert sent == ["slack"]


@pytest.mark.parametrize(
    ("at", "waits_until"),
    [
        ("2026-11-20T13:00:00+00:00", "2026-11-20T22:00:00+00:00"),
        ("2026-11-20T20:00:00+00:00", "2026-11-20T22:00:00+00:00"),
        ("2026-11-20T22:00:00+00:00", None),
        ("2026-11-20T03:00:00+00:00", None),
    ],
)
def test_warnings_wait_for_the_end_of_the_night_in_tokyo_and_errors_do_not(
    failed_test: Alert, at: str, waits_until: str | None
) -> None:
    now = datetime.fromisoformat(at)
    routing = load_routing()
    warning = replace(failed_test, outcome=Outcome.NOTICED)
    assert routing.not_before(warning, now).isoformat() == (waits_until or at)
    assert routing.not_before(failed_test, now) == now


def test_severity_and_owner_choose_the_channel(failed_test: Alert) -> None:
    topic = "arn:aws:sns:ap-northeast-1:123456789012:alerts"
    cloud = load_settings(
        {"VENDING_ENV": "staging", "VENDING_COMPANY": "acme", "VENDING_SNS_TOPIC_ARN": topic}
    )
    owned = replace(failed_test, owners=("finance", "nobody"))
    routing = load_routing()
    assert routing.channels(owned, cloud) == ("slack", "slack_finance", "sns")
    assert routing.channels(replace(owned, outcome=Outcome.NOTICED), cloud) == (
        "slack",
        "slack_finance",
    )


def test_the_file_of_rules_decides_and_not_the_code(failed_test: Alert, tmp_path: Path) -> None:
    file = tmp_path / "routing.yaml"
    file.write_text(
        """
        slack: {severities: [error]}
        sns: {severities: []}
        quiet_hours: {from: "12:00", to: "13:00", severities: [error]}
        owners: {finance: slack_money}
        """
    )
    routing, dev = load_routing(file), load_settings({})
    owned = replace(failed_test, owners=("finance",))
    assert routing.channels(owned, dev) == ("slack", "slack_money")
    assert routing.channels(replace(owned, outcome=Outcome.NOTICED), dev) == ()
    noon_in_tokyo = datetime(2026, 11, 20, 3, tzinfo=UTC)
    assert routing.not_before(failed_test, noon_in_tokyo) == noon_in_tokyo + timedelta(hours=1)


def test_numbers_names_and_paths_do_not_make_another_incident(failed_test: Alert) -> None:
    one = replace(failed_test, sentence="Cannot read 'a.csv' at data/sources/a.csv in 3 tries.")
    other = replace(one, run_id="x", sentence="Cannot read 'b' at data/sources/b.csv in 4 tries.")
    assert incident_key(one) == incident_key(other)
    assert incident_key(one) != incident_key(replace(one, dag_id="ingest_apis"))


def test_what_was_kept_is_sent_by_the_task_of_deliver_alerts_without_another_event(
    dev: Settings, lake: Lake, slack: SlackServer, failed_test: Alert
) -> None:
    slack.status = 500
    tell(failed_test, dev)
    slack.status = 200
    slack.messages.clear()
    make_due(lake)
    send_what_waits.function()
    assert [failed_test.sentence in text for text in texts(slack)] == [True]
    assert count_waiting(lake) == 0


def test_a_warning_of_the_quiet_hours_is_sent_when_they_are_over(
    dev: Settings,
    lake: Lake,
    slack: SlackServer,
    failed_test: Alert,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    over = datetime.now(UTC) + timedelta(hours=1)
    monkeypatch.setattr(QuietHours, "end_of", lambda self, moment: over)
    tell(replace(failed_test, outcome=Outcome.NOTICED), dev)
    send_what_waits.function()
    assert texts(slack) == []
    make_due(lake)
    send_what_waits.function()
    assert ["noticed something" in text for text in texts(slack)] == [True]


def test_the_end_of_a_failure_does_not_wait_for_the_morning(failed_test: Alert) -> None:
    night = datetime(2026, 11, 20, 13, tzinfo=UTC)
    routing = load_routing()
    over = replace(failed_test, outcome=Outcome.RECOVERED)
    assert routing.not_before(over, night) == night
    assert routing.not_before(replace(failed_test, outcome=Outcome.SUCCEEDED), night) > night


def test_an_unremarkable_success_tells_what_is_over_and_nothing_else(
    dev: Settings, lake: Lake, slack: SlackServer, failed_test: Alert
) -> None:
    tell_only_recovery(succeeded(failed_test, "run-1"), dev)
    assert texts(slack) == []
    tell(failed_test, dev)
    tell_only_recovery(succeeded(failed_test, "run-2"), dev)
    deliver(dev, SECONDS)
    assert ["is back to normal" in text for text in texts(slack)] == [False, True]
