"""A whole run of the DAG `transform` against a bare dbt build, and against what Cosmos offers.

    python -m benchmarks.transform [--machines 20] [--days 30] [--rounds 5] [--cosmos]

All start from the same warehouse, as ingest left it, with the same manifest, parse cache and
threads: `dbt build` without unit tests in a process of its own; the DAG in a real Airflow, from the
trigger to the end of its run, with every model and test as a task; a DAG of the same shape whose
tasks do nothing. In turn, so that what else the machine does meets all of them. With --cosmos
instead once through each of Cosmos's own modes, which takes ten minutes. Exits 1 if a target is
missed or a mart differs.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import psutil

from benchmarks.peers import LOCAL, NOTHING, WATCHER
from benchmarks.processes import children_cpu_seconds
from benchmarks.results import Result, alone, compared, show
from deploy.local.airflow_api import AirflowApi, DagRun
from deploy.local.airflow_env import preparation_environment
from deploy.local.layout import REPOSITORY, Layout
from deploy.local.preparation import Data, Fleet, Preparation, build_manifest, write_files
from deploy.local.stack import Stack
from include.transform.dbt_command import NO_UNIT_TESTS
from include.transform.project import DbtProject

# Of the wall time of a bare build, and of that and a DAG that does nothing together.
MOST_RATIO = 1.6
MOST_OVER_SUM = 1.2
# CPU seconds of a task above one that does nothing.
MOST_TASK_SECONDS = 0.25
PATIENCE_SECONDS = 900.0
INGEST = ("ingest_files", "ingest_apis")
TRANSFORM = "transform"
COSMOS_MODES = (LOCAL, WATCHER)
# Small: what a task for each model costs beside the build shows most where the build is short.
FLEET = Fleet(machines=20, days=30)


@dataclass(frozen=True, slots=True)
class Measure:
    """Seconds of wall, and of processor time of all processes that took part; tasks of a run."""

    seconds: float
    cpu_seconds: float
    tasks: int = 0


@dataclass(frozen=True, slots=True)
class Round:
    build: Measure
    dag: Measure
    nothing: Measure
    differing_marts: tuple[str, ...]

    @property
    def task_seconds(self) -> float:
        """CPU seconds of a task above those of one that does nothing, the build's own left out."""
        more = self.dag.cpu_seconds - self.build.cpu_seconds - self.nothing.cpu_seconds
        return more / self.dag.tasks


class Api(AirflowApi):
    """What the benchmark asks for beside what `make run` does."""

    def pause(self, dag_id: str) -> None:
        self._request("PATCH", f"/api/v2/dags/{dag_id}", json={"is_paused": True})


@dataclass(frozen=True, slots=True)
class Bench:
    """A running Airflow whose warehouse holds what ingest loaded, and a copy of that warehouse."""

    layout: Layout
    api: Api
    supervisor: psutil.Process
    loaded: Path

    def restore(self) -> None:
        self.layout.warehouse.with_name("dbt_dev.duckdb.wal").unlink(missing_ok=True)
        shutil.copyfile(self.loaded, self.layout.warehouse)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="The transform DAG against a bare dbt build.")
    parser.add_argument("--machines", type=int, default=FLEET.machines)
    parser.add_argument("--days", type=int, default=FLEET.days)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--cosmos", action="store_true", help="measure Cosmos's own modes instead")
    options = parser.parse_args(arguments)
    fleet = Fleet(machines=options.machines, days=options.days)
    return show(measure_cosmos(fleet) if options.cosmos else measure(options.rounds, fleet))


def measure(rounds: int = 5, fleet: Fleet = FLEET) -> list[Result]:
    """Raises SystemExit if a mart of the DAG differs from that of the bare build."""
    with prepared(fleet) as bench:
        measured = [_round(bench) for _ in range(rounds)]
    differing = {mart for each in measured for mart in each.differing_marts}
    if differing:
        raise SystemExit(f"These marts differ: {', '.join(sorted(differing))}.")
    return _results(measured)


