"""`make bench`: each benchmark in turn. Exits 1 if one of them misses what must be reached."""

import sys

from benchmarks import conform, local_run, transform

BENCHMARKS = {
    "A whole run on a laptop": local_run.main,
    "Conforming CSV against DuckDB's own copy": conform.main,
    "The transform DAG against a bare dbt build": transform.main,
}


def main() -> int:
    statuses = []
    for title, benchmark in BENCHMARKS.items():
        print(f"\n{title}", flush=True)
        statuses.append(benchmark([]))
    return max(statuses)


if __name__ == "__main__":
    sys.exit(main())
