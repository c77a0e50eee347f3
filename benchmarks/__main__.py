"""`make bench`: each benchmark in turn. Exits 1 if one of them misses what must be reached.

The results are printed, and kept in benchmarks/results.json and benchmarks/RESULTS.md.
"""

import sys

from benchmarks import (
    conform,
    edge_worker,
    history,
    iceberg,
    local_run,
    masking,
    parsing,
    publish_d1,
    simulator,
    transform,
)
from benchmarks.results import keep, show

BENCHMARKS = (
    transform.measure,
    parsing.measure,
    local_run.measure,
    history.measure,
    simulator.measure,
    conform.measure,
    masking.measure,
    iceberg.measure,
    publish_d1.measure,
    edge_worker.measure,
)


def main() -> int:
    results = [result for benchmark in BENCHMARKS for result in benchmark()]
    keep(results)
    return show(results)


if __name__ == "__main__":
    sys.exit(main())
