"""A missed deadline is told to Slack, by a module that stands alone."""

from __future__ import annotations

import ast
import asyncio
import importlib.util
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import ModuleType

import pytest

PLUGIN = Path(__file__).parents[2] / "plugins" / "vending_deadlines.py"


@pytest.fixture
def received(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[dict]]:
    """What a Slack on loopback gets."""
    messages: list[dict] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            messages.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"ok")

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    connection = {
        "conn_type": "slackwebhook",
        "password": f"http://127.0.0.1:{server.server_port}/hook",
    }
    monkeypatch.setenv("AIRFLOW_CONN_SLACK", json.dumps(connection))
    yield messages
    server.shutdown()
    thread.join()
    server.server_close()


def plugin() -> ModuleType:
    spec = importlib.util.spec_from_file_location("vending_deadlines", PLUGIN)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_sentence_reaches_slack(received: list[dict]) -> None:
    asyncio.run(plugin().tell(text="transform is late.", slack_connection_id="slack"))

    assert [message["text"] for message in received] == ["transform is late."]


def test_importing_it_costs_nothing_of_airflow() -> None:
    tree = ast.parse(PLUGIN.read_text("utf-8"))
    at_import = [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]

    assert {getattr(node, "module", None) for node in at_import} == {"__future__", "typing"}
