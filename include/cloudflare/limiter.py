"""Keeps every task below Cloudflare's limit of requests, without the tasks knowing one another.

Cloudflare counts 1,200 requests in five minutes for a whole account and then refuses everything for
five minutes (https://developers.cloudflare.com/fundamentals/api/reference/limits/). A task that
talks to it holds one slot of the Airflow pool POOL, and each of the POOL_SLOTS owns an equal share.
A slot's share is BURST requests at once and the rest at an even rate. A task gives its slot back
only when its burst is paid back (`settle`), so a slot keeps its share however many tasks follow one
another in it. What a killed task leaves unpaid, its retry's delay pays.
"""

from __future__ import annotations

import time
from collections.abc import Callable

POOL = "cloudflare"
POOL_SLOTS = 4

WINDOW_SECONDS = 300.0
REQUESTS_PER_WINDOW = 1_200
# Of a slot's share, the part that may come at once.
BURST = 0.2


class RequestLimiter:
    """A token bucket: ``take`` waits for the right to one request, ``settle`` until it is full."""

    def __init__(
        self,
        requests_per_window: int = REQUESTS_PER_WINDOW,
        *,
        now: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        share = requests_per_window / POOL_SLOTS
        self._capacity = max(1.0, share * BURST)
        self._rate = (share - self._capacity) / WINDOW_SECONDS
        if self._rate <= 0:
            raise ValueError(
                f"{requests_per_window} requests in five minutes are too few for {POOL_SLOTS} "
                "tasks; set requests_per_window to 8 or more."
            )
        self._now, self._sleep = now, sleep
        self._tokens = self._capacity
        self._at = now()

    def take(self) -> None:
        self._wait_for(1.0)
        self._tokens -= 1.0

    def settle(self) -> None:
        self._wait_for(self._capacity)

    def _wait_for(self, tokens: float) -> None:
        self._refill()
        missing = tokens - self._tokens
        if missing > 0:
            self._sleep(missing / self._rate)
            self._refill()
            # A clock may come a little short of what was slept.
            self._tokens = max(self._tokens, tokens)

    def _refill(self) -> None:
        now = self._now()
        self._tokens = min(self._capacity, self._tokens + (now - self._at) * self._rate)
        self._at = now
