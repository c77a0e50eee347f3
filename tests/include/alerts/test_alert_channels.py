"""The terminal in dev, and a Slack that answers, refuses, hangs or is not there."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from include.alerts.channels import (
    SLACK_TIMEOUT_SECONDS,
    SlackChannel,
    TerminalChannel,
    channels,
)
from include.alerts.formatter import Alert, as_blocks, as_text
from include.settings import load_settings

if TYPE_CHECKING:
    from conftest import SlackServer

Connect = Callable[[str], None]


def test_the_terminal_channel_appends_one_line_for_each_alert(
    tmp_path: Path, failed_test: Alert, capsys: pytest.CaptureFixture[str]
) -> None:
    channel = TerminalChannel(tmp_path / "data" / "alerts.log")
    channel.send(failed_test)
    channel.send(failed_test)
    lines = (tmp_path / "data" / "alerts.log").read_text(encoding="utf-8").splitlines()
    assert len(lines) == 2
    assert all(line.endswith(as_text(failed_test)) for line in lines)
    assert capsys.readouterr().err.splitlines() == lines


def test_slack_gets_the_text_and_the_blocks(
    slack_server: SlackServer, connect_slack: Connect, failed_test: Alert
) -> None:
    connect_slack(slack_server.url)
    SlackChannel("slack").send(failed_test)
    assert slack_server.messages == [
        {"text": as_text(failed_test), "blocks": as_blocks(failed_test)}
    ]


def test_without_a_connection_slack_is_not_asked(
    slack_server: SlackServer, connect_slack: Connect, failed_test: Alert
) -> None:
    SlackChannel("slack").send(failed_test)
    assert slack_server.messages == []


def test_a_slack_that_refuses_raises_once(
    slack_server: SlackServer, connect_slack: Connect, failed_test: Alert
) -> None:
    slack_server.status = 500
    connect_slack(slack_server.url)
    with pytest.raises(Exception, match="500"):
        SlackChannel("slack").send(failed_test)
    assert len(slack_server.messages) == 1


def test_a_slack_that_hangs_is_left_after_the_time_out(
    slack_server: SlackServer, connect_slack: Connect, failed_test: Alert
) -> None:
    slack_server.is_hanging = True
    connect_slack(slack_server.url)
    started = time.monotonic()
    with pytest.raises(TimeoutError):
        SlackChannel("slack").send(failed_test)
    assert SLACK_TIMEOUT_SECONDS - 1 < time.monotonic() - started < SLACK_TIMEOUT_SECONDS + 5


def test_a_slack_that_is_not_there_raises(connect_slack: Connect, failed_test: Alert) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    connect_slack(f"http://127.0.0.1:{port}")
    with pytest.raises(OSError, match="refused"):
        SlackChannel("slack").send(failed_test)


def test_dev_tells_the_terminal_and_slack(tmp_path: Path) -> None:
    settings = load_settings({"VENDING_DATA_DIR": str(tmp_path)})
    assert [channel.name for channel in channels(settings)] == ["terminal", "Slack"]


@pytest.mark.parametrize("environment", ["staging", "prod"])
def test_the_cloud_tells_slack_only(environment: str) -> None:
    variables = {
        "VENDING_ENV": environment,
        "VENDING_COMPANY": "acme",
        "VENDING_KMS_KEY_ID": "arn:aws:kms:eu-west-1:111122223333:key/example",
    }
    assert [channel.name for channel in channels(load_settings(variables))] == ["Slack"]
