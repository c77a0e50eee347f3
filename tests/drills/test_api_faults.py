"""Faults of a vendor's API that the client meets by itself: bounded, and nothing landed twice."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from include.contracts import load_catalog
from include.ingest.api import ApiAccess, ApiError, ApiLimits, fetch_pages
from include.lake import DiskLake
from tests.include.ingest.vendor import TOKEN, Answer, Vendor, page, serving

TELEMETRY = load_catalog().source("fleet.machine_telemetry")
QUICK = ApiLimits(timeout=0.3, attempts=3, first_backoff=0.01, longest_backoff=0.02)


@pytest.fixture
def vendor() -> Iterator[Vendor]:
    with serving() as started:
        yield started


@pytest.fixture
def lake(tmp_path: Path) -> DiskLake:
    return DiskLake(tmp_path)


def item(number: int) -> str:
    return f'{{"event_id":"e{number}"}}'


def fetch(lake: DiskLake, vendor: Vendor, limits: ApiLimits = QUICK) -> int:
    return fetch_pages(lake, TELEMETRY, ApiAccess(vendor.base_url, TOKEN), limits).pages


def landed(lake: DiskLake) -> int:
    return sum(1 for _ in lake.list("raw/api"))


def test_an_api_that_hangs_is_asked_again_and_left_in_the_end(lake, vendor):
    slow = Answer(seconds_before=1)
    vendor.pages = {None: page(item(1), next_cursor="c1", has_more=False)}
    vendor.faults = [slow]
    assert fetch(lake, vendor) == 1

    vendor.faults = [slow] * QUICK.attempts
    with pytest.raises(ApiError, match="failed 3 times, at last with time-out"):
        fetch(lake, vendor)
    assert landed(lake) == 1


def test_a_cursor_that_goes_back_to_an_earlier_fetch_is_a_circle(lake, vendor):
    vendor.pages = {
        None: page(item(1), next_cursor="c1", has_more=True),
        "c1": page(item(2), next_cursor="c2", has_more=False),
    }
    assert fetch(lake, vendor) == 2
    vendor.pages["c2"] = page(item(3), next_cursor="c1", has_more=True)

    for _ in range(2):
        with pytest.raises(ApiError, match="runs in a circle"):
            fetch(lake, vendor)
    assert landed(lake) == 2


def test_a_total_that_changes_between_pages_changes_nothing(lake, vendor):
    vendor.pages = {
        None: page(item(1), next_cursor="c1", has_more=True, total=100),
        "c1": page(item(2), next_cursor="c2", has_more=True, total=1),
        "c2": page(item(3), next_cursor="c3", has_more=False, total=0),
    }

    assert fetch(lake, vendor) == 3


def test_of_a_body_of_a_gigabyte_no_more_is_read_than_the_bound(lake, vendor):
    cursor = {"X-Next-Cursor": "c1", "X-Has-More": "true"}
    vendor.pages = {None: Answer(body=b"x" * 1_000_000, times=1_000, headers=cursor)}

    with pytest.raises(ApiError, match="sent a page of more than 64,000,000 bytes"):
        fetch(lake, vendor, ApiLimits(timeout=10))

    assert vendor.bytes_sent() < 100_000_000
    assert landed(lake) == 0
