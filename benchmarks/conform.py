"""Conforming CSV against DuckDB's own reading: ``python -m benchmarks.conform [--rows N]``.

Both run in processes of their own, in turn, on the same bytes: conform as the pipeline calls it,
and ``COPY (SELECT * FROM read_csv(file)) TO … (FORMAT parquet)``. The many small files and the file
with bad rows have the one clean file of the same size as their peer: DuckDB would take minutes to
sniff thousands of files, and would stop at the first bad row. Exits 1 below half of DuckDB's rows a
second on the one file, or above 512 MB resident in any case.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime
from pathlib import Path

import duckdb

from benchmarks.memory import peak_megabytes
from benchmarks.results import Result, alone, compared, show
from include.contracts import load_catalog
from include.ingest.conform import conform_files
from include.ingest.plan import LandedFile
from include.ingest.workspace import RawFile
from include.settings import load_settings

LEAST_RATIO = 0.5
MOST_MEGABYTES = 512

_MANY = 1_000
# One row in a thousand cannot be read, as in the worst files that vendors have sent.
_BAD_EVERY = 1_000
LIMITS = load_settings({}).conform


@dataclass(frozen=True)
class Measure:
    """One run: seconds of wall and processor, peak resident megabytes, and rows stored."""

    seconds: float
    cpu_seconds: float
    megabytes: int
    rows: int


@dataclass(frozen=True)
class Case:
    """Files to conform, and the one file that DuckDB reads beside them."""

    name: str
    folder: Path
    peer: Path
    least_ratio: float | None


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Conforming CSV against DuckDB's own reading.")
    parser.add_argument("--rows", type=int, default=2_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--measure", choices=("conform", "duckdb"), help=argparse.SUPPRESS)
    parser.add_argument("path", nargs="?", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.measure:
        run = measure_conform if options.measure == "conform" else measure_duckdb
        print(json.dumps(asdict(run(options.path))))
        return 0
    return show(measure(options.rounds, options.rows))


def measure(rounds: int = 5, rows: int = 2_000_000) -> list[Result]:
    with tempfile.TemporaryDirectory(prefix="benchmark-conform-") as folder:
        cases = _write_cases(Path(folder), rows)
        return [result for case in cases for result in _compare(case, rounds)]


def measure_conform(folder: Path) -> Measure:
    """Conform every file of a folder as one batch, in this process."""
    contract = load_catalog().source("fleet.sales")
    files = [raw_file(path, number) for number, path in enumerate(sorted(folder.iterdir()))]
    with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
        started, started_cpu = time.perf_counter(), time.process_time()
        conformed = conform_files(contract, files, Path(scratch), LIMITS, "benchmark")
        rows = sum(file.rows_conformed for file in conformed.files)
        return _measured(started, started_cpu, rows)


def measure_duckdb(path: Path) -> Measure:
    """Copy one file to Parquet with DuckDB's defaults and the same limits, in this process."""
    with tempfile.TemporaryDirectory(dir=path.parent) as scratch:
        config = {
            "memory_limit": f"{LIMITS.memory_mb}MB",
            "threads": LIMITS.threads,
            "temp_directory": f"{scratch}/spill",
            "preserve_insertion_order": False,
        }
        started, started_cpu = time.perf_counter(), time.process_time()
        with duckdb.connect(config=config) as connection:
            rows = connection.execute(
                f"COPY (SELECT * FROM read_csv('{path}')) TO '{scratch}/copy.parquet' "
                "(FORMAT parquet)"
            ).fetchall()
        return _measured(started, started_cpu, rows[0][0])


def _measured(started: float, started_cpu: float, rows: int) -> Measure:
    return Measure(
        seconds=time.perf_counter() - started,
        cpu_seconds=time.process_time() - started_cpu,
        megabytes=peak_megabytes(),
        rows=rows,
    )


