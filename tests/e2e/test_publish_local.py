"""`make run PUBLISH=local`: from files to the edge, asked with the curl that it prints.

Slow (minutes): part of `make test-full`. The second run publishes what a late day has changed.
"""

from __future__ import annotations

import json
import shlex
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import httpx
import pytest

from deploy.cloudflare.local_cloudflare import is_installed
from tests.e2e.local_platform import RUN_SECONDS, LocalPlatform

FLEET = ("--machines", "5", "--days", "21", "--seed", "11", "--end-date", "2026-10-31")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(3 * RUN_SECONDS),
    pytest.mark.skipif(not is_installed(), reason="npm install has not been run"),
]

# A row of /v1/sales/daily; money is compared in hundredths.
_COLUMNS = ("business_date", "source", "machine_id", "currency", "revenue", "units_sold")
Sale = tuple[str, str, str, str, int, int]


@dataclass(frozen=True)
class Round:
    """One `make run PUBLISH=local`: its output, what its curl answered, and both sides of it."""

    output: str
    answer: dict[str, Any]
    edge: list[Sale]
    mart: list[Sale]


def _publish(platform: LocalPlatform) -> Round:
    output = platform.local("run", "--publish", "local")
    command = next(line.strip() for line in output.splitlines() if "curl -H" in line)
    _, _, header, url = shlex.split(command)
    answered = subprocess.run(
        [*shlex.split(command), "--fail", "--silent"],
        capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    mart = _sales_of_the_mart(platform.layout.warehouse)
    return Round(output, json.loads(answered.stdout), _sales_of(header, url), mart)


def _sales_of_the_mart(path: Path) -> list[Sale]:
    with duckdb.connect(str(path), read_only=True) as warehouse:
        return warehouse.execute(
            "SELECT business_date::VARCHAR, source, machine_id, currency, "
            "(100 * revenue)::BIGINT, units_sold::BIGINT FROM marts.fct_daily_machine_sales "
            "ORDER BY ALL"
        ).fetchall()


def _sales_of(header: str, url: str) -> list[Sale]:
    """Every row that the edge has, page by page."""
    name, _, value = header.partition(": ")
    found: list[Sale] = []
    parameters = {"limit": "50"}
    with httpx.Client(headers={name: value}, trust_env=False) as client:
        while True:
            answer = client.get(url.partition("?")[0], params=parameters)
            assert answer.status_code == httpx.codes.OK, answer.text
            page = answer.json()
            rows = [{**row, "revenue": round(100 * row["revenue"])} for row in page["items"]]
            found += [tuple(row[column] for column in _COLUMNS) for row in rows]
            if not page.get("next"):
                return sorted(found)
            parameters["cursor"] = page["next"]


@pytest.fixture(scope="module")
def rounds(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Round, Round]]:
    """The first run, and one after a day that came late."""
    platform = LocalPlatform(tmp_path_factory.mktemp("publish-local"))
    platform.simulate_sources("write", "--faults", "all", *FLEET)
    try:
        first = _publish(platform)
        platform.simulate_sources("deliver", "late")
        yield first, _publish(platform)
    finally:
        ended = platform.local("down")
    assert "All is stopped." in ended
    assert not platform.is_running()


def test_the_printed_curl_answers_with_a_row_of_the_mart(rounds: tuple[Round, Round]) -> None:
    for each in rounds:
        (row,) = each.answer["items"]
        assert {(sale[0], sale[2], sale[5]) for sale in each.mart} >= {
            (row["business_date"], row["machine_id"], row["units_sold"])
        }


def test_the_edge_holds_the_mart_after_the_first_run_and_after_a_late_day(
    rounds: tuple[Round, Round],
) -> None:
    first, later = rounds
    assert first.edge == first.mart
    assert later.edge == later.mart
    assert first.mart != later.mart


def test_the_second_run_uses_the_cloudflare_that_is_up(rounds: tuple[Round, Round]) -> None:
    starting = "Starting the local Cloudflare."
    first, later = (each.output for each in rounds)
    assert starting in first
    assert starting not in later
