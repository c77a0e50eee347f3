"""`make run` of the default fleet, and `make up`, each from the command to its end.

    python -m benchmarks.local_run [--rounds 1]

Warm: the environment is installed and Airflow's home exists, from a round that is not counted. Each
counted round loads everything (the files are written in it, too), and one more finds nothing new.
`make up` ends when the UI answers and every DAG file is parsed.
Exits 1 if loading everything takes more than 45 s or `make up` more than 25 s, or if one fails.
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

MOST_SECONDS = 45.0
MOST_UP_SECONDS = 25.0


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="A whole `make run`, timed.")
    parser.add_argument("--rounds", type=int, default=1)
    return show(measure(parser.parse_args(arguments).rounds))


def measure(rounds: int = 5) -> list[Result]:
    everything: list[float] = []
    with tempfile.TemporaryDirectory(prefix="benchmark-local-run-") as folder:
        home, data = Path(folder) / "airflow", Path(folder) / "data"
        _local("run", home, data)
        for _ in range(rounds):
            shutil.rmtree(data)
            everything.append(_local("run", home, data))
        nothing = _local("run", home, data)
        up = []
        for _ in range(rounds):
            up.append(_local("up", home, data))
            _local("down", home, data)
    return [
        alone("make_run", "s", everything, MOST_SECONDS),
        alone("make_run_nothing_new", "s", [nothing], None),
        alone("make_up", "s", up, MOST_UP_SECONDS),
    ]


def _local(what: str, home: Path, data: Path) -> float:
    """Seconds that a command took. Raises CalledProcessError if it, or a task of it, failed."""
    command = [sys.executable, "-m", "deploy.local", what]
    folders = ["--airflow-home", str(home), "--data-dir", str(data)]
    started = time.monotonic()
    subprocess.run([*command, *folders], cwd=REPOSITORY, check=True, stdout=subprocess.DEVNULL)
    return time.monotonic() - started


if __name__ == "__main__":
    sys.exit(main())