def measure_cosmos(fleet: Fleet = FLEET) -> list[Result]:
    """Cosmos's own modes, once each, beside a bare build; takes ten minutes."""
    with prepared(fleet) as bench:
        return [_cosmos_result(bench, mode) for mode in COSMOS_MODES]


def _results(measured: Sequence[Round]) -> list[Result]:
    bare, sums = "bare dbt build", "bare dbt build + a DAG that does nothing"
    dag_walls = [each.dag.seconds for each in measured]
    dag_cpus = [each.dag.cpu_seconds for each in measured]
    build_walls = [each.build.seconds for each in measured]
    build_cpus = [each.build.cpu_seconds for each in measured]
    sum_walls = [each.build.seconds + each.nothing.seconds for each in measured]
    task_cpus = [each.task_seconds for each in measured]
    return [
        compared("transform_vs_bare_dbt", "s", dag_walls, bare, build_walls, MOST_RATIO),
        compared("transform_cpu_vs_bare_dbt", "CPU s", dag_cpus, bare, build_cpus, None),
        compared("transform_vs_build_and_nothing", "s", dag_walls, sums, sum_walls, MOST_OVER_SUM),
        alone("task_above_nothing", "CPU s", task_cpus, MOST_TASK_SECONDS),
    ]


def _cosmos_result(bench: Bench, mode: str) -> Result:
    bench.restore()
    build = _measure_build(bench)
    bench.restore()
    dag = _measure_dag(bench, mode)
    name, bare = f"{mode}_vs_bare_dbt", "bare dbt build"
    return compared(name, "s", [dag.seconds], bare, [build.seconds], None)


@contextmanager
def prepared(fleet: Fleet) -> Iterator[Bench]:
    """Start Airflow in a folder of its own and let it ingest; transform stays paused meanwhile."""
    with ExitStack() as cleanup:
        name = cleanup.enter_context(tempfile.TemporaryDirectory(prefix="benchmark-transform-"))
        folder = Path(name)
        layout, peer_dags = Layout(folder / "data", folder / "airflow"), folder / "peers"
        stack = Stack(layout, stays=False, simulates=fleet, settings=_with_peers(layout, peer_dags))
        cleanup.callback(stack.stop)
        stack.start()
        environment = preparation_environment(layout)
        write_peers = ["benchmarks.peers", str(peer_dags)]
        for arguments in (build_manifest(), write_files(layout, Data.FLEET, fleet), write_peers):
            preparation = Preparation(arguments, environment, print)
            cleanup.callback(preparation.stop)
            preparation.wait()
        started_at = datetime.now(UTC)
        stack.go()
        api = Api(stack.state.address)
        _until(api.is_up, stack)
        api.log_in(layout.passwords)
        needed = {*INGEST, TRANSFORM, NOTHING, *COSMOS_MODES}
        _until(lambda: api.parsed_since(started_at) >= needed, stack)
        api.pause(TRANSFORM)
        for run in [api.trigger(dag_id) for dag_id in INGEST]:
            _finish(api, run, stack)
        api.forget_queued_assets(TRANSFORM)
        api.unpause(TRANSFORM)
        loaded = folder / "loaded.duckdb"
        shutil.copyfile(layout.warehouse, loaded)
        yield Bench(layout, api, psutil.Process(stack.state.pid), loaded)


def _with_peers(layout: Layout, peer_dags: Path) -> dict[str, str]:
    local = "airflow.dag_processing.bundles.local.LocalDagBundle"
    bundles = [
        {"name": "dags-folder", "classpath": local, "kwargs": {}},
        {"name": "peers", "classpath": local, "kwargs": {"path": str(peer_dags)}},
    ]
    return {
        "AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST": json.dumps(bundles),
        # Cosmos's own modes read the connection from profiles.yml.
        "VENDING_DUCKDB_PATH": str(layout.warehouse),
    }


def _round(bench: Bench) -> Round:
    bench.restore()
    build = _measure_build(bench)
    built = bench.loaded.with_name("built.duckdb")
    shutil.copyfile(bench.layout.warehouse, built)
    bench.restore()
    dag = _measure_dag(bench, TRANSFORM)
    differing = tuple(_differing_marts(built, bench.layout.warehouse))
    return Round(build, dag, _measure_dag(bench, NOTHING), differing)


