"""`make run` of the default fleet, from the command to its end.

    python -m benchmarks.local_run [--rounds 1]

Warm: the environment is installed and Airflow's home exists, from a round that is not counted. Each
counted round loads everything (the files are written in it, too), and one more finds nothing new.
Exits 1 if loading everything takes more than 90 s, or if a round fails.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.results import Result, alone, show
from deploy.local.layout import REPOSITORY

MOST_SECONDS = 90.0


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="A whole `make run`, timed.")
    parser.add_argument("--rounds", type=int, default=1)
    return show(measure(parser.parse_args(arguments).rounds))


def measure(rounds: int = 5) -> list[Result]:
    everything = []
    with tempfile.TemporaryDirectory(prefix="benchmark-local-run-") as folder:
        home, data = Path(folder) / "airflow", Path(folder) / "data"
        _round(home, data)
        for _ in range(rounds):
            shutil.rmtree(data)
            everything.append(_round(home, data))
        nothing = _round(home, data)
    return [
        alone("make_run", "s", everything, MOST_SECONDS),
        alone("make_run_nothing_new", "s", [nothing], None),
    ]


def _round(home: Path, data: Path) -> float:
    """Seconds of one round. Raises CalledProcessError if a task of it failed."""
    command = [sys.executable, "-m", "deploy.local", "run"]
    folders = ["--airflow-home", str(home), "--data-dir", str(data)]
    started = time.monotonic()
    subprocess.run([*command, *folders], cwd=REPOSITORY, check=True, stdout=subprocess.DEVNULL)
    return time.monotonic() - started


if __name__ == "__main__":
    sys.exit(main())
