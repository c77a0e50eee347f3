"""The one client of Cloudflare's API: the official SDK over a transport that limits and retries.

The SDK's own retries are off: it ignores a Retry-After of more than a minute, and Cloudflare's is
five. Whatever is called here may be called twice (see include/publish), so a request that got no
answer is sent again.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from email.utils import parsedate_to_datetime
from random import uniform
from typing import TYPE_CHECKING

import httpx

from include.cloudflare.access import CloudflareAccess
from include.cloudflare.limiter import RequestLimiter

if TYPE_CHECKING:
    from cloudflare import Cloudflare

log = logging.getLogger(__name__)

# D1 gives a query 30 seconds.
TIMEOUT = httpx.Timeout(60.0, connect=10.0)
RETRIED = frozenset({429, 500, 502, 503, 504})
# Once through the five minutes for which Cloudflare refuses everything.
PATIENCE_SECONDS = 420.0
_LONGEST_BACKOFF_SECONDS = 30.0


@contextmanager
def open_cloudflare(access: CloudflareAccess) -> Iterator[Cloudflare]:
    """The SDK's client for the length of the block, which ends once the limiter is settled."""
    # Imported here: the SDK costs most of a second.
    from cloudflare import Cloudflare

    limiter = RequestLimiter(access.requests_per_window)
    transport = PatientTransport(httpx.HTTPTransport(), limiter)
    with httpx.Client(transport=transport, timeout=TIMEOUT) as http_client:
        yield Cloudflare(
            api_token=access.token,
            base_url=api_root(access.base_url),
            http_client=http_client,
            max_retries=0,
        )
    limiter.settle()


class PatientTransport(httpx.BaseTransport):
    """Sends each request when the limiter allows it, and again when Cloudflare asks to wait."""

    def __init__(
        self,
        inner: httpx.BaseTransport,
        limiter: RequestLimiter,
        *,
        patience: float = PATIENCE_SECONDS,
        now: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._inner, self._limiter = inner, limiter
        self._patience, self._now, self._sleep = patience, now, sleep

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        deadline = self._now() + self._patience
        attempt = 0
        while True:
            attempt += 1
            self._limiter.take()
            answer = self._send(request)
            if isinstance(answer, httpx.Response) and answer.status_code not in RETRIED:
                return answer
            wait = _wait_seconds(answer, attempt)
            if self._now() + wait > deadline:
                return _give_up(answer)
            log.info("Cloudflare %s; trying again in %.1f s.", _describe(answer), wait)
            if isinstance(answer, httpx.Response):
                answer.close()
            self._sleep(wait)

    def close(self) -> None:
        self._inner.close()

    def _send(self, request: httpx.Request) -> httpx.Response | httpx.TransportError:
        try:
            return self._inner.handle_request(request)
        except httpx.TransportError as error:
            return error


def _give_up(answer: httpx.Response | httpx.TransportError) -> httpx.Response:
    if isinstance(answer, httpx.TransportError):
        raise answer
    return answer


def _wait_seconds(answer: httpx.Response | httpx.TransportError, attempt: int) -> float:
    asked = answer.headers.get("retry-after") if isinstance(answer, httpx.Response) else None
    if asked is not None:
        return _retry_after(asked)
    return uniform(0.5, 1.0) * min(_LONGEST_BACKOFF_SECONDS, 2.0**attempt / 2)


def _retry_after(value: str) -> float:
    """Seconds of a Retry-After header, which holds seconds or an HTTP date (RFC 9110, 10.2.3)."""
    try:
        return max(0.0, float(value))
    except ValueError:
        pass
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
    except ValueError:
        return _LONGEST_BACKOFF_SECONDS


def _describe(answer: httpx.Response | httpx.TransportError) -> str:
    if isinstance(answer, httpx.Response):
        return f"answered {answer.status_code}"
    return f"did not answer ({type(answer).__name__})"


def api_root(base_url: str | None) -> str | None:
    """The address that the paths of the API follow; None is Cloudflare's own."""
    return None if base_url is None else f"{base_url.rstrip('/')}/client/v4"
