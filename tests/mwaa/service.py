"""A small MWAA on this machine: containers with disks of their own, two of them workers.

They share the metadata database, which also carries the queue, and what lies in S3 and Snowflake.
"""

from __future__ import annotations

import base64
import os
import secrets
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from deploy.local.airflow_api import AirflowApi, DagRun
from deploy.local.metadata import POOLS
from deploy.local.ports import LOOPBACK, free_ports
from deploy.mwaa.check.container import Component, Container, start_container
from deploy.mwaa.check.installation import Installation

WORKERS = ("worker-1", "worker-2")
# Of the smallest class of environment.
SLOTS = 5
PATIENCE_SECONDS = 500.0
GRACE_SECONDS = 15.0


@dataclass
class Service:
    """A running environment."""

    api: AirflowApi
    containers: dict[str, Container] = field(default_factory=dict)

    def run_of_the_schedule(self, dag_id: str) -> DagRun:
        """Unpause a DAG and wait for the end of the run that Airflow then starts by itself."""
        self.api.unpause(dag_id)
        wait_until(lambda: bool(self.api.runs((dag_id,))), f"a run of {dag_id}")
        return self._finish(self.api.runs((dag_id,))[0])

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
        files = (file for name in WORKERS for file in self.containers[name].home.glob(pattern))
        return "\n".join(file.read_text("utf-8", errors="replace") for file in files)


@contextmanager
def running_service(
    folder: Path,
    bundle: Path,
    installation: Installation,
    options: Mapping[str, str],
    database: str,
) -> Iterator[Service]:
    """The service with a bundle delivered; ``options`` are its Airflow options as variables."""
    port, *log_ports = free_ports(4)
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

    web_server = container("web-server", Component.WEB_SERVER, log_ports[0])
    scheduler = container("scheduler", Component.SCHEDULER, log_ports[0])
    workers = [
        container(name, Component.WORKER, log_port)
        for name, log_port in zip(WORKERS, log_ports[1:], strict=True)
    ]
    _airflow(scheduler, "db", "migrate")
    for name, slots, description in POOLS:
        _airflow(scheduler, "pools", "set", name, str(slots), description)
    with ExitStack() as stack:
        stack.enter_context(_process(web_server, "api-server", "--port", str(port)))
        wait_until(service.api.is_up, "the API server")
        for command in ("scheduler", "dag-processor", "triggerer"):
            stack.enter_context(_process(scheduler, command))
        for worker in workers:
            stack.enter_context(
                _process(
                    *(worker, "celery", "worker", "--concurrency", str(SLOTS)),
                    *("--celery-hostname", worker.folder.name, "--skip-serve-logs"),
                )
            )
        service.api.log_in(web_server.home / "passwords.json")
        yield service


def wait_until(is_so: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not is_so():
        assert time.monotonic() < deadline, f"waited too long for {what}"
        time.sleep(0.5)


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
        # Kombu looks into a queue in a database once a second, and SQS pushes.
        "AIRFLOW__CELERY_BROKER_TRANSPORT_OPTIONS__POLLING_INTERVAL": "0.2",
        "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.5",
        "AIRFLOW__WORKERS__EXECUTION_API_TIMEOUT": "60",
    }


def _airflow(container: Container, *arguments: str) -> None:
    done = container.run("airflow", *arguments, seconds=PATIENCE_SECONDS)
    assert done.returncode == 0, done.stderr[-3000:]


@contextmanager
def _process(container: Container, *arguments: str) -> Iterator[None]:
    """A command of Airflow in a container, with everything that it starts ended at the end."""
    log = container.folder / f"{arguments[0]}.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [str(container.installation.bin / "airflow"), *arguments],
            # Airflow takes a relative name of the login's file from here.
            cwd=container.home,
            env=dict(container.environment),
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
        try:
            yield
        finally:
            process.terminate()
            try:
                process.wait(GRACE_SECONDS)
            except subprocess.TimeoutExpired:
                pass
            finally:
                _end_group(process.pid)
                process.wait()


def _end_group(group: int) -> None:
    try:
        os.killpg(group, signal.SIGKILL)
    except ProcessLookupError:
        return
