"""The vendor API, asked over a real connection on loopback."""

import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest

from simulator.__main__ import main
from simulator.api import MAXIMUM_LIMIT, VendorApi, VendorServer
from simulator.api_faults import ApiFaults
from simulator.clock import SECONDS_PER_DAY
from simulator.feeds import Feed, TelemetryFeed, WeatherFeed
from tests.simulator import records
from tests.simulator.conftest import WrittenFleet

ROOT = Path(__file__).parents[2]
TOKEN = "a-token-for-tests"
START_SECONDS = 60  # only a limit: other work may keep the machine busy


@dataclass(frozen=True)
class Reply:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def data(self) -> list[dict[str, Any]]:
        return json.loads(self.body)["data"]

    @property
    def cursor(self) -> str:
        return self.headers["X-Next-Cursor"]

    @property
    def has_more(self) -> bool:
        return {"true": True, "false": False}[self.headers["X-Has-More"]]


@dataclass(frozen=True)
class Server:
    port: int

    def get(self, target: str, token: str | None = TOKEN) -> Reply:
        connection = HTTPConnection("127.0.0.1", self.port, timeout=30)
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        connection.request("GET", target, headers=headers)
        response = connection.getresponse()
        reply = Reply(response.status, dict(response.getheaders()), response.read())
        connection.close()
        return reply

    def pages(self, feed: str, limit: int) -> Iterator[Reply]:
        """Every page, asking again after an error, without waiting."""
        cursor = ""
        while True:
            reply = self.get(f"/v1/{feed}?limit={limit}&cursor={cursor}")
            if reply.status == 200:
                yield reply
                if not reply.has_more:
                    return
                cursor = reply.cursor


@dataclass(frozen=True)
class Process:
    """`serve` as a process of its own."""

    handle: subprocess.Popen[bytes]
    port_file: Path

    @property
    def server(self) -> Server:
        return Server(int(self.port_file.read_text()))


@contextmanager
def serving(*feeds: Feed, faults: str = "", maximum_limit: int = MAXIMUM_LIMIT) -> Iterator[Server]:
    """The real server in a thread of this process, on a free port."""
    api = VendorApi(feeds, TOKEN, ApiFaults(frozenset(faults.split(","))), maximum_limit)
    with VendorServer(api) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield Server(server.port)
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture(scope="module")
def feeds(clean_fleet: WrittenFleet) -> tuple[Feed, ...]:
    return TelemetryFeed(clean_fleet.fleet), WeatherFeed(clean_fleet.fleet)


@pytest.fixture(scope="module")
def server(feeds: tuple[Feed, ...]) -> Iterator[Server]:
    with serving(*feeds) as running:
        yield running


@pytest.fixture
def process(clean_fleet: WrittenFleet, tmp_path: Path) -> Iterator[Process]:
    """`python -m simulator serve`, stopped by its own pid."""
    port_file = tmp_path / "port"
    command = [sys.executable, "-m", "simulator", "serve", "--state", str(clean_fleet.state_file)]
    command += ["--port-file", str(port_file), "--token", TOKEN, "--through", "2026-10-20"]
    handle = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    try:
        deadline = time.monotonic() + START_SECONDS
        while not port_file.exists():
            assert handle.poll() is None, handle.communicate()[0]
            assert time.monotonic() < deadline
            time.sleep(0.01)
        yield Process(handle, port_file)
    finally:
        handle.terminate()
        handle.communicate(timeout=30)


def items(pages: Iterator[Reply]) -> list[dict[str, Any]]:
    return [item for page in pages for item in page.data]


def test_health_needs_no_token(server: Server) -> None:
    assert server.get("/healthz", token=None).status == 200


@pytest.mark.parametrize("token", [None, "another-token", ""])
def test_without_the_right_token_there_is_a_problem_and_no_data(
    server: Server, token: str | None
) -> None:
    reply = server.get("/v1/telemetry", token=token)
    assert reply.status == 401
    assert reply.headers["Content-Type"] == "application/problem+json"
    assert set(json.loads(reply.body)) == {"title", "status", "detail"}


