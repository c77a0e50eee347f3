"""The terminal in dev, a Slack that answers, refuses, hangs, drips or is not there, and SNS."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from include.alerts.channels import (
    NotConnectedError,
    NotDeliveredError,
    send,
    write_to_terminal,
)
from include.alerts.formatter import Alert, as_blocks, as_text
from include.alerts.outbox import Message
from include.settings import Settings, load_settings
from tests.services.aws import ACCESS_KEY, REGION, SECRET_KEY, running_aws

if TYPE_CHECKING:
    from tests.services.slack import SlackServer

Connect = Callable[[str], None]

SECONDS = 2.0


@pytest.fixture
def message(failed_test: Alert) -> Message:
    return Message(
        channel="slack",
        subject=failed_test.title,
        text=as_text(failed_test),
        blocks=as_blocks(failed_test),
        not_before="2026-11-20T00:00:00+00:00",
    )


def test_the_terminal_is_one_line_for_each_alert(
    tmp_path: Path, dev: Settings, failed_test: Alert, capsys: pytest.CaptureFixture[str]
) -> None:
    write_to_terminal(failed_test, dev)
    write_to_terminal(failed_test, dev)
    lines = (tmp_path / "alerts.log").read_text(encoding="utf-8").splitlines()
    assert len(lines) == 2
    assert all(line.endswith(as_text(failed_test)) for line in lines)
    assert capsys.readouterr().err.splitlines() == lines


def test_slack_gets_the_text_and_the_blocks(
    slack_server: SlackServer, connect_slack: Connect, dev: Settings, message: Message
) -> None:
    connect_slack(slack_server.url)
    send("slack", message, dev, SECONDS)
    assert slack_server.messages == [{"text": message.text, "blocks": message.blocks}]


def test_a_connection_that_does_not_exist_is_told_apart_from_a_failure(
    dev: Settings, message: Message
) -> None:
    with pytest.raises(NotConnectedError):
        send("slack", message, dev, SECONDS)


@pytest.mark.parametrize(
    ("status", "body", "retry_after", "expected"),
    [
        (500, b"server_error", None, "status 500"),
        (200, b"<html>a captive portal</html>", None, "status 200"),
        (429, b"", "17", "status 429"),
    ],
)
def test_an_answer_that_is_not_slacks_ok_is_a_failure(
    slack_server: SlackServer,
    connect_slack: Connect,
    dev: Settings,
    message: Message,
    status: int,
    body: bytes,
    retry_after: str | None,
    expected: str,
) -> None:
    slack_server.status, slack_server.body = status, body
    slack_server.retry_after = retry_after
    connect_slack(slack_server.url)
    with pytest.raises(NotDeliveredError, match=expected) as error:
        send("slack", message, dev, SECONDS)
    assert error.value.retry_after == (17.0 if retry_after else None)
    assert len(slack_server.messages) == 1


@pytest.mark.parametrize("fault", ["hangs", "drips"])
def test_a_slack_that_does_not_come_to_an_end_is_left_in_time(
    slack_server: SlackServer, connect_slack: Connect, dev: Settings, message: Message, fault: str
) -> None:
    slack_server.is_hanging = fault == "hangs"
    slack_server.is_dripping, slack_server.body = fault == "drips", b"ok" * 20
    connect_slack(slack_server.url)
    started = time.monotonic()
    with pytest.raises(NotDeliveredError):
        send("slack", message, dev, SECONDS)
    assert time.monotonic() - started < SECONDS + 2.5


def test_a_slack_that_is_not_there_is_a_failure_without_its_address(
    connect_slack: Connect, dev: Settings, message: Message
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    connect_slack(f"http://127.0.0.1:{port}")
    with pytest.raises(NotDeliveredError) as error:
        send("slack", message, dev, SECONDS)
    assert "hook-secret" not in str(error.value)


def test_sns_gets_the_same_text(monkeypatch: pytest.MonkeyPatch, message: Message) -> None:
    with running_aws() as aws:
        monkeypatch.setenv("AWS_ENDPOINT_URL", aws.endpoint)
        monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", ACCESS_KEY)
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET_KEY)
        topic = aws.client("sns").create_topic(Name="alerts")["TopicArn"]
        queue = aws.client("sqs").create_queue(QueueName="pager")["QueueUrl"]
        arn = f"arn:aws:sqs:{REGION}:123456789012:pager"
        aws.client("sns").subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
        settings = load_settings(
            {
                "VENDING_ENV": "staging",
                "VENDING_COMPANY": "acme",
                "VENDING_SNS_TOPIC_ARN": topic,
            }
        )
        send("sns", message, settings, 10.0)
        (received,) = aws.client("sqs").receive_message(QueueUrl=queue)["Messages"]
    content = json.loads(received["Body"])
    assert content["Message"] == message.text
    assert content["Subject"] == message.subject