def _measure_build(bench: Bench) -> Measure:
    with tempfile.TemporaryDirectory() as target:
        # dbt's own parse cache is void for a warehouse at another path: filled for this one.
        _dbt(bench, target, "parse")
        started, before = time.perf_counter(), children_cpu_seconds()
        _dbt(bench, target, "build", *NO_UNIT_TESTS)
        return Measure(time.perf_counter() - started, children_cpu_seconds() - before)


def _dbt(bench: Bench, target: str, command: str, *arguments: str) -> None:
    project = DbtProject.of_target("dev")
    folders = ["--project-dir", str(project.path), "--profiles-dir", str(project.path)]
    folders += ["--target-path", target, "--log-path", target]
    dbt = str(Path(sys.executable).with_name("dbt"))
    subprocess.run(
        [dbt, command, *arguments, *folders, "--target", project.target, "--quiet"],
        check=True,
        cwd=REPOSITORY,
        env={
            **preparation_environment(bench.layout),
            "VENDING_DUCKDB_PATH": str(bench.layout.warehouse),
        },
    )


def _measure_dag(bench: Bench, dag_id: str) -> Measure:
    before, started = _cpu_seconds(bench.supervisor), time.perf_counter()
    run = bench.api.trigger(dag_id)
    state, tasks = _end(bench.layout.metadata_database, run)
    seconds = time.perf_counter() - started
    if state != "success":
        raise SystemExit(f"The run {run.run_id} of {dag_id} failed; nothing to compare.")
    return Measure(seconds, _cpu_seconds(bench.supervisor) - before, tasks)


def _end(metadata_database: Path, run: DagRun) -> tuple[str, int]:
    """Wait for the end of a run; its state and the number of its tasks.

    Not through the API server, whose time is part of what is measured.
    """
    address = f"file:{metadata_database}?mode=ro"
    query = """
        SELECT run.state, (SELECT count(*) FROM task_instance WHERE run_id = run.run_id)
        FROM dag_run AS run WHERE run.dag_id = ? AND run.run_id = ?
    """
    with closing(sqlite3.connect(address, uri=True)) as connection:
        while True:
            [(state, tasks)] = connection.execute(query, (run.dag_id, run.run_id)).fetchall()
            if state in ("success", "failed"):
                return state, tasks
            time.sleep(0.1)


def _finish(api: Api, run: DagRun, stack: Stack | None = None) -> DagRun:
    _until(lambda: api.run(run).is_over, stack)
    return api.run(run)


def _until(done: Callable[[], bool], stack: Stack | None) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not done():
        if stack is not None:
            stack.check()
        if time.monotonic() > deadline:
            raise SystemExit(f"Airflow took longer than {PATIENCE_SECONDS:.0f} s; giving up.")
        time.sleep(0.1)


def _cpu_seconds(process: psutil.Process) -> float:
    """Of a process and all that it has started, those that have ended included."""
    try:
        times = process.cpu_times()
        living = sum(_cpu_seconds(child) for child in process.children())
    except psutil.NoSuchProcess:
        return 0.0
    return sum((times.user, times.system, times.children_user, times.children_system, living))


def _differing_marts(one: Path, other: Path) -> Iterator[str]:
    with duckdb.connect() as connection:
        connection.execute(
            f"attach '{one}' as one (read_only); attach '{other}' as other (read_only)"
        )
        tables = connection.execute(
            "select distinct table_name from information_schema.tables"
            " where table_schema = 'marts' and table_catalog in ('one', 'other') order by 1"
        ).fetchall()
        for (table,) in tables:
            rows = (
                f"(from {a}.marts.{table} except all from {b}.marts.{table})"
                for a, b in (("one", "other"), ("other", "one"))
            )
            (different,) = connection.execute(
                f"select count(*) from ({' union all '.join(rows)})"
            ).fetchone() or (1,)
            if different:
                yield table


if __name__ == "__main__":
    sys.exit(main())
