"""A large fleet's year from files to the readers' snapshot, on two cores and within 8 GB.

    python -m benchmarks.large_run [--rows 100000000] FOLDER

Each step is a process of its own in a memory cgroup, which the kernel holds to the limit, so this
needs Linux and a user who may make one. DuckDB reads the group's limit and takes four fifths of it.
Sales in raw and revenue in fct_sales are held to the vendor's files, which DuckDB reads without the
pipeline. The result is kept in benchmarks/large_run.json and shown in benchmarks/RESULTS.md. Needs
hundreds of bytes of disk for each row of sales. Exits 1 if a step fails or the figures differ; with
the same folder it goes on with the step that failed. What is in the folder stays there.
"""

from __future__ import annotations

import argparse
import math
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import duckdb

from benchmarks import report
from benchmarks.cgroup import MemoryGroup, memory_group
from benchmarks.large_run_result import CORES, LIMIT_MB, Done, LargeRun, Step, Totals, table
from benchmarks.processes import children_cpu_seconds
from deploy.local.airflow_env import preparation_environment
from deploy.local.layout import REPOSITORY, Layout
from deploy.local.preparation import build_manifest

DAYS, MACHINES_PER_FILE = 365, 100
LAST_DAY = "2026-10-31"
# A little less than a machine sells in those days, which is 20,083 over five thousand of them.
ROWS_OF_A_MACHINE = 20_000

# Revenue as its definition says: sales and refunds, without sales that a void names. The columns
# are given, as DuckDB looks into each of ten thousand files to find out.
_LINES = """
    read_csv($files, header = true, auto_detect = false, columns = {
        'machine_id': 'VARCHAR', 'transaction_id': 'VARCHAR', 'slot_number': 'INTEGER',
        'product_id': 'VARCHAR', 'sold_at': 'VARCHAR', 'quantity': 'INTEGER',
        'unit_price': 'INTEGER', 'amount': 'INTEGER', 'payment_method': 'VARCHAR',
        'transaction_type': 'VARCHAR', 'original_transaction_id': 'VARCHAR'
    })
"""
_OF_FILES = f"""
    WITH voids AS (
        SELECT DISTINCT machine_id, original_transaction_id AS transaction_id
        FROM {_LINES} WHERE transaction_type = 'void'
    )
    SELECT
        count(*),
        coalesce(sum(amount) FILTER (transaction_type IN ('sale', 'refund')), 0)
        - coalesce(sum(amount) FILTER (voids.transaction_id IS NOT NULL), 0)
    FROM {_LINES} AS lines LEFT JOIN voids USING (machine_id, transaction_id)
"""
_OF_WAREHOUSE = """
    SELECT (SELECT count(*) FROM raw.sales), (SELECT sum(amount) FROM marts.fct_sales)
"""


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="A large fleet's year, timed.")
    parser.add_argument("--rows", type=int, default=100_000_000, help="of sales, at least")
    parser.add_argument("folder", type=Path, help="on a disk with room")
    options = parser.parse_args(arguments)
    run = measure(options.rows, options.folder)
    run.keep(report.ROOT / report.LARGE_RUN)
    report.write(report.read())
    print("\n".join(table(run)))
    return 0


def measure(rows: int, folder: Path) -> LargeRun:
    """Raises SystemExit with a sentence if a step fails or the totals differ."""
    machines = math.ceil(rows / ROWS_OF_A_MACHINE)
    folder.mkdir(parents=True, exist_ok=True)
    layout = Layout(folder / "data", folder / "airflow")
    done = Done.read(folder / "done.json")
    environment = preparation_environment(layout)
    _step(environment, "manifest", build_manifest())
    _take(done, environment, "write", _write(layout, machines))
    if done.written is None:
        files = str(layout.sources / "fleet/*/sales_*.csv")
        done.note_written(_totals(":memory:", _OF_FILES, files=files))
    _take(done, environment, "ingest", ["benchmarks.one_day", "ingest"])
    # Once they are in raw they are only in the way of what needs disk after them.
    shutil.rmtree(layout.sources, ignore_errors=True)
    for part in ("transform", "snapshot"):
        _take(done, environment, part, ["benchmarks.one_day", part])
    loaded = _totals(str(layout.snapshot), _OF_WAREHOUSE)
    if loaded != done.written:
        raise SystemExit(f"The files hold {done.written}, the warehouse holds {loaded}.")
    return LargeRun(
        day=f"{datetime.now(UTC):%Y-%m-%d}",
        commit=report.current_commit(),
        processor=report.processor(),
        machines=machines,
        days=DAYS,
        totals=loaded,
        steps=tuple(done.steps),
    )


def _take(done: Done, environment: Mapping[str, str], name: str, arguments: Sequence[str]) -> None:
    """Take a step that an earlier run in this folder has not taken."""
    if all(step.name != name for step in done.steps):
        done.note(_step(environment, name, arguments))


def _write(layout: Layout, machines: int) -> list[str]:
    size = {"--machines": machines, "--days": DAYS, "--machines-per-file": MACHINES_PER_FILE}
    options = [part for option in size.items() for part in map(str, option)]
    places = ["--out", str(layout.sources), "--state", str(layout.simulator_state)]
    return ["simulator", "write", *places, *options, "--end-date", LAST_DAY]


def _step(environment: Mapping[str, str], name: str, arguments: Sequence[str]) -> Step:
    before, started = children_cpu_seconds(), time.monotonic()
    with memory_group(LIMIT_MB << 20) as group:
        done = subprocess.run(
            [sys.executable, "-m", *arguments],
            env=environment,
            cwd=REPOSITORY,
            preexec_fn=partial(_confine, group),
            check=False,
        )
        if done.returncode:
            killed = f"{group.oom_kills} processes were ended for want of memory"
            raise SystemExit(f"The step {name} failed with {done.returncode}; {killed}.")
        seconds = time.monotonic() - started
        cpu_seconds = children_cpu_seconds() - before
        step = Step(name, round(seconds, 1), round(cpu_seconds, 1), group.peak >> 20)
    print(step, flush=True)
    return step


def _confine(group: MemoryGroup) -> None:
    """In the process that is to become the step."""
    group.add(os.getpid())
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:CORES])


def _totals(database: str, query: str, **values: str) -> Totals:
    with duckdb.connect(database, read_only=database != ":memory:") as connection:
        return Totals(*map(int, connection.execute(query, values).fetchall()[0]))


if __name__ == "__main__":
    sys.exit(main())
