"""The one client for every API source contract: pages through it and lands each page in raw.

A page is kept before the next one is asked for, and raw is the only memory: a fetch goes on from
the next_cursor of the page that landed last, after a failure as after a success.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus

import requests
from tenacity import RetryCallState, Retrying, retry_if_exception_type, stop_after_attempt
from tenacity.wait import wait_exponential_jitter

from include.contracts import ApiEndpoint, SourceContract
from include.ingest.pages import (
    PAGE_NAME,
    Page,
    PageHead,
    encode_page,
    page_folder,
    parse_body,
    read_head,
)
from include.lake import Lake

log = logging.getLogger(__name__)

_CHUNK_BYTES = 1 << 16
# So many of the last pages are looked at for a cursor that comes back.
_REMEMBERED_PAGES = 1_000


class ApiError(RuntimeError):
    """An API cannot be read; one sentence that names the source contract and the connection."""


@dataclass(frozen=True, slots=True)
class ApiAccess:
    """How to reach an API: what an Airflow connection holds. Never shown whole."""

    base_url: str
    token: str

    def __repr__(self) -> str:
        return "ApiAccess(…)"


@dataclass(frozen=True, slots=True)
class ApiLimits:
    """Bounds of one fetch. Times are in seconds.

    ``retry_after`` bounds what the API may ask us to wait; a longer wait is the next run's.
    """

    pages: int = 10_000
    body_bytes: int = 64_000_000
    attempts: int = 6
    timeout: float = 30
    first_backoff: float = 0.5
    longest_backoff: float = 30
    retry_after: float = 300


@dataclass(frozen=True, slots=True)
class LandedPages:
    """What one fetch brought. ``is_complete`` is false if it stopped at the bound on pages."""

    pages: int
    items: int
    is_complete: bool


def fetch_pages(
    lake: Lake, contract: SourceContract, access: ApiAccess, limits: ApiLimits | None = None
) -> LandedPages:
    """Land every page that the API has and raw has not. An empty page is not landed.

    Raises ApiError if the API refuses, keeps failing, sends too much or runs in a circle; the pages
    before are kept, and the next fetch goes on after them.
    """
    client = _Client(contract, access, limits or ApiLimits())
    store = _PageStore(lake, contract)
    landed = _land_pages(client, store, contract)
    rest = "" if landed.is_complete else "; there is more, which the next run fetches"
    log.info("%s: %d new pages, %d items%s.", contract.id, landed.pages, landed.items, rest)
    return landed


def _land_pages(client: _Client, store: _PageStore, contract: SourceContract) -> LandedPages:
    asked = set(store.recent_cursors())
    cursor = store.next_cursor()
    pages = items = 0
    for _ in range(client.limits.pages):
        page = client.page(cursor)
        asked.add(cursor)
        if page.head.has_more and page.head.next_cursor in asked:
            raise ApiError(
                f"The API of {contract.id} runs in a circle: after {pages} new pages it gives a "
                "cursor that was asked for already; ask the vendor to mend its paging."
            )
        if not page.body.is_empty:
            store.land(page)
            pages, items = pages + 1, items + len(page.body.items)
        if not page.head.has_more:
            return LandedPages(pages, items, is_complete=True)
        cursor = page.head.next_cursor
    return LandedPages(pages, items, is_complete=False)


class _PageStore:
    """The pages of one API source contract in raw, numbered from 1."""

    def __init__(self, lake: Lake, contract: SourceContract) -> None:
        self._lake = lake
        self._folder = page_folder(lake, contract)
        self._last_number = max(self._numbers(), default=0)

    def next_cursor(self) -> str | None:
        """The cursor that the page landed last gave; None, the start, if there is no page."""
        return self._head(self._last_number).next_cursor if self._last_number else None

    def recent_cursors(self) -> Iterator[str | None]:
        """The cursors that the last pages were asked for with."""
        first = max(1, self._last_number - _REMEMBERED_PAGES + 1)
        for number in range(first, self._last_number + 1):
            yield self._head(number).cursor

    def land(self, page: Page) -> None:
        """Keep a page under the next number. Raises ApiError if another run has taken it."""
        key = self._key(self._last_number + 1)
        if not self._lake.create_bytes(key, encode_page(page)):
            raise ApiError(
                f"The page {key!r} was landed by another run meanwhile; run the task again, and it "
                "goes on after it."
            )
        self._last_number += 1

    def _numbers(self) -> Iterator[int]:
        for stored in self._lake.list(self._folder):
            if match := PAGE_NAME.fullmatch(stored.key.removeprefix(f"{self._folder}/")):
                yield int(match["number"])

    def _head(self, number: int) -> PageHead:
        key = self._key(number)
        head = read_head(self._lake, key)
        if head is None:
            raise ApiError(
                f"The page {key!r} in the lake is damaged, so where to go on is unknown; restore "
                "it, or delete it and the later pages to fetch them again."
            )
        return head

    def _key(self, number: int) -> str:
        return f"{self._folder}/page-{number:08d}.jsonl.gz"


class _TryAgain(Exception):
    """An answer that may be another next time. ``wait`` is what the API asks for, in seconds."""

    def __init__(self, reason: str, wait: float | None = None) -> None:
        super().__init__(reason)
        self.wait = wait


class _Client:
    """Asks for one page at a time, patiently."""

    def __init__(self, contract: SourceContract, access: ApiAccess, limits: ApiLimits) -> None:
        if contract.api is None:
            raise ApiError(f"{contract.id} is no API source contract; name one that is.")
        self.limits = limits
        self._contract_id = contract.id
        self._endpoint: ApiEndpoint = contract.api
        self._url = access.base_url.rstrip("/") + contract.api.path
        self._session = requests.Session()
        # As an auth object: a header of the session would be overruled by a .netrc file.
        self._session.auth = _BearerToken(access.token)

    def page(self, cursor: str | None) -> Page:
        """The page at a cursor. Raises ApiError after the last attempt."""
        retrying = Retrying(
            retry=retry_if_exception_type(_TryAgain),
            wait=self._wait,
            stop=stop_after_attempt(self.limits.attempts),
            before_sleep=self._say_why,
            reraise=True,
        )
        try:
            return retrying(self._ask, cursor)
        except _TryAgain as error:
            problem = f"failed {self.limits.attempts} times, at last with {error}"
            raise self._error(problem, "run the task again later") from None

    def _ask(self, cursor: str | None) -> Page:
        parameters = {self._endpoint.page_size_parameter: str(self._endpoint.page_size)}
        if cursor is not None:
            parameters[self._endpoint.cursor_parameter] = cursor
        # The library's exceptions quote addresses and queries: only their kind is passed on.
        try:
            with self._session.get(
                self._url, params=parameters, timeout=self.limits.timeout, stream=True
            ) as response:
                self._check_status(response)
                return self._read(response, cursor)
        except requests.Timeout:
            raise _TryAgain("time-out") from None
        except (requests.ConnectionError, requests.exceptions.ChunkedEncodingError):
            raise _TryAgain("no connection") from None
        except requests.RequestException as error:
            raise self._error(
                f"cannot be asked ({type(error).__name__})", f"check {self._connection}"
            ) from None

    def _check_status(self, response: requests.Response) -> None:
        status = response.status_code
        if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
            raise self._error(
                f"refused the token ({status})", f"set the password of {self._connection}"
            )
        if status == HTTPStatus.TOO_MANY_REQUESTS or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            raise _TryAgain(f"status {status}", _retry_after(response.headers.get("Retry-After")))
        if status != HTTPStatus.OK:
            raise self._error(
                f"answered {status} to GET {self._endpoint.path}",
                f"check {self._connection} and the contract's path and parameters",
            )

    def _read(self, response: requests.Response, cursor: str | None) -> Page:
        content = bytearray()
        for chunk in response.iter_content(_CHUNK_BYTES):
            content += chunk
            if len(content) > self.limits.body_bytes:
                raise self._error(
                    f"sent a page of more than {self.limits.body_bytes:,} bytes",
                    "lower the contract's pageSize",
                )
        head = PageHead(
            cursor=cursor,
            next_cursor=self._header(response, self._endpoint.next_cursor_header),
            has_more=self._header(response, self._endpoint.has_more_header).lower() == "true",
            fetched_at=datetime.now(UTC),
        )
        return Page(head, parse_body(bytes(content), self._endpoint.items_field))

    def _header(self, response: requests.Response, name: str) -> str:
        value = response.headers.get(name, "").strip()
        if not value:
            raise self._error(
                f"sent a page without the header {name}",
                "correct the header's name in the contract",
            )
        return value

    def _wait(self, state: RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome else None
        asked = error.wait if isinstance(error, _TryAgain) else None
        if asked is None:
            backoff = wait_exponential_jitter(
                initial=self.limits.first_backoff,
                max=self.limits.longest_backoff,
                jitter=self.limits.first_backoff,
            )
            return backoff(state)
        if asked > self.limits.retry_after:
            raise self._error(f"asks to wait {asked:.0f} seconds", "run the task again later")
        return asked

    def _say_why(self, state: RetryCallState) -> None:
        log.info(
            "%s: %s; trying again in %.1f s.",
            self._contract_id,
            state.outcome.exception() if state.outcome else "",
            state.next_action.sleep if state.next_action else 0,
        )

    @property
    def _connection(self) -> str:
        return f"the Airflow connection {self._endpoint.connection_id}"

    def _error(self, problem: str, remedy: str) -> ApiError:
        return ApiError(f"The API of {self._contract_id} {problem}; {remedy}.")


class _BearerToken(requests.auth.AuthBase):
    def __init__(self, token: str) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self._token}"
        return request


def _retry_after(value: str | None) -> float | None:
    """Seconds to wait as RFC 9110 writes it, a number or a date; None if it says nothing usable."""
    if value is None:
        return None
    if value.strip().isdecimal():
        return float(value)
    try:
        moment = parsedate_to_datetime(value)
    except ValueError:
        return None
    return max(0.0, (moment.astimezone(UTC) - datetime.now(UTC)).total_seconds())
