"""A copy of the repository with a small dbt project, run by a real Airflow on this machine."""

from __future__ import annotations

import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import psutil
import pytest

from deploy.local import airflow_env, stack
from deploy.local.airflow_api import AirflowApi, DagRun
from deploy.local.layout import REPOSITORY, Layout
from include.warehouse.duckdb_file import connect

SMALL_PROJECT = Path(__file__).with_name("small_project")
# Of a machine that does much else: the longest run takes half a minute of its own.
PATIENCE_SECONDS = 900.0


class TransformApi(AirflowApi):
    """What these tests ask of Airflow beside what `make run` does."""

    def start(self, select: str) -> DagRun:
        body = {"logical_date": None, "conf": {"select": select}}
        answer = self._request("POST", "/api/v2/dags/transform/dagRuns", json=body)
        return DagRun("transform", answer["dag_run_id"], answer["state"])

    def clear(self, run: DagRun, task_ids: Sequence[str], *, downstream: bool) -> None:
        body = {
            "dry_run": False,
            "dag_run_id": run.run_id,
            "task_ids": list(task_ids) or None,
            "include_downstream": downstream,
            "only_failed": False,
            "reset_dag_runs": True,
        }
        self._request("POST", "/api/v2/dags/transform/clearTaskInstances", json=body)

    def size_pool(self, slots: int) -> None:
        body = {"pool": "warehouse", "slots": slots, "include_deferred": False}
        mask = {"update_mask": "slots"}
        self._request("PATCH", "/api/v2/pools/warehouse", json=body, params=mask)

    def asset_events(self) -> list[str]:
        """The name of the asset of each event so far."""
        answer = self._request("GET", "/api/v2/assets/events", params={"limit": 1000})
        return [event["name"] for event in answer["asset_events"]]


@dataclass(frozen=True)
class Platform:
    """A running Airflow over a warehouse of 100 sales of 10 products."""

    layout: Layout
    api: TransformApi

    def execute(self, *statements: str) -> None:
        """Change the warehouse, as ingest would."""
        with connect(self.layout.warehouse, PATIENCE_SECONDS) as connection:
            for statement in statements:
                connection.execute(statement)

    def mend(self) -> None:
        """Bring the raw tables back to what they were, without faults."""
        self.execute(*RAW_TABLES)

    def transform(self, select: str = "") -> DagRun:
        """Start a run and wait for its end."""
        return self.finish(self.start(select))

    def start(self, select: str = "") -> DagRun:
        return self.api.start(select)

    def finish(self, run: DagRun) -> DagRun:
        wait_until(lambda: self.api.run(run).is_over, f"the end of {run.run_id}")
        return self.api.run(run)

    def clear(self, run: DagRun, *task_ids: str, downstream: bool = False) -> DagRun:
        """Clear tasks of a finished run and wait until it has ended again."""
        self.api.clear(run, task_ids, downstream=downstream)
        return self.finish(run)

    def states(self, run: DagRun) -> dict[str, str | None]:
        return {task.task_id: task.state for task in self.api.task_instances(run)}

    def tries(self, run: DagRun) -> dict[str, int]:
        return {task.task_id: task.try_number for task in self.api.task_instances(run)}

    def log(self, run: DagRun, task_id: str) -> str:
        """Everything that the tries of a task logged."""
        folder = self.layout.airflow_home / "logs" / "dag_id=transform"
        files = folder.glob(f"run_id={run.run_id}/task_id={task_id}/*.log")
        return "\n".join(file.read_text("utf-8") for file in sorted(files))

    def all_logs(self, run: DagRun) -> str:
        return "\n".join(self.log(run, task_id) for task_id in self.states(run))

    def alerts(self) -> list[str]:
        if not self.layout.alerts.exists():
            return []
        return self.layout.alerts.read_text("utf-8").splitlines()

    def kill(self, run: DagRun, task_id: str) -> None:
        """End a task's process with SIGKILL while dbt has the warehouse open."""
        database = str(self.layout.warehouse)
        wait_until(lambda: self.states(run)[task_id] == "running", f"the start of {task_id}")
        for process in wait_until(lambda: _openers(database), f"{task_id} to open the warehouse"):
            process.kill()

    def asset_events(self) -> Counter[str]:
        """How often each asset was updated so far."""
        return Counter(self.api.asset_events())

    @contextmanager
    def pool_of_the_warehouse_taken(self) -> Iterator[None]:
        """As while ingest loads: nobody gets the slot until the block has ended."""
        self.api.size_pool(0)
        try:
            yield
        finally:
            self.api.size_pool(1)

    def query(self, sql: str) -> list[Any]:
        """Read the readers' copy."""
        with duckdb.connect(str(self.layout.snapshot), read_only=True) as connection:
            return connection.execute(sql).fetchall()


RAW_TABLES = (
    "create schema if not exists raw",
    "create or replace table raw.sales as"
    " select i as sale_id, i % 10 as product_id, 1.5 as amount from range(100) as sales (i)",
    "create or replace table raw.products as"
    " select i as product_id, 'product ' || i as product_name from range(10) as products (i)",
    "create or replace table raw.faults (fault varchar, size bigint)",
)


def wait_until(done: Callable[[], Any], what: str) -> Any:
    """What `done` gives as soon as it gives something."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not (result := done()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"Waited {PATIENCE_SECONDS:.0f} s for {what}.")
        time.sleep(0.2)
    return result


@contextmanager
def running_platform(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Platform]:
    """The copy below `folder`, its Airflow on free ports of the loopback interface."""
    copy = folder / "repository"
    for part in ("include", "dags", "deploy", "plugins"):
        shutil.copytree(REPOSITORY / part, copy / part)
    shutil.copytree(SMALL_PROJECT, copy / "dbt")
    for module in (stack, airflow_env):
        monkeypatch.setattr(module, "REPOSITORY", copy)
    _build_manifest(copy)
    layout = Layout(folder / "data", folder / "airflow")
    started = stack.Stack(layout, stays=False, simulates=None)
    try:
        before = datetime.now(UTC)
        started.start()
        started.go()
        api = TransformApi(started.state.address)
        wait_until(api.is_up, "Airflow's API")
        api.log_in(layout.passwords)
        wait_until(lambda: "transform" in api.parsed_since(before), "the DAG to be parsed")
        api.unpause("transform")
        yield Platform(layout, api)
    finally:
        started.stop()


def _build_manifest(repository: Path) -> None:
    from include.transform.manifest import build_manifest
    from include.transform.project import DbtProject

    dbt = repository / "dbt"
    warehouse = repository.parent / "data" / "dbt_dev.duckdb"
    build_manifest(
        DbtProject(
            path=dbt,
            target="dev",
            manifest_path=dbt / "manifests" / "dev.json",
            environment=(("VENDING_DUCKDB_PATH", str(warehouse)),),
        )
    )


def _openers(database: str) -> list[psutil.Process]:
    """The processes that have the file open; those of other users are passed over."""
    found = []
    for process in psutil.process_iter():
        try:
            if any(file.path == database for file in process.open_files()):
                found.append(process)
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return found
