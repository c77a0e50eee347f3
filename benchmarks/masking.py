"""Conforming personal data: ``python -m benchmarks.masking [--rows N]``.

A master of staff is conformed as the pipeline does it, with four structured columns that are
masked: a name that is replaced, a telephone number of which the end stays, an e-mail address as a
keyed hash and an address of which the prefecture stays. Exits 1 below 200,000 rows a second.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import duckdb

from benchmarks.conform import LIMITS, raw_file
from benchmarks.results import Result, alone, show
from include.contracts import load_catalog
from include.ingest.conform import conform_files
from include.privacy.pepper import Pepper

LEAST_ROWS_A_SECOND = 200_000

_PEPPER = Pepper(1, bytes(32))


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Conforming personal data.")
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args(arguments)
    return show(measure(options.rounds, options.rows))


def measure(rounds: int = 5, rows: int = 1_000_000) -> list[Result]:
    with tempfile.TemporaryDirectory(prefix="benchmark-masking-") as folder:
        path = Path(folder) / "staff.csv"
        _write_staff(path, rows)
        seconds = [_conform(path) for _ in range(rounds)]
    speeds = [rows / wall for wall, _ in seconds]
    # What two cores would do that nobody else uses.
    by_cpu = [2 * rows / cpu for _, cpu in seconds]
    return [
        alone("masking_four_columns", "rows/s", speeds, LEAST_ROWS_A_SECOND),
        alone("masking_four_columns_by_cpu", "rows/s", by_cpu, None),
    ]


def _conform(path: Path) -> tuple[float, float]:
    """Seconds of wall and processor."""
    contract = load_catalog().source("fleet.staff")
    with tempfile.TemporaryDirectory(dir=path.parent) as scratch:
        started, started_cpu = time.perf_counter(), time.process_time()
        files = [raw_file(path, 0)]
        conform_files(contract, files, Path(scratch), LIMITS, "benchmark", pepper=_PEPPER)
        return time.perf_counter() - started, time.process_time() - started_cpu


def _write_staff(path: Path, rows: int) -> None:
    with duckdb.connect() as connection:
        connection.execute(
            f"""
            COPY (
                SELECT
                    'S' || i AS staff_id,
                    '架空 人' || i AS staff_name,
                    '090-0' || lpad(CAST(i % 1000 AS VARCHAR), 3, '0') || '-0001' AS phone,
                    'person' || i || '@example.com' AS email,
                    '東京都架空市例示町' || i AS home_address,
                    'R' || i % 100 AS route_code
                FROM range({rows}) AS rows (i)
            ) TO '{path}' (HEADER)
            """
        )


if __name__ == "__main__":
    raise SystemExit(main())
