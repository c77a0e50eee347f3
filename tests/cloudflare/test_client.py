"""The client: limits, retries, and errors that a person can act on."""

from __future__ import annotations

import httpx
import pytest
from airflow.sdk import Connection
from hypothesis import given, settings
from hypothesis import strategies as st

from deploy.cloudflare.local_cloudflare import LocalCloudflare
from include.cloudflare.access import D1_DATABASE_BYTES, read_access
from include.cloudflare.client import PatientTransport, open_cloudflare
from include.cloudflare.d1 import D1Database, Statement
from include.cloudflare.errors import CloudflareError
from include.cloudflare.limiter import (
    POOL_SLOTS,
    REQUESTS_PER_WINDOW,
    WINDOW_SECONDS,
    RequestLimiter,
)
from tests.cloudflare.published import answer_next_with, journal


class Clock:
    """A clock that moves when somebody sleeps."""

    def __init__(self) -> None:
        self.time = 0.0
        self.slept: list[float] = []

    def now(self) -> float:
        return self.time

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.time += seconds


@given(tasks=st.lists(st.tuples(st.integers(1, 400), st.floats(0, 20)), min_size=1, max_size=20))
@settings(max_examples=50, deadline=None)
def test_a_slot_keeps_its_share_whichever_tasks_follow_one_another_in_it(
    tasks: list[tuple[int, float]],
) -> None:
    clock = Clock()
    sent: list[float] = []
    for requests, pause in tasks:
        limiter = RequestLimiter(now=clock.now, sleep=clock.sleep)
        for _ in range(requests):
            limiter.take()
            sent.append(clock.time)
        limiter.settle()
        clock.time += pause
    share = REQUESTS_PER_WINDOW / POOL_SLOTS
    for first in range(0, len(sent), 7):
        window = [at for at in sent[first:] if at < sent[first] + WINDOW_SECONDS]
        assert len(window) <= share + 1


def test_a_few_requests_do_not_wait_for_one_another() -> None:
    clock = Clock()
    limiter = RequestLimiter(now=clock.now, sleep=clock.sleep)
    for _ in range(50):
        limiter.take()
    assert clock.slept == []


def client(clock: Clock, *answers: httpx.Response | Exception) -> httpx.Client:
    left = list(answers)

    def answer(request: httpx.Request) -> httpx.Response:
        given = left.pop(0)
        if isinstance(given, Exception):
            raise given
        return given

    limiter = RequestLimiter(now=clock.now, sleep=clock.sleep)
    transport = PatientTransport(
        httpx.MockTransport(answer), limiter, now=clock.now, sleep=clock.sleep
    )
    return httpx.Client(transport=transport)


def test_retry_after_is_waited_for_even_if_it_is_five_minutes() -> None:
    clock = Clock()
    busy = httpx.Response(429, headers={"Retry-After": "300"})
    assert client(clock, busy, httpx.Response(200)).get("http://api").status_code == 200
    assert clock.slept == [300.0]


def test_a_request_without_an_answer_is_sent_again() -> None:
    clock = Clock()
    lost = httpx.ReadError("gone")
    assert client(clock, lost, lost, httpx.Response(200)).get("http://api").status_code == 200
    assert all(0 < seconds <= 4 for seconds in clock.slept)


def test_patience_ends() -> None:
    clock = Clock()
    answers = [httpx.Response(503) for _ in range(200)]
    assert client(clock, *answers).get("http://api").status_code == 503
    assert 60 < clock.time < 500


def test_what_is_wrong_with_the_request_is_not_sent_again() -> None:
    clock = Clock()
    assert client(clock, httpx.Response(400)).get("http://api").status_code == 400
    assert clock.slept == []


def test_the_sdk_goes_through_the_transport(cloudflare: LocalCloudflare) -> None:
    before = len(journal(cloudflare))
    answer_next_with(cloudflare, {"status": 429, "headers": {"retry-after": "0.1"}})
    with open_cloudflare(cloudflare.access) as sdk:
        assert D1Database(sdk, "local", "marts").size_bytes() > 0
    assert len(journal(cloudflare)) == before + 2


def test_a_refusal_names_cloudflares_code_and_what_to_do_and_not_the_token(
    cloudflare: LocalCloudflare,
) -> None:
    wrong = cloudflare.access.model_copy(update={"token": "some-wrong-token"})
    with open_cloudflare(wrong) as sdk, pytest.raises(CloudflareError) as raised:
        D1Database(sdk, "local", "marts").run([Statement("SELECT 1")])
    assert str(raised.value) == (
        "Cannot query D1: Cloudflare answered 403, code 10000 (Authentication error); "
        "give the token the permission that docs/cloudflare.md lists for it."
    )


def test_a_database_that_does_not_exist_is_told_by_what_to_check(
    cloudflare: LocalCloudflare,
) -> None:
    with (
        open_cloudflare(cloudflare.access) as sdk,
        pytest.raises(CloudflareError, match="check the account and the ids"),
    ):
        D1Database(sdk, "local", "other").run([Statement("SELECT 1")])


def test_the_connection_says_where_and_with_which_rights() -> None:
    access = read_access(
        Connection(
            conn_id="cloudflare",
            conn_type="generic",
            login="account",
            password="token",
            extra='{"d1_database_id": "d", "kv_namespace_id": "k"}',
        )
    )
    assert (access.account_id, access.token, access.base_url) == ("account", "token", None)
    assert (access.d1_database_id, access.kv_namespace_id) == ("d", "k")
    assert access.d1_database_bytes == D1_DATABASE_BYTES
    assert "token" not in repr(access)


@pytest.mark.parametrize(
    ("login", "extra", "wrong"),
    [(None, "{}", "account_id"), ("a", '{"d1_databse_id": "x"}', "d1_databse_id")],
)
def test_a_wrong_connection_is_told_by_its_field(login: str | None, extra: str, wrong: str) -> None:
    connection = Connection(
        conn_id="cloudflare", conn_type="generic", login=login, password="hidden", extra=extra
    )
    with pytest.raises(CloudflareError, match=f"wrong in {wrong}") as raised:
        read_access(connection)
    assert "hidden" not in str(raised.value)
