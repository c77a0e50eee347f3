"""A store on loopback that fails as S3 does now and then: a proxy before moto."""

from __future__ import annotations

import http.client
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import cycle
from urllib.parse import urlsplit

from tests.services.aws import Aws

CODES = {403: "AccessDenied", 404: "NoSuchKey", 500: "InternalError", 503: "SlowDown"}


@dataclass(frozen=True)
class Fault:
    """What happens to one request: it is refused, answered late, or its answer breaks off half-way.

    A request whose answer breaks off has been carried out.
    """

    status: int | None = None
    seconds_before: float = 0
    is_cut: bool = False

    def __str__(self) -> str:
        return "cut" if self.is_cut else str(self.status or "slow")


@dataclass
class FaultyS3:
    """The proxy. Each request takes the next of ``faults``; None passes it on as it is."""

    aws: Aws
    faults: Iterator[Fault | None] = field(default_factory=lambda: iter(()))
    met: list[Fault] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def fail(self, *faults: Fault | None) -> None:
        """Let the next requests meet these, and all others none."""
        self.faults, self.met = iter(faults), []

    def fail_for_ever(self, *faults: Fault | None) -> None:
        """Let requests meet these in turn."""
        self.faults, self.met = cycle(faults), []

    def next_fault(self) -> Fault:
        with self._lock:
            fault = next(self.faults, None)
            if fault:
                self.met.append(fault)
        return fault or Fault()


@contextmanager
def running_faulty_s3(aws: Aws) -> Iterator[FaultyS3]:
    """The proxy on a free port; its ``aws`` is reached through it."""
    faulty = FaultyS3(aws)
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(faulty, urlsplit(aws.endpoint).netloc))
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    faulty.aws = replace(aws, endpoint=f"http://127.0.0.1:{server.server_port}")
    try:
        yield faulty
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _handler(faulty: FaultyS3, store: str) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        # So that a client may wait for "100 Continue", as boto3 does before a body.
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            fault = faulty.next_fault()
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            time.sleep(fault.seconds_before)
            if fault.status:
                self._refuse(fault.status)
            else:
                self._pass_on(body, is_cut=fault.is_cut)

        do_PUT = do_POST = do_HEAD = do_DELETE = do_GET  # noqa: N815

        def _refuse(self, status: int) -> None:
            content = f"<Error><Code>{CODES[status]}</Code><Message>no</Message></Error>".encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(content)

        def _pass_on(self, body: bytes, *, is_cut: bool) -> None:
            connection = http.client.HTTPConnection(store, timeout=30)
            connection.request(self.command, self.path, body, dict(self.headers))
            answer = connection.getresponse()
            content = answer.read()
            connection.close()
            if is_cut and not content:
                self.close_connection = True
                return
            self.send_response(answer.status)
            for name, value in answer.getheaders():
                if name.lower() not in ("transfer-encoding", "connection", "server", "date"):
                    self.send_header(name, value)
            if "content-length" not in {name.lower() for name, _ in answer.getheaders()}:
                self.send_header("Content-Length", str(len(content)))
            self.close_connection = is_cut
            # A client that has given up waiting is what some tests are about.
            with suppress(BrokenPipeError, ConnectionResetError):
                self.end_headers()
                self.wfile.write(content[: len(content) // 2] if is_cut else content)

        def log_message(self, *_: object) -> None:
            """Say nothing on the terminal of the tests."""

    return Handler
