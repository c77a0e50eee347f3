"""What docker-compose.yaml starts, from files to marts: LocalExecutor over PostgreSQL and S3.

Without an engine, so each service is a process of this machine. Its command, its environment and
its health check are those of the file; containers' names and ports become free ports of loopback,
and /usr/local/airflow a folder with copies of what is mounted there.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest
import yaml

from deploy.local.airflow_api import AirflowApi, DagRun
from deploy.local.ports import LOOPBACK, free_ports
from tests.services.postgres import running_postgres
from tests.services.processes import running_process, wait_until

REPOSITORY = Path(__file__).resolve().parents[2]
HOME = "/usr/local/airflow"
BEGINNING = datetime(2026, 1, 1, tzinfo=UTC)
INGEST, TRANSFORM = ("ingest_files", "ingest_apis"), "transform"
PIPELINE = {*INGEST, TRANSFORM}
FLEET = {"MACHINES": "3", "DAYS": "4"}
SECONDS = 400.0
# In the order of depends_on; PostgreSQL is a fixture.
SERVICES = ("api-server", "scheduler", "dag-processor", "triggerer", "vendor-api")

pytestmark = pytest.mark.timeout(1200)


# A dollar that is meant, or a variable with its default.
INTERPOLATED = re.compile(r"\$\$|\$\{(\w+)(?::-([^}]*))?\}")


def _interpolated(found: re.Match[str]) -> str:
    return "$" if found[0] == "$$" else FLEET.get(found[1]) or found[2] or ""


@dataclass(frozen=True)
class Machine:
    """Where the containers' folders, names and ports are found on this machine."""

    folder: Path
    postgres: str
    api: int
    health: int
    vendors: int
    s3: int
    logs: int
    trigger_logs: int

    @property
    def address(self) -> str:
        return f"http://{LOOPBACK}:{self.api}"

    def here(self, text: str) -> str:
        """A text of the compose file, interpolated as compose does, with the names of here."""
        text = INTERPOLATED.sub(_interpolated, text)
        text = text.replace(HOME, str(self.folder)).replace("postgres/airflow", self.postgres)
        text = re.sub(r"//(s3|api-server|localhost):", f"//{LOOPBACK}:", text)
        ports = {"8080": self.api, "8974": self.health, "9000": self.vendors, "5000": self.s3}
        return re.sub(r"\b(8080|8974|9000|5000)\b", lambda m: str(ports[m[1]]), text)


@dataclass(frozen=True)
class ComposeService:
    """One service of the file on this machine."""

    name: str
    description: Mapping[str, Any]
    machine: Machine

    @property
    def command(self) -> list[str]:
        given = self.description.get("entrypoint") or self.description["command"]
        words = shlex.split(given) if isinstance(given, str) else given
        return [self.machine.here(word) for word in words]

    @property
    def environment(self) -> dict[str, str]:
        """What a container has by itself, and what the file adds."""
        machine, given = self.machine, self.description.get("environment", {})
        return {
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "HOME": str(machine.folder),
            "HOSTNAME": socket.gethostname(),
            "AIRFLOW_HOME": str(machine.folder),
            "PYTHONPATH": str(machine.folder),
            "AIRFLOW__API__HOST": LOOPBACK,
            "AIRFLOW__API__PORT": str(machine.api),
            "AIRFLOW__SCHEDULER__SCHEDULER_HEALTH_CHECK_SERVER_PORT": str(machine.health),
            "AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT": str(machine.logs),
            "AIRFLOW__LOGGING__TRIGGER_LOG_SERVER_PORT": str(machine.trigger_logs),
        } | {name: machine.here(value) for name, value in given.items() if value is not None}

    def is_healthy(self) -> bool:
        kind, *words = self.description["healthcheck"]["test"]
        check = [self.machine.here(word) for word in words]
        command = check if kind == "CMD" else ["sh", "-c", *check]
        done = subprocess.run(
            command, cwd=self.machine.folder, env=self.environment, capture_output=True, check=False
        )
        return done.returncode == 0

    def run(self) -> None:
        """Run a service that ends by itself."""
        done = subprocess.run(
            self.command,
            cwd=self.machine.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-3000:]

    def start(self, stack: ExitStack) -> None:
        """Start it, to be ended with the stack."""
        log = self.machine.folder / f"{self.name}.log"
        stack.enter_context(
            running_process(
                self.command, folder=self.machine.folder, environment=self.environment, log=log
            )
        )


def mounted(folder: Path, volumes: Sequence[str]) -> None:
    """Copies of the repository's folders where the file mounts them."""
    for source, target in (volume.split(":")[:2] for volume in volumes):
        path = folder / Path(target).relative_to(HOME)
        if source.startswith("./") and (REPOSITORY / source).is_dir() and source != "./data":
            shutil.copytree(
                REPOSITORY / source,
                path,
                ignore=shutil.ignore_patterns("__pycache__", "manifests", "target", "logs"),
            )
        else:
            path.mkdir(parents=True)


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """Every service is healthy; the DAGs have not run."""
    described = yaml.safe_load((REPOSITORY / "docker-compose.yaml").read_text("utf-8"))["services"]
    folder = tmp_path_factory.mktemp("compose") / "airflow"
    mounted(folder, described["scheduler"]["volumes"])
    with running_postgres() as database, ExitStack() as stack:
        here = Machine(folder, database, *free_ports(6))
        services = {name: ComposeService(name, each, here) for name, each in described.items()}
        services["s3"].start(stack)
        wait_until(services["s3"].is_healthy, "s3", seconds=SECONDS)
        services["preparation"].run()
        for name in SERVICES:
            services[name].start(stack)
        for name in SERVICES:
            wait_until(services[name].is_healthy, name, seconds=SECONDS)
        yield here


def ended(api: AirflowApi, run: DagRun) -> DagRun:
    wait_until(lambda: api.run(run).is_over, f"the end of {run.dag_id}", seconds=SECONDS)
    return api.run(run)


def test_both_ingest_dags_succeed_and_start_the_transform(machine: Machine) -> None:
    api = logged_in(machine)
    wait_until(lambda: api.parsed_since(BEGINNING) >= PIPELINE, "the DAGs", seconds=SECONDS)
    assert api.import_errors() == {}
    ingested = [ended(api, api.trigger(dag_id)) for dag_id in INGEST]
    assert {run.dag_id: run.state for run in ingested} == dict.fromkeys(INGEST, "success")
    wait_until(lambda: bool(api.runs([TRANSFORM])), TRANSFORM, seconds=SECONDS)


def test_the_transform_succeeds_and_its_marts_can_be_read(machine: Machine) -> None:
    api = logged_in(machine)
    assert ended(api, api.runs([TRANSFORM])[0]).state == "success"
    warehouse = machine.folder / "data" / "compose" / "snapshot" / "vending.duckdb"
    with duckdb.connect(str(warehouse), read_only=True) as snapshot:
        (sales,) = snapshot.execute("SELECT count(*) FROM marts.fct_sales").fetchone()
        (telemetry,) = snapshot.execute("SELECT count(*) FROM raw.machine_telemetry").fetchone()
    assert sales > 0
    assert telemetry > 0


def logged_in(machine: Machine) -> AirflowApi:
    api = AirflowApi(machine.address)
    api.log_in_as_anybody()
    return api
