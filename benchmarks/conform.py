"""Conforming CSV against DuckDB's own reading: ``python -m benchmarks.conform [--rows N]``.

Both run in processes of their own, in turn, on the same bytes: conform as the pipeline calls it,
and ``COPY (SELECT * FROM read_csv(file)) TO … (FORMAT parquet)``. A thousand files and the file
with bad rows have the one clean file of the same size as their peer: DuckDB would take minutes to
sniff thousands of files, and would stop at the first bad row. Ten thousand files and two workers
have conform itself as their peer. ``--gigabytes 10`` takes one file of that size instead, for its
memory: minutes, and twice its size of disk. Exits 1 where a target is missed.
"""

from __future__ import annotations

import argparse
import importlib
import json
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime
from itertools import batched
from pathlib import Path

import duckdb

from benchmarks.memory import peak_megabytes
from benchmarks.processes import answer_of
from benchmarks.results import Result, alone, compared, show
from include.contracts import load_catalog
from include.ingest.conform import conform_files
from include.ingest.plan import LandedFile
from include.ingest.workspace import RawFile
from include.settings import load_settings

LEAST_RATIO = 0.75
LEAST_RATIO_WITH_REJECTS = 0.6
# Of one file with the same rows.
LEAST_RATIO_OF_SMALL_FILES = 0.5
LEAST_RATIO_OF_TWO_WORKERS = 1.8
MOST_MEGABYTES = 512

_MANY = 1_000
_SMALL = 10_000
_BYTES_OF_A_ROW = 73
# One row in a thousand cannot be read, as in the worst files that vendors have sent.
_BAD_EVERY = 1_000
LIMITS = load_settings({}).conform


@dataclass(frozen=True)
class Measure:
    """One run: when it began (seconds since 1970), seconds of wall and processor, peak resident
    megabytes, and rows stored."""

    began: float
    seconds: float
    cpu_seconds: float
    megabytes: int
    rows: int


@dataclass(frozen=True)
class Peer:
    """What reads beside conform: DuckDB a file, or conform itself a folder."""

    name: str
    what: str
    path: Path


