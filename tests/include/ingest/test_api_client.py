"""The API client against a real server on loopback: patient, exact, and able to go on."""

from __future__ import annotations

import gzip
import json
import logging
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from include.contracts import load_catalog
from include.ingest.api import ApiAccess, ApiError, ApiLimits, LandedPages, fetch_pages
from include.lake import DiskLake
from tests.include.ingest.vendor import TOKEN, Answer, Vendor, page, problem, serving

TELEMETRY = load_catalog().source("fleet.machine_telemetry")
FOLDER = "raw/api/fleet/machine_telemetry"
QUICK = ApiLimits(first_backoff=0.01, longest_backoff=0.02, attempts=3, timeout=2)


@pytest.fixture
def vendor() -> Iterator[Vendor]:
    with serving() as started:
        started.pages = {
            None: page(
                '{"event_id":"e1","t":1.10}', '{"event_id":"e2"}', next_cursor="c1", has_more=True
            ),
            "c1": page('{"event_id":"e3"}', next_cursor="c2", has_more=False),
            "c2": page(next_cursor="c2", has_more=False),
        }
        yield started


def fetch(
    lake: DiskLake, vendor: Vendor, limits: ApiLimits = QUICK, token: str = TOKEN
) -> LandedPages:
    return fetch_pages(lake, TELEMETRY, ApiAccess(vendor.base_url, token), limits)


def landed(lake: DiskLake) -> list[str]:
    return sorted(stored.key for stored in lake.list(FOLDER))


def lines(lake: DiskLake, number: int) -> list[str]:
    content = lake.read_bytes(f"{FOLDER}/page-{number:08d}.jsonl.gz")
    return gzip.decompress(content).decode().splitlines()


def test_every_page_lands_as_it_came(lake, vendor):
    assert fetch(lake, vendor) == LandedPages(pages=2, items=3, is_complete=True)

    head, *items = lines(lake, 1)
    assert items == ['{"event_id":"e1","t":1.10}', '{"event_id":"e2"}']
    described = json.loads(head)["_page"]
    assert datetime.fromisoformat(described.pop("fetched_at")).tzinfo is not None
    assert described == {"cursor": None, "next_cursor": "c1", "has_more": True}


def test_it_asks_for_the_contracts_page_size_and_pages_by_cursor(lake, vendor):
    fetch(lake, vendor)

    assert vendor.requests == [{"limit": "1000"}, {"limit": "1000", "cursor": "c1"}]


def test_a_second_fetch_goes_on_after_the_last_page_and_lands_no_empty_one(lake, vendor):
    fetch(lake, vendor)
    before = landed(lake)

    assert fetch(lake, vendor) == LandedPages(pages=0, items=0, is_complete=True)

    assert vendor.asked[-1] == "c2"
    assert landed(lake) == before


def test_a_page_that_another_run_landed_meanwhile_is_not_overwritten(lake, vendor, monkeypatch):
    taken = f"{FOLDER}/page-00000001.jsonl.gz"
    real = lake.create_bytes

    def too_late(key: str, content: bytes) -> bool:
        lake.write_bytes(taken, b"the other run's")
        return real(key, content)

    monkeypatch.setattr(lake, "create_bytes", too_late)

    with pytest.raises(ApiError, match="was landed by another run meanwhile; run the task again"):
        fetch(lake, vendor)

    assert lake.read_bytes(taken) == b"the other run's"


def test_what_the_vendor_added_since_becomes_the_next_page(lake, vendor):
    fetch(lake, vendor)
    vendor.pages["c2"] = page('{"event_id":"e4"}', next_cursor="c3", has_more=False)

    assert fetch(lake, vendor).pages == 1

    assert lines(lake, 3)[1:] == ['{"event_id":"e4"}']


@pytest.mark.parametrize("status", [429, 500, 502, 503])
def test_a_refusal_that_passes_is_tried_again(lake, vendor, status):
    vendor.faults = [problem(status), problem(status)]

    assert fetch(lake, vendor).pages == 2


def test_an_answer_that_breaks_off_is_tried_again(lake, vendor):
    vendor.faults = [Answer(body=b'{"data":[', is_cut_off=True)]

    assert fetch(lake, vendor).pages == 2


def test_retry_after_in_seconds_is_honoured(lake, vendor):
    vendor.faults = [problem(429, Retry_After="1")]
    started = time.monotonic()

    fetch(lake, vendor)

    assert time.monotonic() - started >= 1


def test_retry_after_as_a_date_is_honoured(lake, vendor):
    moment = datetime.now(UTC) + timedelta(seconds=2)
    vendor.faults = [problem(503, Retry_After=format_datetime(moment, usegmt=True))]

    fetch(lake, vendor)

    # The date has whole seconds.
    assert datetime.now(UTC) >= moment.replace(microsecond=0)


