"""The parent of Airflow's four processes and of the vendor API beside them.

Started by `deploy.local.stack`. It imports Airflow once and forks: the scheduler, dag-processor,
triggerer and API server are Airflow's own, each through Airflow's own command line, but what they
share is imported one time instead of four, and what the scheduler has imported is there for each
task that it forks.

It waits with the forks for a line on standard input (the manifest must be there before a DAG file
is parsed) and ends all of them when one dies, when it is told to, or when standard input closes,
which is how it notices that the run that started it was killed.
"""

from __future__ import annotations

import argparse
import gc
import importlib
import os
import select
import shlex
import signal
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import psutil
from setproctitle import setproctitle
from sqlalchemy.orm import configure_mappers

from deploy.local.layout import REPOSITORY
from deploy.local.metadata import put_in_order

GO = b"go\n"
GRACE_SECONDS = 2.0
# When the one run of `make run` is over nothing is at work any more, but the scheduler still takes
# its time.
SHORT_GRACE_SECONDS = 0.3

_SHARED_MODULES = (
    "airflow.configuration",
    "airflow.cli.cli_parser",
    "airflow.cli.commands.api_server_command",
    "airflow.cli.commands.dag_processor_command",
    "airflow.cli.commands.scheduler_command",
    "airflow.cli.commands.triggerer_command",
    "airflow.dag_processing.processor",
    "airflow.executors.local_executor",
    "airflow.sdk.execution_time.supervisor",
    "airflow.sdk.execution_time.task_runner",
    # The dag-processor and the triggerer have one of their own, in their process.
    "airflow.api_fastapi.execution_api.routes",
    # A plugin, so all four load it.
    "cosmos.plugin.airflow3",
)
_API_MODULES = ("airflow.api_fastapi.main",)
# What tasks import when they run. dbt takes four CPU seconds, which the task that builds the marts
# would spend while all others wait for it. Arrow imports pandas when it makes its first array; that
# and what ingest imports are 1.3 seconds of each of its tasks.
_TASK_MODULES = (
    "dbt.cli.main",
    "dbt.adapters.duckdb",
    "dbt.task.build",
    "duckdb",
    "pandas",
    "include.alerts.reports",
    "include.ingest.api",
    "include.ingest.steps",
    "include.lineage.telling",
    "include.quality.after_build",
)


@dataclass(frozen=True, slots=True)
class Component:
    """One process: its name, which is also that of its log file, and what it runs."""

    name: str
    run: Callable[[], None]


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    signal.signal(signal.SIGTERM, _end)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    supervisor = os.getpid()
    try:
        component = _start_and_watch(options)
    except SystemExit as end:
        if os.getpid() == supervisor:
            _leave(end.code)
        raise
    if component is not None:
        _become(component, options.logs)
    return 0


def _leave(code: object) -> NoReturn:
    """End this process without taking all of Airflow's modules apart, which takes a second."""
    if isinstance(code, str):
        print(code, file=sys.stderr, flush=True)
    os._exit(code if isinstance(code, int) else 1)


def _start_and_watch(options: argparse.Namespace) -> Component | None:
    """Returns once in the supervisor, when all is over, and once in each of its children."""
    supervisor = os.getpid()
    # Garbage collection costs a quarter of the time of the imports and finds nothing.
    gc.disable()
    try:
        _import(_SHARED_MODULES)
        configure_mappers()
        names: dict[int, str] = {}
        tables = _Gate()
        for component in _components(options, tables):
            if component.name == "scheduler" and sys.stdin.buffer.readline() != GO:
                return None
            pid = os.fork()
            if pid == 0:
                return component
            names[pid] = component.name
            if component.name == "api-server":
                _prepare_tables(options)
                tables.open()
        gc.enable()
        _watch(names, stays=options.stays)
        return None
    finally:
        if os.getpid() == supervisor:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            _end_children(GRACE_SECONDS if options.stays else SHORT_GRACE_SECONDS)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m deploy.local.supervisor")
    parser.add_argument("--logs", type=Path, required=True)
    parser.add_argument("--metadata-database", type=Path, required=True)
    parser.add_argument("--log-port", type=int, required=True)
    parser.add_argument("--migrate", action="store_true", help="bring the tables up to date first")
    parser.add_argument("--stays", action="store_true", help="outlive the end of standard input")
    parser.add_argument("--vendor-api", type=shlex.split, help="its command line")
    parser.add_argument("--vendor-state", type=Path, help="the file to wait for before it starts")
    return parser


class _Gate:
    """Made before a fork: what a child waits for and its parent opens."""

    def __init__(self) -> None:
        self._behind, self._before = os.pipe()

    def open(self) -> None:
        os.write(self._before, b".")

    def wait(self) -> None:
        """Until it is open; exits if it never will be, as the parent has ended."""
        os.close(self._before)
        if not os.read(self._behind, 1):
            sys.exit(0)


def _prepare_tables(options: argparse.Namespace) -> None:
    if options.migrate:
        _run_to_end(Component("db-migrate", lambda: _airflow("db", "migrate")), options.logs)
        _write_ahead(options.metadata_database)
    _run_to_end(Component("metadata", put_in_order), options.logs)