@pytest.mark.parametrize(
    "query",
    ["cursor=abc", "cursor=%C3%A9", "cursor=dGVsZW1ldHJ5OjE6MDAwMDAwMDA=", "limit=0", "limit=x"],
)
def test_an_unknown_cursor_or_limit_is_refused(server: Server, query: str) -> None:
    assert server.get(f"/v1/telemetry?{query}").status == 400


def test_a_cursor_of_the_other_feed_is_refused(server: Server) -> None:
    cursor = server.get("/v1/weather?limit=1").cursor
    assert server.get(f"/v1/telemetry?cursor={cursor}").status == 400


def test_an_unknown_path_is_not_found(server: Server) -> None:
    assert server.get("/v1/secrets").status == 404


def test_pages_of_any_size_hold_the_same_items_each_once(server: Server) -> None:
    large, small = items(server.pages("telemetry", 1000)), items(server.pages("telemetry", 97))
    assert large == small
    identities = [item["event_id"] for item in large]
    assert len(set(identities)) == len(identities) > 600


def test_a_page_never_has_more_than_a_thousand_items(
    server: Server, feeds: tuple[Feed, ...]
) -> None:
    total = len(items(server.pages("telemetry", 100)))
    assert len(server.get("/v1/telemetry?limit=5000").data) == min(total, 1000)
    with serving(*feeds, maximum_limit=50) as strict:
        assert len(strict.get("/v1/telemetry?limit=1000").data) == 50


def test_the_last_cursor_gives_only_what_is_newer(
    clean_fleet: WrittenFleet, server: Server
) -> None:
    first_nine_days = TelemetryFeed(clean_fleet.fleet, 9 * SECONDS_PER_DAY)
    with serving(first_nine_days) as earlier:
        seen = list(earlier.pages("telemetry", 100))
        again = earlier.get(f"/v1/telemetry?cursor={seen[-1].cursor}")
        assert (again.data, again.has_more, again.cursor) == ([], False, seen[-1].cursor)
    rest, cursor = [], seen[-1].cursor
    while cursor:
        page = server.get(f"/v1/telemetry?limit=1000&cursor={cursor}")
        rest += page.data
        cursor = page.cursor if page.has_more else ""
    assert rest
    assert items(iter(seen)) + rest == items(server.pages("telemetry", 1000))


def test_reported_stock_is_what_the_files_say_at_that_moment(
    server: Server, clean_fleet: WrittenFleet
) -> None:
    events = records.stock_events(clean_fleet.contents())
    readings = items(server.pages("telemetry", 1000))
    for reading in readings[::7]:
        measured_at = records.datetime.fromisoformat(reading["measured_at"])
        for slot, units in reading["stock"].items():
            happened = events[reading["machine_id"], int(slot)]
            assert units == sum(event.change for event in happened if event.at <= measured_at)


def test_telemetry_comes_every_four_hours_in_order_of_arrival(server: Server) -> None:
    readings = [r for r in items(server.pages("telemetry", 1000)) if r["machine_id"] == "VM0001"]
    assert len(readings) in (20 * 6, 20 * 6 - 1, 20 * 6 - 2)
    times = [reading["measured_at"] for reading in readings]
    assert times != sorted(times), "some readings arrive late"
    assert all(time.endswith("+09:00") for time in times)
    fields = {"event_id", "machine_id", "measured_at", "temperature_c", "door_open", "error_code"}
    assert set(readings[0]) == fields | {"stock"}


def test_weather_has_each_day_of_each_prefecture_with_a_machine(
    server: Server, clean_fleet: WrittenFleet
) -> None:
    found = items(server.pages("weather", 100))
    masters = [c for k, c in clean_fleet.contents().items() if k.endswith("vending_machines.csv")]
    prefectures = {row["prefecture"] for m in masters for row in records.rows(m, "cp932")}
    assert {item["prefecture"] for item in found} == prefectures
    assert len({item["date"] for item in found}) == 20
    assert len(found) == 20 * len(prefectures)
    assert all(item["temperature_min_c"] < item["temperature_max_c"] for item in found)


def statuses(server: Server, count: int) -> list[int]:
    return [server.get("/v1/telemetry?limit=1").status for _ in range(count)]


