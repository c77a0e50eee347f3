"""`make bench`: each benchmark in turn. Exits 1 if one of them misses what must be reached.

    python -m benchmarks [NAME...]
    python -m benchmarks --short [--keep]

All of them, or those named. The results are printed and kept, see `report`. The short form holds
the steadiest ratios to those of before, see `short`; it exits 1 if one of them is worse.
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
    short,
    simulator,
    transform,
)
from benchmarks.report import keep
from benchmarks.results import Result, show

BENCHMARKS: dict[str, Callable[[], list[Result]]] = {
    "transform": transform.measure,
    "cosmos": transform.measure_cosmos,
    "new_interpreter": new_interpreter.measure,
    "parsing": parsing.measure,
    "local_run": local_run.measure,
    "history": history.measure,
    "simulator": simulator.measure,
    "conform": conform.measure,
    "large_file": conform.measure_large_file,
    "masking": masking.measure,
    "iceberg": iceberg.measure,
    "publish_d1": publish_d1.measure,
    "edge_worker": edge_worker.measure,
}


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Measure against the speeds to be reached.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(BENCHMARKS))
    parser.add_argument("--short", action="store_true", help="hold ratios to those that were kept")
    parser.add_argument("--keep", action="store_true", help="with --short: keep those of now")
    options = parser.parse_args(arguments)
    if options.short:
        return _short(keeps=options.keep)
    names = options.names or list(BENCHMARKS)
    unknown = sorted(set(names) - set(BENCHMARKS))
    if unknown:
        parser.error(f"no such benchmark: {', '.join(unknown)}")
    return max([_measure(name) for name in names])


def _short(*, keeps: bool) -> int:
    if keeps:
        short.keep_baseline()
        return 0
    complaints = short.hold_to_baseline(short.read_baseline(), short.MEASUREMENTS)
    print("\n".join(complaints))
    return 1 if complaints else 0


def _measure(name: str) -> int:
    # Kept one by one: what was measured stays, whatever becomes of the next.
    results = BENCHMARKS[name]()
    keep(results)
    return show(results)


if __name__ == "__main__":
    sys.exit(main())
