"""The vendor API on loopback: two change feeds behind a bearer token.

`GET /v1/telemetry` and `GET /v1/weather` take `cursor` and `limit` and answer `{"data": [...]}`
with `X-Next-Cursor` (always; opaque; the last one asks for what is newer) and `X-Has-More`.
Errors are problem+json (RFC 9457). `GET /healthz` needs no token.
"""

import base64
import hmac
import json
import signal
import threading
import time
import zlib
from collections import Counter
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from simulator.api_faults import NO_API_FAULTS, RETRY_AFTER_SECONDS, ApiFaults, break_item
from simulator.disk import write_atomically
from simulator.errors import SimulatorError
from simulator.feeds import Feed, Item

HOST = "127.0.0.1"
MAXIMUM_LIMIT = 1000
_MALFORMED_BODY = b'{"data": [{"event_id": "VM00<html>502 Bad Gateway</html>'


@dataclass(frozen=True)
class Answer:
    status: HTTPStatus
    body: bytes
    headers: tuple[tuple[str, str], ...] = ()
    content_type: str = "application/json"


class RefusedError(Exception):
    """A request that gets an error instead of a page."""

    def __init__(
        self, status: HTTPStatus, detail: str, headers: tuple[tuple[str, str], ...] = ()
    ) -> None:
        super().__init__(detail)
        self.answer = Answer(
            status,
            json.dumps({"title": status.phrase, "status": status, "detail": detail}).encode(),
            headers,
            "application/problem+json",
        )


class VendorApi:
    """Answers requests; knows nothing of sockets."""

    def __init__(
        self,
        feeds: tuple[Feed, ...],
        token: str,
        faults: ApiFaults = NO_API_FAULTS,
        maximum_limit: int = MAXIMUM_LIMIT,
    ) -> None:
        self._feeds = {f"/v1/{feed.name}": feed for feed in feeds}
        self._token = token
        self._faults = faults
        self._maximum_limit = maximum_limit
        self._requests: Counter[str] = Counter()
        self._counting = threading.Lock()

    def answer(self, target: str, authorization: str | None) -> Answer:
        """The answer to `GET target`."""
        url = urlsplit(target)
        try:
            if url.path == "/healthz":
                return Answer(HTTPStatus.OK, b'{"status":"ok"}')
            if not hmac.compare_digest(
                (authorization or "").encode(), f"Bearer {self._token}".encode()
            ):
                raise RefusedError(
                    HTTPStatus.UNAUTHORIZED,
                    "Send the header Authorization: Bearer <token>.",
                    (("WWW-Authenticate", "Bearer"),),
                )
            feed = self._feeds.get(url.path)
            if feed is None:
                raise RefusedError(HTTPStatus.NOT_FOUND, f"There is nothing at {url.path}.")
            self._misbehave(feed)
            return self._page(feed, parse_qs(url.query, keep_blank_values=True))
        except RefusedError as refusal:
            return refusal.answer

    def _misbehave(self, feed: Feed) -> None:
        with self._counting:
            self._requests[feed.name] += 1
            number = self._requests[feed.name]
        time.sleep(self._faults.delay_seconds(number))
        status = self._faults.refusal(number)
        if status == HTTPStatus.TOO_MANY_REQUESTS:
            wait = (("Retry-After", str(RETRY_AFTER_SECONDS)),)
            raise RefusedError(HTTPStatus.TOO_MANY_REQUESTS, "Too many requests: wait.", wait)
        if status is not None:
            raise RefusedError(HTTPStatus(status), "The service failed: try again.")

    def _page(self, feed: Feed, query: dict[str, list[str]]) -> Answer:
        start = _start_of(feed, query.get("cursor", [""])[-1])
        stop = min(start + self._limit(query.get("limit", [""])[-1]), len(feed))
        headers = (
            ("X-Next-Cursor", cursor_at(feed, stop)),
            ("X-Has-More", "true" if stop < len(feed) else "false"),
        )
        malformed = self._faults.malformed_position(feed)
        if malformed is not None and start <= malformed < stop:
            return Answer(HTTPStatus.OK, _MALFORMED_BODY, headers)
        content = {"data": self._items(feed, start, stop)}
        body = json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()
        return Answer(HTTPStatus.OK, body, headers)

    def _items(self, feed: Feed, start: int, stop: int) -> list[Item]:
        items = feed.items(start, stop)
        for position, broken in self._faults.broken_items(feed).items():
            if start <= position < stop:
                items[position - start] = break_item(items[position - start], broken)
        return items

    def _limit(self, text: str) -> int:
        if not text:
            return min(100, self._maximum_limit)
        if not text.isascii() or not text.isdigit() or int(text) == 0:
            raise RefusedError(
                HTTPStatus.BAD_REQUEST, "limit must be a whole number of at least 1."
            )
        return min(int(text), self._maximum_limit)


def cursor_at(feed: Feed, position: int) -> str:
    """The opaque cursor after `position` items; a checksum tells it from an invented one."""
    text = f"{feed.name}:{position}"
    return base64.urlsafe_b64encode(f"{text}:{zlib.crc32(text.encode()):08x}".encode()).decode()


def _start_of(feed: Feed, cursor: str) -> int:
    if not cursor:
        return 0
    try:
        position = int(base64.urlsafe_b64decode(cursor.encode("ascii")).decode().split(":")[1])
    except (ValueError, IndexError):
        position = -1
    if not 0 <= position <= len(feed) or cursor_at(feed, position) != cursor:
        raise RefusedError(HTTPStatus.BAD_REQUEST, "This cursor is unknown: start without one.")
    return position


class VendorServer(ThreadingHTTPServer):
    """The API on a loopback port; 0 takes a free one."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, api: VendorApi, port: int = 0) -> None:
        self.api = api
        try:
            super().__init__((HOST, port), _Handler)
        except OSError as error:
            raise SimulatorError(
                f"Port {port} of {HOST} cannot be used ({error.strerror}): choose another one, or "
                "0 for a free one."
            ) from error

    @property
    def port(self) -> int:
        return self.server_address[1]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: VendorServer

    def do_GET(self) -> None:
        answer = self.server.api.answer(self.path, self.headers.get("Authorization"))
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.content_type)
        self.send_header("Content-Length", str(len(answer.body)))
        for name, value in answer.headers:
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(answer.body)

    def log_message(self, *_: object) -> None:
        """Quiet: the pipeline's own log says what it asked for."""


def serve_until_stopped(server: VendorServer, port_file: Path | None) -> None:
    """Serve until SIGTERM or SIGINT. The port file appears once the server answers."""
    for name in (signal.SIGTERM, signal.SIGINT):
        # shutdown() waits for the serving loop, which runs in the thread that gets the signal.
        signal.signal(name, lambda *_: threading.Thread(target=server.shutdown).start())
    with server:
        if port_file is not None:
            write_atomically(port_file, f"{server.port}\n".encode())
        try:
            server.serve_forever(poll_interval=0.1)
        finally:
            if port_file is not None:
                port_file.unlink(missing_ok=True)
