"""How fast the simulator writes: ``python -m benchmarks.simulator``.

Files of a hundred machines each, replenishments included, by one process. Exits 1 below a million
rows of sales a second of processor time.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks.processes import children_cpu_seconds, run_module
from benchmarks.results import Result, alone, show

LEAST_ROWS_A_SECOND = 1_000_000
MACHINES, DAYS, MACHINES_PER_FILE = 400, 365, 100


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="How fast the simulator writes.")
    parser.add_argument("--rounds", type=int, default=3)
    return show(measure(parser.parse_args(arguments).rounds))


def measure(rounds: int = 5) -> list[Result]:
    speeds = [_rows_a_second() for _ in range(rounds)]
    return [alone("simulator_sales_rows_a_core", "rows/s", speeds, LEAST_ROWS_A_SECOND)]


def _rows_a_second() -> float:
    with tempfile.TemporaryDirectory(prefix="benchmark-simulator-") as name:
        folder = Path(name)
        size = {"--machines": MACHINES, "--days": DAYS, "--machines-per-file": MACHINES_PER_FILE}
        options = [part for option in size.items() for part in map(str, option)]
        places = ["--out", str(folder / "sources"), "--state", str(folder / "state.json")]
        before = children_cpu_seconds()
        run_module("simulator", "write", *places, *options)
        seconds = children_cpu_seconds() - before
        files = (folder / "sources").rglob("sales_*.csv")
        return sum(path.read_bytes().count(b"\n") - 1 for path in files) / seconds


if __name__ == "__main__":
    sys.exit(main())
