"""A small MWAA on this machine: containers with disks of their own, two of them workers.

They share the metadata database, which also carries the queue, and what lies in S3 and Snowflake.
"""

from __future__ import annotations

import base64
import json
import secrets
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from deploy.local.airflow_api import AirflowApi, DagRun
from deploy.local.metadata import POOLS
from deploy.local.ports import LOOPBACK, free_ports
from deploy.mwaa.check.container import Component, Container, start_container
from deploy.mwaa.check.installation import Installation
from tests.services import processes
from tests.services.processes import running_process

WORKERS = ("worker-1", "worker-2")
# Of the smallest class of environment.
SLOTS = 5

Confine = Callable[[int], None]
PATIENCE_SECONDS = 500.0


@dataclass
class Service:
    """A running environment."""

    api: AirflowApi
    containers: dict[str, Container] = field(default_factory=dict)

    def runs_of_the_schedule(self, *dag_ids: str) -> list[DagRun]:
        """Unpause DAGs and wait for the end of the runs that Airflow then starts by itself."""
        for dag_id in dag_ids:
            self.api.unpause(dag_id)
        wait_until(lambda: all(self.api.runs((dag_id,)) for dag_id in dag_ids), "the runs")
        return [self._finish(run) for dag_id in dag_ids for run in self.api.runs((dag_id,))[:1]]

    def run_by_hand(self, dag_id: str) -> DagRun:
        """Unpause a DAG, start a run by the REST API and wait for its end."""
        self.api.unpause(dag_id)
        return self._finish(self.api.trigger(dag_id))

    def _finish(self, run: DagRun) -> DagRun:
        wait_until(lambda: self.api.run(run).is_over, f"the end of {run.dag_id}")
        return self.api.run(run)

    def failures(self, run: DagRun) -> dict[str, str]:
        """The end of the log of each task that failed."""
        return {
            task.name: self._log(run, task.task_id)[-1500:]
            for task in self.api.task_instances(run)
            if task.state not in ("success", "skipped")
        }

    def logs(self, container: str) -> list[Path]:
        return sorted(self.containers[container].home.glob("logs/dag_id=*/**/*.log"))

    def _log(self, run: DagRun, task_id: str) -> str:
        pattern = f"logs/dag_id={run.dag_id}/run_id={run.run_id}/task_id={task_id}/**/*.log"
        homes = [container.home for container in self.containers.values()]
        files = (file for home in homes for file in home.glob(pattern))
        return "\n".join(file.read_text("utf-8", errors="replace") for file in files)


def wait_until(is_so: Callable[[], bool], what: str) -> None:
    processes.wait_until(is_so, what, seconds=PATIENCE_SECONDS)


@contextmanager
def running_service(
    folder: Path,
    bundle: Path,
    installation: Installation,
    options: Mapping[str, str],
    database: str,
    *,
    workers: Sequence[str] = WORKERS,
    confine: Confine = lambda pid: None,
) -> Iterator[Service]:
    """The service with a bundle delivered; ``options`` are its Airflow options as variables.

    ``confine`` is given the process of each worker before it starts others.
    """
    port, log_port, *worker_ports = free_ports(2 + len(workers))
    shared = _shared(database, port) | options
    service = Service(AirflowApi(f"http://{LOOPBACK}:{port}"))

    def container(name: str, component: Component, log_port: int) -> Container:
        of_its_own = {
            "AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT": str(log_port),
            "AIRFLOW__LOGGING__TRIGGER_LOG_SERVER_PORT": str(log_port),
        }
        started = start_container(
            component, folder / name, bundle, installation, shared | of_its_own
        )
        service.containers[name] = started
        return started

    web_server = container("web-server", Component.WEB_SERVER, log_port)
    scheduler = container("scheduler", Component.SCHEDULER, log_port)
    started = [
        container(name, Component.WORKER, port)
        for name, port in zip(workers, worker_ports, strict=True)
    ]
    _airflow(scheduler, "db", "migrate")
    _airflow(scheduler, "pools", "import", str(_pools(folder)))
    with ExitStack() as stack:
        stack.enter_context(_process(web_server, "api-server", "--port", str(port)))
        wait_until(service.api.is_up, "the API server")
        for command in ("scheduler", "dag-processor", "triggerer"):
            stack.enter_context(_process(scheduler, command))
        for worker in started:
            process = stack.enter_context(
                _process(
                    *(worker, "celery", "worker", "--concurrency", str(SLOTS)),
                    *("--celery-hostname", worker.folder.name, "--skip-serve-logs"),
                )
            )
            confine(process.pid)
            # One after the other: two would make the queue's tables at the same time.
            _wait_until_ready(worker)
        service.api.log_in(web_server.home / "passwords.json")
        yield service


def _wait_until_ready(worker: Container) -> None:
    log = worker.folder / "celery.log"
    wait_until(lambda: b" ready." in log.read_bytes(), worker.folder.name)


def _shared(database: str, port: int) -> dict[str, str]:
    address = f"postgresql+psycopg2://airflow@{database}"
    return {
        "AIRFLOW__CORE__EXECUTOR": "CeleryExecutor",
        "AIRFLOW__CORE__FERNET_KEY": base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"http://{LOOPBACK}:{port}/execution/",
        "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "True",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": "passwords.json",
        "AIRFLOW__API__BASE_URL": f"http://{LOOPBACK}:{port}",
        "AIRFLOW__API__HOST": LOOPBACK,
        "AIRFLOW__API__SECRET_KEY": secrets.token_urlsafe(32),
        "AIRFLOW__API_AUTH__JWT_SECRET": secrets.token_urlsafe(32),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": address,
        "AIRFLOW__CELERY__BROKER_URL": f"sqla+{address}",
        "AIRFLOW__CELERY__RESULT_BACKEND": f"db+{address}",
        "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.5",
        "AIRFLOW__WORKERS__EXECUTION_API_TIMEOUT": "60",
    }


def _airflow(container: Container, *arguments: str) -> None:
    done = container.run("airflow", *arguments, seconds=PATIENCE_SECONDS)
    assert done.returncode == 0, done.stderr[-3000:]


def _pools(folder: Path) -> Path:
    """The pools in the form of `airflow pools import`, which is one start of Airflow for all."""
    path = folder / "pools.json"
    pools = {
        name: {"slots": slots, "description": description, "include_deferred": False}
        for name, slots, description in POOLS
    }
    path.write_text(json.dumps(pools), "utf-8")
    return path


def _process(
    container: Container, *arguments: str
) -> AbstractContextManager[subprocess.Popen[bytes]]:
    """A command of Airflow in a container."""
    return running_process(
        [str(container.installation.bin / "airflow"), *arguments],
        # Airflow takes a relative name of the login's file from here.
        folder=container.home,
        environment=container.environment,
        log=container.folder / f"{arguments[0]}.log",
    )