def _components(options: argparse.Namespace, tables: _Gate) -> list[Component]:
    # The API server first: it takes longest, and meanwhile the tables are put in order and the rest
    # is imported on the other core.
    components = [Component("api-server", lambda: _api_server(tables))]
    if options.vendor_api:
        command, state = options.vendor_api, options.vendor_state
        components.append(Component("vendor-api", lambda: _vendor_api(command, state)))
    return [
        *components,
        Component("scheduler", lambda: _scheduler(forgets=options.stays)),
        Component("dag-processor", lambda: _airflow("dag-processor")),
        Component("triggerer", lambda: _airflow("triggerer", "--skip-serve-logs")),
        Component("log-server", lambda: _log_server(options.log_port)),
    ]


def _api_server(tables: _Gate) -> None:
    _import(_API_MODULES)
    tables.wait()
    _airflow("api-server")


def _scheduler(*, forgets: bool) -> None:
    _import_what_tasks_import(forgets=forgets)
    _make_listeners()
    _airflow("scheduler", "--skip-serve-logs")


def _import_what_tasks_import(*, forgets: bool) -> None:
    """Import for the tasks, which are forked from here, and parse the DAG files once.

    Each task parses its DAG file again; nearly all of that time goes into imports. ``forgets``
    drops this repository's own modules again, so that a change to them is seen at once.
    """
    from airflow.configuration import conf
    from airflow.dag_processing.dagbag import BundleDagBag

    before = set(sys.modules)
    _import(_TASK_MODULES)
    folder = conf.get_mandatory_value("core", "dags_folder")
    BundleDagBag(dag_folder=folder, bundle_path=Path(folder), bundle_name="dags-folder")
    if forgets:
        # Only what was imported here: without its __main__ a process cannot load extensions.
        for name in set(sys.modules) - before:
            if _is_of_this_repository(getattr(sys.modules[name], "__file__", None)):
                del sys.modules[name]


def _make_listeners() -> None:
    """Load the plugins for the listeners of tasks, which each task would do for itself.

    The Task SDK keeps its plugins apart from those of Airflow's core.
    """
    from airflow.sdk.listener import get_listener_manager

    get_listener_manager()


def _is_of_this_repository(file: str | None) -> bool:
    path = Path(file or os.devnull)
    return path.is_relative_to(REPOSITORY) and not path.is_relative_to(sys.prefix)


def _airflow(*arguments: str) -> None:
    from airflow.__main__ import main as airflow_main

    gc.enable()
    # Shared pages stay shared: the collector would otherwise write to each object's header.
    gc.freeze()
    sys.argv = ["airflow", *arguments]
    airflow_main()


def _log_server(port: int) -> None:
    """Airflow's own log server; started by Airflow it would listen on every interface."""
    import uvicorn

    gc.enable()
    uvicorn.run(
        "airflow.utils.serve_logs.log_server:get_app",
        factory=True,
        host="127.0.0.1",
        port=port,
        log_level="warning",
        access_log=False,
    )


def _vendor_api(command: Sequence[str], state: Path) -> None:
    while not state.exists():
        time.sleep(0.05)
    os.execv(command[0], command)


def _import(modules: Sequence[str]) -> None:
    for module in modules:
        importlib.import_module(module)


def _become(component: Component, logs: Path) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    if sys.platform != "darwin":  # there it crashes forked processes
        setproctitle(f"airflow {component.name}")
    with Path(os.devnull).open() as nothing:
        os.dup2(nothing.fileno(), sys.stdin.fileno())
    with (logs / f"{component.name}.log").open("ab") as log:
        os.dup2(log.fileno(), sys.stdout.fileno())
        os.dup2(log.fileno(), sys.stderr.fileno())
    component.run()


def _run_to_end(component: Component, logs: Path) -> None:
    pid = os.fork()
    if pid == 0:
        _become(component, logs)
        sys.exit(0)
    _, status = os.waitpid(pid, 0)
    if status:
        log = logs / f"{component.name}.log"
        sys.exit(f"The metadata database could not be prepared; the reason is in {log}.")


def _write_ahead(database: Path) -> None:
    """Let readers of the metadata database go on while one process writes; the file remembers."""
    import sqlite3

    with sqlite3.connect(database) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
    connection.close()


class _Ended(SystemExit):
    """SIGTERM arrived."""


def _end(signal_number: int, frame: object) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise _Ended(0)


def _watch(names: dict[int, str], *, stays: bool) -> None:
    """Return when standard input closes, unless that is allowed; exit when a process ends."""
    watched = [] if stays else [sys.stdin.fileno()]
    while True:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if pid in names:
            sys.exit(f"{names[pid]} ended with exit code {os.waitstatus_to_exitcode(status)}.")
        readable, _, _ = select.select(watched, [], [], 0.2)
        if readable and not os.read(readable[0], 64):
            return


def _end_children(grace_seconds: float) -> None:
    """SIGTERM to each process, and SIGKILL to it and all it has started if it takes too long."""
    children = psutil.Process().children()
    started = [process for child in children for process in _tree(child)]
    for child in children:
        with suppress(psutil.NoSuchProcess):
            child.terminate()
    psutil.wait_procs(children, timeout=grace_seconds)
    for process in started:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(started, timeout=grace_seconds)


def _tree(process: psutil.Process) -> list[psutil.Process]:
    try:
        return [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


if __name__ == "__main__":
    sys.exit(main())
