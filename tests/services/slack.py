"""A Slack that takes incoming webhooks on loopback, and misbehaves if it is told to."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


def webhook(url: str) -> str:
    """The Airflow connection to a webhook, as JSON."""
    hook = "T0/B0/hook-secret"  # pragma: allowlist secret
    return json.dumps({"conn_type": "slackwebhook", "host": url, "password": hook})


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

    @property
    def connection(self) -> str:
        """The Airflow connection to it, as JSON."""
        return webhook(self.url)

    @property
    def texts(self) -> list[str]:
        return [message["text"] for message in self.messages]


@contextmanager
def running_slack() -> Iterator[SlackServer]:
    """A Slack on a free port of its own, until the block ends."""
    slack = SlackServer()

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
