"""A Slack that answers on loopback, and an alert to send to it."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from include import settings as settings_module
from include.alerts.formatter import Alert, Outcome
from include.alerts.routing import QuietHours
from include.settings import Environment, Settings


@dataclass
class SlackServer:
    """What the server received, and how it answers.

    ``release`` lets a held answer go. A dripping answer is a byte every half second.
    """

    url: str = ""
    status: int = 200
    body: bytes = b"ok"
    retry_after: str | None = None
    is_hanging: bool = False
    is_dripping: bool = False
    release: threading.Event = field(default_factory=threading.Event)
    messages: list[dict[str, Any]] = field(default_factory=list)


@contextmanager
def _serving(slack: SlackServer) -> Iterator[SlackServer]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            slack.messages.append(json.loads(body))
            if slack.is_hanging:
                slack.release.wait(60)
            # A client that has given up is what some tests are about.
            with suppress(BrokenPipeError, ConnectionResetError):
                self.answer()

        def answer(self) -> None:
            self.send_response(slack.status)
            if slack.retry_after:
                self.send_header("Retry-After", slack.retry_after)
            self.end_headers()
            for byte in slack.body if slack.is_dripping else ():
                self.wfile.write(bytes([byte]))
                slack.release.wait(0.5)
            self.wfile.write(slack.body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    slack.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield slack
    finally:
        slack.release.set()
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def slack_server() -> Iterator[SlackServer]:
    with _serving(SlackServer()) as slack:
        yield slack


@pytest.fixture
def connect_slack(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Defines the Airflow connection `slack` as a webhook at an address."""

    def connect(url: str) -> None:
        connection = {"conn_type": "slackwebhook", "host": url, "password": "T0/B0/hook-secret"}
        monkeypatch.setenv("AIRFLOW_CONN_SLACK", json.dumps(connection))

    monkeypatch.delenv("AIRFLOW_CONN_SLACK", raising=False)
    return connect


@pytest.fixture
def dev(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, connect_slack: object
) -> Iterator[Settings]:
    """The settings of dev with a data folder of the test's own, without quiet hours."""
    monkeypatch.setenv("VENDING_ENV", "dev")
    monkeypatch.setenv("VENDING_DATA_DIR", str(tmp_path))
    monkeypatch.setattr(QuietHours, "end_of", lambda self, moment: None)
    settings_module.current_settings.cache_clear()
    yield settings_module.current_settings()
    settings_module.current_settings.cache_clear()


@pytest.fixture
def failed_test() -> Alert:
    return Alert(
        outcome=Outcome.FAILED,
        environment=Environment.DEV,
        dag_id="transform",
        run_id="asset_triggered__2026-11-20T03:00:00+00:00",
        subject="check_results",
        sentence="1 of 60 dbt nodes failed: test not_null_fct_sales_amount (3 rows).",
        log_url="http://127.0.0.1:8080/dags/transform/runs/1/tasks/check_results?try_number=1",
        runbook="docs/runbooks/transform.md",
    )
