"""Work of a benchmark in processes of its own, so that what it costs is its own."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from deploy.local.layout import REPOSITORY

_END_OF_COMPLAINT = 2_000


def run_module(*arguments: str | Path, environment: Mapping[str, str] | None = None) -> str:
    """What ``python -m`` with these arguments prints; in this process's environment by default.

    Raises SystemExit with the end of its standard error if it fails.
    """
    words = [str(argument) for argument in arguments]
    done = subprocess.run(
        [sys.executable, "-m", *words],
        env=environment,
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"{' '.join(words)} failed: {done.stderr[-_END_OF_COMPLAINT:]}")
    return done.stdout


def answer_of(*arguments: str | Path, environment: Mapping[str, str] | None = None) -> Any:
    """What ``python -m`` with these arguments prints as JSON on its last line.

    Raises SystemExit as `run_module` does.
    """
    # The last line: on a slow machine DuckDB draws a progress bar before.
    return json.loads(run_module(*arguments, environment=environment).splitlines()[-1])


def children_cpu_seconds() -> float:
    """Processor time, user and system, of the processes that this one has started and that have
    ended."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime
