"""A real Airflow over DAGs of this repository, which drills may break."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
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
from include.transform.manifest import build_manifest
from include.transform.project import DbtProject
from tests.drills.kept import everything_kept

INGEST_DAGS = ("ingest_apis", "ingest_files", "replay_quarantine", "reprocess_day")
# Of a machine that does much else: no run here takes half a minute of its own.
PATIENCE_SECONDS = 240.0
WORKER_TITLE = "airflow worker -- LocalExecutor"
TASK_TITLE = "airflow worker -- "
# What tools put beside the code, hundreds of megabytes of it.
INSTALLED = shutil.ignore_patterns("node_modules", "__pycache__")

SETTINGS = {
    # A killed task is tried again at once, and one whose supervisor was killed is found in seconds.
    "VENDING_RETRY_DELAY_SECONDS": "0",
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_SEC": "2",
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "15",
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "3",
}


class DrillApi(AirflowApi):
    """What drills ask of Airflow beside what `make run` does."""

    def start(
        self, dag_id: str, conf: Mapping[str, Any] | None = None, day: str | None = None
    ) -> DagRun:
        """Start a run by hand, for the day before or for the one that is given."""
        run_id = f"manual__{datetime.now(UTC).isoformat()}"
        body = {"logical_date": None, "dag_run_id": run_id, "conf": dict(conf or {})}
        body |= {"partition_key": day} if day else {}
        self._request("POST", f"/api/v2/dags/{dag_id}/dagRuns", json=body)
        return DagRun(dag_id, run_id, "queued")

    def refusal(self, dag_id: str, conf: Mapping[str, Any]) -> int:
        """The status with which Airflow answers parameters that it should refuse."""
        body = {"logical_date": None, "conf": dict(conf)}
        return self._client.post(f"/api/v2/dags/{dag_id}/dagRuns", json=body).status_code

    def size_pool(self, slots: int) -> None:
        """The slots of the pool without which nobody opens the warehouse."""
        body = {"pool": "warehouse", "slots": slots, "include_deferred": False}
        mask = {"update_mask": "slots"}
        self._request("PATCH", "/api/v2/pools/warehouse", json=body, params=mask)

    def fail(self, run: DagRun) -> None:
        """Mark a run as failed, which ends what is at work of it."""
        path = f"/api/v2/dags/{run.dag_id}/dagRuns/{run.run_id}"
        self._request("PATCH", path, json={"state": "failed"})

    def day_of(self, run: DagRun) -> tuple[str, str]:
        """The partition key of a run, and when it was due."""
        shown = self._request("GET", f"/api/v2/dags/{run.dag_id}/dagRuns/{run.run_id}")
        return shown["partition_key"], shown["run_after"]

    def clear(self, run: DagRun, task_id: str | None) -> None:
        """Clear what failed of a run, or a task, with what is behind it."""
        body = {
            "dry_run": False,
            "dag_run_id": run.run_id,
            "task_ids": [task_id] if task_id else None,
            "only_failed": task_id is None,
            "include_downstream": True,
            "reset_dag_runs": True,
        }
        self._request("POST", f"/api/v2/dags/{run.dag_id}/clearTaskInstances", json=body)


@dataclass
class Platform:
    """A copy of the repository, a data folder, an Airflow home, and the Airflow that runs now."""

    repository: Path
    layout: Layout
    dag_ids: tuple[str, ...]
    api: DrillApi
    running: stack.Stack

    def deliver(self, name: str, content: bytes) -> None:
        """Put a file into the sources, whole at once."""
        path = self.layout.sources / name
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = path.with_name(f".{path.name}")
        beside.write_bytes(content)
        beside.replace(path)

    def start(self, dag_id: str = "ingest_files", **conf: Any) -> DagRun:
        return self.api.start(dag_id, conf)

    def run(self, dag_id: str = "ingest_files", **conf: Any) -> DagRun:
        """Start a run and wait for its end."""
        return self.finish(self.start(dag_id, **conf))

    def command(self, *arguments: str) -> None:
        """Run Airflow's own command line over this Airflow."""
        done = subprocess.run(
            [sys.executable, "-m", "airflow", *arguments],
            env=psutil.Process(self.running.state.pid).environ(),
            capture_output=True,
            text=True,
            timeout=PATIENCE_SECONDS,
            check=False,
        )
        assert done.returncode == 0, done.stderr[-2000:]

    def finish(self, run: DagRun) -> DagRun:
        wait_until(lambda: self.api.run(run).is_over, f"the end of {run.run_id}")
        return self.api.run(run)

    def clear(self, run: DagRun, task_id: str | None = None) -> DagRun:
        """Clear what failed of a finished run, or a task, and wait until it has ended again."""
        self.api.clear(run, task_id)
        return self.finish(run)

    def alerts(self) -> str:
        return self.layout.alerts.read_text("utf-8") if self.layout.alerts.exists() else ""

    def states(self, run: DagRun) -> dict[str, str | None]:
        return {task.name: task.state for task in self.api.task_instances(run)}

    def log(self, run: DagRun) -> str:
        """Everything that the tasks of a run logged."""
        folder = self.layout.airflow_home / "logs" / f"dag_id={run.dag_id}"
        files = folder.glob(f"run_id={run.run_id}/**/*.log")
        return "\n".join(file.read_text("utf-8") for file in sorted(files))

    def rows(self, statement: str) -> list[tuple[Any, ...]]:
        """Read the warehouse, while no task has it open."""
        deadline = time.monotonic() + 30
        while True:
            try:
                with duckdb.connect(str(self.layout.warehouse), read_only=True) as connection:
                    return connection.execute(statement).fetchall()
            except duckdb.IOException:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.1)

    def all_logs(self) -> str:
        files = (self.layout.airflow_home / "logs").rglob("*.log")
        return "\n".join(file.read_text("utf-8", errors="replace") for file in files)

    def everything_kept(self) -> dict[str, bytes]:
        return everything_kept(self.layout, self.repository / "dbt")

    def tasks(self) -> list[psutil.Process]:
        """The processes that run a task's own code now."""
        titled = [each for each in self._processes() if _title(each).startswith(TASK_TITLE)]
        return [each for each in titled if not _title(each).startswith(WORKER_TITLE)]

    def workers(self) -> list[psutil.Process]:
        """The processes of the executor, from which tasks are forked."""
        return [each for each in self._processes() if _title(each).startswith(WORKER_TITLE)]

    def scheduler(self) -> psutil.Process:
        processes = self._processes()
        [found] = [each for each in processes if _title(each).startswith("airflow scheduler")]
        return found

    def openers(self) -> list[psutil.Process]:
        """The tasks that have the warehouse's file open."""
        return [each for each in self.tasks() if self._has_open(each)]

    def _has_open(self, process: psutil.Process) -> bool:
        try:
            files = {file.path for file in process.open_files()}
        except psutil.Error:
            return False
        return str(self.layout.warehouse) in files

    def _processes(self) -> list[psutil.Process]:
        return psutil.Process(self.running.state.pid).children(recursive=True)


def wait_until(done: Callable[[], Any], what: str, seconds: float = PATIENCE_SECONDS) -> None:
    deadline = time.monotonic() + seconds
    while not done():
        if time.monotonic() > deadline:
            raise TimeoutError(f"Waited {seconds:.0f} s for {what}.")
        time.sleep(0.05)


@contextmanager
def platform(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    variables: Mapping[str, str],
    dag_ids: tuple[str, ...] = INGEST_DAGS,
    change: Callable[[Path], None] = lambda _: None,
) -> Iterator[Platform]:
    """A copy of the repository below ``folder``, and its Airflow, until the block ends.

    It has these DAGs alone. ``change`` may alter the copy before it is used.
    """
    copy = folder / "repository"
    for part in ("include", "deploy", "plugins", "dbt"):
        shutil.copytree(REPOSITORY / part, copy / part, ignore=INSTALLED)
    (copy / "dags").mkdir()
    for dag_id in dag_ids:
        shutil.copy(REPOSITORY / "dags" / f"{dag_id}.py", copy / "dags")
    change(copy)
    lines = [f"{name}='{value}'\n" for name, value in {**SETTINGS, **variables}.items()]
    (copy / ".env").write_text("".join(lines))
    for module in (stack, airflow_env):
        monkeypatch.setattr(module, "REPOSITORY", copy)
    layout = Layout(folder / "data", folder / "airflow")
    if "transform" in dag_ids and "VENDING_ENV" not in variables:
        _build_manifest(copy / "dbt", layout)
    running, api = start(layout, dag_ids)
    made = Platform(copy, layout, dag_ids, api, running)
    try:
        yield made
    finally:
        made.running.stop()


def _build_manifest(project: Path, layout: Layout) -> None:
    manifest = project / "manifests" / "dev.json"
    environment = (("VENDING_DUCKDB_PATH", str(layout.warehouse)),)
    build_manifest(DbtProject(project, "dev", manifest, environment))


def start(layout: Layout, dag_ids: tuple[str, ...]) -> tuple[stack.Stack, DrillApi]:
    """Start Airflow over folders that may hold what an earlier one left."""
    running = stack.Stack(layout, stays=False, simulates=None)
    before = datetime.now(UTC)
    running.start()
    running.go()
    api = DrillApi(running.state.address)
    wait_until(api.is_up, "Airflow's API")
    stack.remember_migration(layout)
    api.log_in(layout.passwords)
    wait_until(lambda: set(dag_ids) <= api.parsed_since(before), "the DAGs to be parsed")
    return running, api


def restart(platform: Platform) -> None:
    """End what is left of Airflow and start it again over the same folders."""
    platform.running.stop()
    platform.running, platform.api = start(platform.layout, platform.dag_ids)


def kill(process: psutil.Process) -> bool:
    """End a process with SIGKILL; whether it was still there."""
    try:
        process.send_signal(signal.SIGKILL)
    except psutil.NoSuchProcess:
        return False
    return True


def connection(base_url: str, token: str) -> str:
    """An Airflow connection to a vendor's API, as JSON."""
    host, port = base_url.removeprefix("http://").split(":")
    parts = {"conn_type": "http", "schema": "http", "host": host, "port": int(port)}
    return json.dumps(parts | {"password": token})


def _title(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""