@dataclass(frozen=True)
class Case:
    """Files to conform, and the peer that the ratio is to."""

    name: str
    folder: Path
    peer: Peer
    least_ratio: float


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Conforming CSV against DuckDB's own reading.")
    parser.add_argument("--rows", type=int, default=2_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--gigabytes", type=int, default=0, help="one file, so large")
    parser.add_argument("--measure", choices=("conform", "duckdb"), help=argparse.SUPPRESS)
    parser.add_argument("--threads", type=int, default=LIMITS.threads, help=argparse.SUPPRESS)
    parser.add_argument("paths", nargs="*", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.measure == "conform":
        print(json.dumps(asdict(measure_conform(options.paths, options.threads))))
    elif options.measure == "duckdb":
        print(json.dumps(asdict(measure_duckdb(options.paths[0]))))
    elif options.gigabytes:
        return show(measure_large_file(options.gigabytes))
    else:
        return show(measure(options.rounds, options.rows))
    return 0


def measure(rounds: int = 5, rows: int = 2_000_000) -> list[Result]:
    with tempfile.TemporaryDirectory(prefix="benchmark-conform-") as folder:
        cases = _write_cases(Path(folder), rows)
        results = [result for case in cases for result in _compare(case, rounds)]
        return results + _compare_workers(cases[0].folder, rounds)


def measure_beside_duckdb(rounds: int, rows: int) -> list[Result]:
    """Only what has DuckDB as its peer."""
    with tempfile.TemporaryDirectory(prefix="benchmark-conform-") as folder:
        cases = [case for case in _write_cases(Path(folder), rows) if case.peer.what == "duckdb"]
        return [result for case in cases for result in _compare(case, rounds)]


def measure_large_file(gigabytes: int = 10) -> list[Result]:
    """One CSV file of so many gigabytes, conformed once."""
    with tempfile.TemporaryDirectory(prefix="benchmark-conform-") as folder:
        large = Path(folder) / "large"
        large.mkdir()
        _write_sales(large / "sales_VM0001_20260801.csv", gigabytes * 10**9 // _BYTES_OF_A_ROW)
        done = _in_own_process("conform", large)
    name = f"conform_{gigabytes}_gigabytes"
    return [alone(name, "rows/s", [done.rows / done.seconds], None), _resident(name, [done])]


def measure_conform(folders: Sequence[Path], threads: int) -> Measure:
    """Conform the files of each folder, in batches of as many as a run plans, in this process."""
    # As in a worker, where the parent of the tasks has imported it.
    importlib.import_module("pandas")
    contract = load_catalog().source("fleet.sales")
    limits = LIMITS._replace(threads=threads)
    batches = [
        [raw_file(path, number) for number, path in enumerate(paths)]
        for folder in folders
        for paths in batched(sorted(folder.iterdir()), limits.batch_files)
    ]
    began, started, started_cpu = time.time(), time.perf_counter(), time.process_time()
    rows = 0
    for files in batches:
        with tempfile.TemporaryDirectory(dir=folders[0].parent) as scratch:
            conformed = conform_files(contract, files, Path(scratch), limits, "benchmark")
            rows += sum(file.rows_conformed for file in conformed.files)
    return _measured(began, started, started_cpu, rows)


def measure_duckdb(path: Path) -> Measure:
    """Copy one file to Parquet with DuckDB's defaults and the same limits, in this process."""
    with tempfile.TemporaryDirectory(dir=path.parent) as scratch:
        config = {
            "memory_limit": f"{LIMITS.memory_mb}MB",
            "threads": LIMITS.threads,
            "temp_directory": f"{scratch}/spill",
            "preserve_insertion_order": False,
        }
        began, started, started_cpu = time.time(), time.perf_counter(), time.process_time()
        with duckdb.connect(config=config) as connection:
            rows = connection.execute(
                f"COPY (SELECT * FROM read_csv('{path}')) TO '{scratch}/copy.parquet' "
                "(FORMAT parquet)"
            ).fetchall()
        return _measured(began, started, started_cpu, rows[0][0])


def _measured(began: float, started: float, started_cpu: float, rows: int) -> Measure:
    return Measure(
        began=began,
        seconds=time.perf_counter() - started,
        cpu_seconds=time.process_time() - started_cpu,
        megabytes=peak_megabytes(),
        rows=rows,
    )


def _compare(case: Case, rounds: int) -> list[Result]:
    ours, peers = [], []
    for _ in range(rounds):
        peers.append(_in_own_process(case.peer.what, case.peer.path))
        ours.append(_in_own_process("conform", case.folder))
    speeds, peer_speeds = ([m.rows / m.seconds for m in runs] for runs in (ours, peers))
    cpus, peer_cpus = ([m.rows / m.cpu_seconds for m in runs] for runs in (ours, peers))
    peer = case.peer.name
    return [
        compared(case.name, "rows/s", speeds, peer, peer_speeds, case.least_ratio),
        compared(f"{case.name}_by_cpu", "rows/s", cpus, peer, peer_cpus, None),
        _resident(case.name, ours),
    ]


def _compare_workers(folder: Path, rounds: int) -> list[Result]:
    """Two processes at once, one batch each, beside one process with the two one after the other.

    Each has one thread, as on workers of one core: on two cores one process of two threads leaves
    a second one nothing to win.
    """
    speeds, alone_speeds, workers = [], [], []
    for _ in range(rounds):
        one = _in_own_process("conform", folder, folder, threads=1)
        with ThreadPoolExecutor(2) as pool:
            both = [pool.submit(_in_own_process, "conform", folder, threads=1) for _ in range(2)]
        two = [worker.result() for worker in both]
        seconds = max(m.began + m.seconds for m in two) - min(m.began for m in two)
        alone_speeds.append(one.rows / one.seconds)
        speeds.append(sum(m.rows for m in two) / seconds)
        workers += two
    name, peer = "conform_two_workers", "one worker, both batches"
    return [
        compared(name, "rows/s", speeds, peer, alone_speeds, LEAST_RATIO_OF_TWO_WORKERS),
        _resident(name, workers),
    ]


def _resident(name: str, runs: Sequence[Measure]) -> Result:
    return alone(f"{name}_resident", "MB", [float(run.megabytes) for run in runs], MOST_MEGABYTES)


def _in_own_process(what: str, *paths: Path, threads: int = LIMITS.threads) -> Measure:
    options = ("--measure", what, "--threads", str(threads))
    return Measure(**answer_of("benchmarks.conform", *options, *paths))


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
    one, many, small, bad = (folder / name for name in ("one", "many", "small", "bad"))
    for place in (one, many, small, bad):
        place.mkdir()
    clean = one / "sales_VM0001_20260801.csv"
    _write_sales(clean, rows)
    header, *lines = clean.read_bytes().splitlines(keepends=True)
    _write_parts(many, header, lines, _MANY)
    _write_parts(small, header, lines, _SMALL)
    (bad / clean.name).write_bytes(header + b"".join(_damaged(lines)))
    bare = Peer("DuckDB's COPY of one clean file", "duckdb", clean)
    ours = Peer("conform of one file", "conform", one)
    with_rejects = f"conform_one_row_in_{_BAD_EVERY}_bad"
    return [
        Case("conform_one_file", one, bare, LEAST_RATIO),
        Case(f"conform_{_MANY}_files", many, bare, LEAST_RATIO),
        Case(with_rejects, bad, bare, LEAST_RATIO_WITH_REJECTS),
        Case(f"conform_{_SMALL}_small_files", small, ours, LEAST_RATIO_OF_SMALL_FILES),
    ]


def _write_parts(folder: Path, header: bytes, lines: Sequence[bytes], files: int) -> None:
    size = -(-len(lines) // files)
    for number, start in enumerate(range(0, len(lines), size)):
        part = folder / f"sales_VM{number:05}_20260801.csv"
        part.write_bytes(header + b"".join(lines[start : start + size]))


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
