"""`make bench`: each benchmark in turn. Exits 1 if one of them misses what must be reached.

    python -m benchmarks [NAME...]

All of them, or those named. The results are printed and kept, see `report`.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence

from benchmarks import (
    conform,
    edge_worker,
    history,
    iceberg,
    local_run,
    masking,
    new_interpreter,
    parsing,
    publish_d1,
    simulator,
    transform,
)
from benchmarks.report import keep
from benchmarks.results import Result, show

BENCHMARKS: dict[str, Callable[[], list[Result]]] = {
    "transform": lambda: transform.measure(with_cosmos=True),
    "new_interpreter": new_interpreter.measure,
    "parsing": parsing.measure,
    "local_run": local_run.measure,
    "history": history.measure,
    "simulator": simulator.measure,
    "conform": conform.measure,
    "masking": masking.measure,
    "iceberg": iceberg.measure,
    "publish_d1": publish_d1.measure,
    "edge_worker": edge_worker.measure,
}


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Measure against the speeds to be reached.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(BENCHMARKS))
    names = parser.parse_args(arguments).names or list(BENCHMARKS)
    unknown = sorted(set(names) - set(BENCHMARKS))
    if unknown:
        parser.error(f"no such benchmark: {', '.join(unknown)}")
    return max([_measure(name) for name in names])


def _measure(name: str) -> int:
    # Kept one by one: what was measured stays, whatever becomes of the next.
    results = BENCHMARKS[name]()
    keep(results)
    return show(results)


if __name__ == "__main__":
    sys.exit(main())