@pytest.mark.parametrize("value", ["soon", "", "-1"])
def test_a_retry_after_that_says_nothing_is_no_error(lake, vendor, value):
    vendor.faults = [problem(429, Retry_After=value)]

    assert fetch(lake, vendor).pages == 2


def test_a_wait_that_is_too_long_ends_the_fetch(lake, vendor):
    vendor.faults = [problem(429, Retry_After="86400")]

    with pytest.raises(ApiError, match="asks to wait 86400 seconds; run the task again later"):
        fetch(lake, vendor)


def test_a_service_that_stays_down_is_a_sentence_and_the_fetch_resumes(lake, vendor):
    whole = vendor.pages["c1"]
    vendor.pages["c1"] = problem(500)

    with pytest.raises(
        ApiError, match=r"fleet.machine_telemetry failed 3 times, at last with status 500"
    ):
        fetch(lake, vendor)
    assert landed(lake) == [f"{FOLDER}/page-00000001.jsonl.gz"]
    vendor.pages["c1"] = whole
    vendor.requests.clear()

    assert fetch(lake, vendor).pages == 1
    assert vendor.asked == ["c1"]


def test_no_server_is_a_sentence(lake, vendor):
    gone = replace(vendor, base_url="http://127.0.0.1:1")

    with pytest.raises(ApiError, match="at last with no connection; run the task again later"):
        fetch(lake, gone)


@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_token_names_the_connection_and_not_the_token(lake, vendor, status, caplog):
    caplog.set_level(logging.DEBUG)
    vendor.faults = [problem(status)]

    with pytest.raises(ApiError) as caught:
        fetch(lake, vendor)

    assert (
        f"refused the token ({status}); set the password of the Airflow connection fleet_api"
        in (str(caught.value))
    )
    assert TOKEN not in f"{caught.value!r} {caplog.text} {ApiAccess('http://x', TOKEN)!r}"


def test_a_wrong_request_is_not_repeated(lake, vendor):
    vendor.faults = [problem(404)]

    with pytest.raises(ApiError, match="answered 404 to GET /v1/telemetry"):
        fetch(lake, vendor)

    assert len(vendor.requests) == 1


def test_a_body_that_is_no_page_is_kept_and_paging_goes_on(lake, vendor):
    vendor.pages[None].body = b'{"data": [{"event_id": "e1<html>502</html>'

    assert fetch(lake, vendor).pages == 2

    assert [json.loads(line) for line in lines(lake, 1)[1:]] == [
        {"_malformed": '{"data": [{"event_id": "e1<html>502</html>'}
    ]
    assert lines(lake, 2)[1:] == ['{"event_id":"e3"}']


def test_paging_in_a_circle_ends_in_a_sentence_and_never_grows_raw(lake, vendor):
    vendor.pages["c1"] = page('{"event_id":"e3"}', next_cursor="c0", has_more=True)
    vendor.pages["c0"] = page('{"event_id":"e4"}', next_cursor="c1", has_more=True)
    for _ in range(3):
        with pytest.raises(ApiError, match="runs in a circle"):
            fetch(lake, vendor)

    assert len(landed(lake)) == 2


def test_a_page_that_points_to_itself_is_a_circle(lake, vendor):
    vendor.pages["c1"] = page('{"event_id":"e3"}', next_cursor="c1", has_more=True)

    with pytest.raises(ApiError, match="runs in a circle"):
        fetch(lake, vendor)


def test_the_bound_on_pages_leaves_the_rest_to_the_next_fetch(lake, vendor):
    one_page = replace(QUICK, pages=1)

    assert fetch(lake, vendor, one_page) == LandedPages(1, 2, is_complete=False)
    assert fetch(lake, vendor, one_page) == LandedPages(1, 1, is_complete=True)


def test_a_page_that_is_too_large_is_a_sentence(lake, vendor):
    with pytest.raises(ApiError, match=r"more than 10 bytes; lower the contract's pageSize"):
        fetch(lake, vendor, replace(QUICK, body_bytes=10))


def test_a_page_without_its_cursor_header_is_a_sentence(lake, vendor):
    del vendor.pages[None].headers["X-Next-Cursor"]

    with pytest.raises(ApiError, match="without the header X-Next-Cursor"):
        fetch(lake, vendor)


def test_a_damaged_last_page_is_a_sentence(lake, vendor):
    fetch(lake, vendor)
    lake.write_bytes(f"{FOLDER}/page-00000002.jsonl.gz", b"no gzip")

    with pytest.raises(ApiError, match=r"page-00000002.jsonl.gz' in the lake is damaged"):
        fetch(lake, vendor)


def test_the_token_is_not_overruled_by_a_netrc_file(lake, vendor, tmp_path, monkeypatch):
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login someone password else\n")
    monkeypatch.setenv("NETRC", str(netrc))

    assert fetch(lake, vendor).pages == 2