def test_rate_limits_and_failures_follow_the_number_of_requests(feeds: tuple[Feed, ...]) -> None:
    seen = []
    for _ in range(2):
        with serving(*feeds, faults="rate_limit,server_error") as faulty:
            seen.append(statuses(faulty, 24))
            assert items(faulty.pages("telemetry", 100)) == items(faulty.pages("telemetry", 1000))
    assert seen[0] == seen[1]
    assert set(seen[0]) == {200, 429, 500, 503}


def test_a_rate_limit_says_when_to_come_back(feeds: tuple[Feed, ...]) -> None:
    with serving(*feeds, faults="rate_limit") as faulty:
        replies = [faulty.get("/v1/weather?limit=1") for _ in range(12)]
    refused = [reply for reply in replies if reply.status == 429]
    assert refused
    assert all(reply.headers["Retry-After"] == "1" for reply in refused)
    assert all(r.headers["Content-Type"] == "application/problem+json" for r in refused)


def test_one_page_is_never_json_and_paging_goes_on_behind_it(
    feeds: tuple[Feed, ...], server: Server
) -> None:
    good = list(server.pages("telemetry", 50))
    with serving(*feeds, faults="malformed_page") as faulty:
        pages = list(faulty.pages("telemetry", 50))
        asked_again = list(faulty.pages("telemetry", 50))
    differing = [n for n, (a, b) in enumerate(zip(good, pages, strict=True)) if a.body != b.body]
    assert len(differing) == 1
    with pytest.raises(json.JSONDecodeError):
        json.loads(pages[differing[0]].body)
    assert [page.body for page in asked_again] == [page.body for page in pages]
    assert [page.cursor for page in pages] == [page.cursor for page in good]


def test_malformed_items_are_those_that_expect_names(
    clean_fleet: WrittenFleet,
    feeds: tuple[Feed, ...],
    server: Server,
    capsys: pytest.CaptureFixture[str],
) -> None:
    capsys.readouterr()
    main(["expect", "--state", str(clean_fleet.state_file), "--api-faults", "malformed_items"])
    entries = json.loads(capsys.readouterr().out)["faults"]["malformed_items"]
    with serving(*feeds, faults="malformed_items") as faulty:
        for feed in ("telemetry", "weather"):
            good, broken = (items(s.pages(feed, 1000)) for s in (server, faulty))
            differing = {
                n for n, pair in enumerate(zip(good, broken, strict=True)) if pair[0] != pair[1]
            }
            mine = {entry["position"]: entry for entry in entries if entry["feed"] == feed}
            assert differing == mine.keys()
            for position, entry in mine.items():
                value = broken[position].get(entry["field"])
                assert value is None if entry["reason"] == "missing_value" else value == "warm"


def test_slow_answers_are_slow_and_right(feeds: tuple[Feed, ...]) -> None:
    with serving(*feeds, faults="slow") as faulty:
        durations = []
        for _ in range(4):
            started = time.monotonic()
            assert faulty.get("/v1/weather?limit=1").status == 200
            durations.append(time.monotonic() - started)
    assert durations[3] >= 1


@pytest.mark.parametrize("name", [signal.SIGTERM, signal.SIGINT])
def test_a_process_serves_what_had_arrived_and_a_signal_ends_it_cleanly(
    process: Process, feeds: tuple[Feed, ...], name: signal.Signals
) -> None:
    assert process.server.get("/healthz", token=None).status == 200
    served = items(process.server.pages("telemetry", 1000))
    assert served == feeds[0].items(0, len(served))
    assert 0 < len(served) < len(feeds[0])
    process.handle.send_signal(name)
    assert process.handle.wait(timeout=30) == 0
    assert process.handle.communicate()[0] == b""
    assert not process.port_file.exists()


def test_a_port_in_use_is_refused_in_one_sentence(
    server: Server, clean_fleet: WrittenFleet, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--state", str(clean_fleet.state_file), "--token", TOKEN]
    assert main(["serve", *arguments, "--port", str(server.port)]) == 2
    message = capsys.readouterr().err
    assert str(server.port) in message
    assert message.count("\n") == 1