def _compare(case: Case, rounds: int) -> list[Result]:
    ours, peers = [], []
    for _ in range(rounds):
        peers.append(_in_own_process("duckdb", case.peer))
        ours.append(_in_own_process("conform", case.folder))
    peer = "DuckDB's COPY of one clean file"
    speeds, peer_speeds = ([m.rows / m.seconds for m in runs] for runs in (ours, peers))
    cpus, peer_cpus = ([m.rows / m.cpu_seconds for m in runs] for runs in (ours, peers))
    megabytes = [float(measure.megabytes) for measure in ours]
    return [
        compared(case.name, "rows/s", speeds, peer, peer_speeds, case.least_ratio),
        compared(f"{case.name}_by_cpu", "rows/s", cpus, peer, peer_cpus, None),
        alone(f"{case.name}_resident", "MB", megabytes, MOST_MEGABYTES),
    ]


def _in_own_process(what: str, path: Path) -> Measure:
    command = [sys.executable, "-m", "benchmarks.conform", "--measure", what, str(path)]
    root = Path(__file__).resolve().parents[1]
    done = subprocess.run(command, cwd=root, check=True, capture_output=True, text=True)
    return Measure(**json.loads(done.stdout))


def raw_file(path: Path, number: int) -> RawFile:
    """A file as if it had landed."""
    landed = LandedFile(
        load_id=1_000_000 + number,
        object_key=path.name,
        raw_location=path.name,
        size_bytes=path.stat().st_size,
        checksum="0" * 64,
        etag="etag",
        generation=0,
        landed_at=datetime(2026, 8, 2, tzinfo=UTC),
        landed_on=date(2026, 8, 2),
    )
    return RawFile(landed, path)


def _write_cases(folder: Path, rows: int) -> list[Case]:
    one, many, bad = (folder / name for name in ("one", "many", "bad"))
    for place in (one, many, bad):
        place.mkdir()
    clean = one / "sales_VM0001_20260801.csv"
    _write_sales(clean, rows)
    header, *lines = clean.read_bytes().splitlines(keepends=True)
    size = -(-len(lines) // _MANY)
    for number, start in enumerate(range(0, len(lines), size)):
        part = many / f"sales_VM{number:05}_20260801.csv"
        part.write_bytes(header + b"".join(lines[start : start + size]))
    (bad / clean.name).write_bytes(header + b"".join(_damaged(lines)))
    return [
        Case("conform_one_file", one, clean, LEAST_RATIO),
        Case(f"conform_{_MANY}_files", many, clean, None),
        Case(f"conform_one_row_in_{_BAD_EVERY}_bad", bad, clean, None),
    ]


def _damaged(lines: list[bytes]) -> Iterator[bytes]:
    for number, line in enumerate(lines):
        yield line.replace(b",sale,", b",gift,") if number % _BAD_EVERY == 0 else line


def _write_sales(path: Path, rows: int) -> None:
    with duckdb.connect() as connection:
        connection.execute(
            f"""
            COPY (
                SELECT
                    'VM' || lpad(CAST(i % 50 + 1 AS VARCHAR), 4, '0') AS machine_id,
                    'T' || lpad(CAST(i AS VARCHAR), 10, '0') AS transaction_id,
                    i % 24 + 1 AS slot_number,
                    'P' || lpad(CAST(i % 40 + 1 AS VARCHAR), 4, '0') AS product_id,
                    strftime(TIMESTAMP '2026-08-01' + INTERVAL (i) SECOND, '%Y-%m-%dT%H:%M:%S')
                        || '+09:00' AS sold_at,
                    1 AS quantity,
                    100 + (i % 10) * 10 AS unit_price,
                    100 + (i % 10) * 10 AS amount,
                    ['cash', 'ic', 'qr'][i % 3 + 1] AS payment_method,
                    'sale' AS transaction_type,
                    NULL AS original_transaction_id
                FROM range({rows}) AS rows (i)
            ) TO '{path}' (HEADER)
            """
        )


if __name__ == "__main__":
    raise SystemExit(main())
