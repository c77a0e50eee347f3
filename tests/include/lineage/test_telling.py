"""Telling lineage costs nothing where it is off, and little where nobody listens."""

from __future__ import annotations

import json
import logging
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from airflow.providers.openlineage.api import emit
from airflow.providers.openlineage.plugins.listener import get_openlineage_listener
from openlineage.client.event_v2 import Job, Run, RunEvent, RunState
from openlineage.client.uuid import generate_new_uuid

from include.lineage import telling

REPOSITORY = Path(__file__).resolve().parents[3]
OFF = """
import sys
from include.lineage.telling import tell_built, tell_conformed
tell_conformed(None, ())
tell_built(None, None)
print([name for name in sys.modules if name.startswith(("openlineage", "include.lineage."))])
"""

Transport = Callable[..., None]


@pytest.fixture
def transport(monkeypatch: pytest.MonkeyPatch) -> Iterator[Transport]:
    """Sets the transport of Airflow's configuration; the provider keeps its client otherwise."""

    def set_transport(**config: object) -> None:
        monkeypatch.setenv("AIRFLOW__OPENLINEAGE__TRANSPORT", json.dumps(config))
        get_openlineage_listener.cache_clear()

    yield set_transport
    get_openlineage_listener.cache_clear()


def event(name: str) -> RunEvent:
    return RunEvent(
        eventType=RunState.COMPLETE,
        eventTime=datetime.now(UTC).isoformat(),
        run=Run(runId=str(generate_new_uuid())),
        job=Job(namespace="default", name=name),
        producer="tests",
    )


def send(*names: str) -> float:
    """Send an event for each name; returns the seconds that it took."""
    begun = time.monotonic()
    telling.send([partial(emit, event(name)) for name in names])
    return time.monotonic() - begun


@pytest.fixture
def server() -> Iterator[tuple[str, list[str], threading.Event]]:
    """The address of an OpenLineage server, the jobs that it was told, and whether it answers."""
    jobs: list[str] = []
    answers = threading.Event()
    answers.set()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            answers.wait(30)
            body = self.rfile.read(int(self.headers["Content-Length"]))
            jobs.append(json.loads(body)["job"]["name"])
            self.send_response(201)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        running.daemon_threads = True
        thread = threading.Thread(target=running.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{running.server_port}", jobs, answers
        answers.set()
        running.shutdown()


def test_without_a_transport_nothing_is_imported() -> None:
    done = subprocess.run(
        [sys.executable, "-c", OFF],
        cwd=REPOSITORY, capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    assert done.stdout.splitlines()[-1] == "['include.lineage.telling']"


def test_events_go_to_an_http_transport(
    transport: Transport, server: tuple[str, list[str], threading.Event]
) -> None:
    address, jobs, _ = server
    transport(type="http", url=address)
    send("ingest_files.conform", "ingest_files.load")
    assert jobs == ["ingest_files.conform", "ingest_files.load"]


def test_a_transport_that_does_not_answer_is_given_up_on(
    transport: Transport,
    server: tuple[str, list[str], threading.Event],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    address, _, answers = server
    answers.clear()
    monkeypatch.setattr(telling, "EVENT_SECONDS", 0.3)
    transport(type="http", url=address, retry={"total": 0})
    with caplog.at_level(logging.WARNING):
        assert send("a", "b", "c") < 2
    assert "3 of 3 lineage events could not be sent in time" in caplog.text


def test_whatever_is_wrong_with_lineage_fails_no_task(
    transport: Transport, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    transport(type="file", log_file_path=str(tmp_path / "events"))
    telling.tell_built(None, tmp_path / "nothing-was-built")
    assert "The lineage of this task could not be told" in caplog.text


@pytest.mark.parametrize(
    "file",
    ["deploy/local/airflow_env.py", "deploy/mwaa/startup.sh", "Dockerfile", "docker-compose.yaml"],
)
def test_the_tasks_that_follow_the_build_are_left_out_in_every_environment(file: str) -> None:
    from include.transform.node_task import DbtNodeOperator

    text = (REPOSITORY / file).read_text("utf-8")
    operator = f"{DbtNodeOperator.__module__}.{DbtNodeOperator.__qualname__}"
    assert re.search(rf'DISABLED_FOR_OPERATORS"?[:=] ?"?{re.escape(operator)}\b', text)
