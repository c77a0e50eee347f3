"""A vendor's API on a free loopback port, which answers as a test tells it to."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

TOKEN = "very-secret-token"


@dataclass
class Answer:
    status: int = 200
    body: bytes = b'{"data":[]}'
    headers: dict[str, str] = field(default_factory=dict)
    # A body that ends before its announced length, as when a connection breaks.
    is_cut_off: bool = False
    # How often the body is sent, for one that no memory should hold.
    times: int = 1
    seconds_before: float = 0


def page(*items: str, next_cursor: str, has_more: bool, total: int | None = None) -> Answer:
    """A page whose items are given as JSON text; ``total`` is what the vendor claims to have."""
    claim = "" if total is None else f'"total":{total},'
    return Answer(
        body=f'{{{claim}"data":[{",".join(items)}]}}'.encode(),
        headers={"X-Next-Cursor": next_cursor, "X-Has-More": str(has_more).lower()},
    )


def problem(status: int, **headers: str) -> Answer:
    return Answer(status, json.dumps({"title": "no"}).encode(), headers)


@dataclass
class Vendor:
    """Pages by cursor; ``faults`` are answered first, one for each request."""

    base_url: str
    pages: dict[str | None, Answer] = field(default_factory=dict)
    faults: list[Answer] = field(default_factory=list)
    requests: list[dict[str, str]] = field(default_factory=list)
    bytes_sent: Callable[[], int] = lambda: 0

    @property
    def asked(self) -> list[str | None]:
        return [request.get("cursor") for request in self.requests]

    def answer(self, target: str, authorization: str | None) -> Answer:
        query = {name: values[-1] for name, values in parse_qs(urlsplit(target).query).items()}
        self.requests.append(query)
        if authorization != f"Bearer {TOKEN}":
            return problem(401)
        if self.faults:
            return self.faults.pop(0)
        return self.pages.get(query.get("cursor"), problem(400))


@contextmanager
def serving() -> Iterator[Vendor]:
    """A vendor that answers until the block ends."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    vendor = Vendor(f"http://127.0.0.1:{server.server_address[1]}")
    server.answer = vendor.answer
    server.sent = 0
    vendor.bytes_sent = lambda: server.sent
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield vendor
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        answer_to: Callable[[str, str | None], Answer] = self.server.answer
        answer = answer_to(self.path, self.headers.get("Authorization"))
        time.sleep(answer.seconds_before)
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name.replace("_", "-"), value)
        length = answer.times * len(answer.body) + 100 * answer.is_cut_off
        self.send_header("Content-Length", str(length))
        self.close_connection = answer.is_cut_off or answer.times > 1
        # A client may have had enough.
        with suppress(ConnectionError):
            self.end_headers()
            for _ in range(answer.times):
                self.wfile.write(answer.body)
                self.server.sent += len(answer.body)

    def log_message(self, *_: object) -> None:
        """Quiet: a test shows what it needs."""
