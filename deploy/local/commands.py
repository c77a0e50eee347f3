"""`make run`, `make up`, `make down`: the way of each, from its start to its end."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from rich.console import Console

from deploy.cloudflare.local_cloudflare import LocalCloudflare
from deploy.local.airflow_api import USER, AirflowApi, read_password
from deploy.local.airflow_env import preparation_environment
from deploy.local.edge import edge_environment, end_edge, find_edge, show_edge, start_edge
from deploy.local.errors import LocalError
from deploy.local.follow import DAG_IDS, INGEST_APIS, INGEST_FILES, PUBLISH, TRANSFORM, Round
from deploy.local.layout import Layout
from deploy.local.preparation import Data, Fleet, Preparation, build_manifest, write_files
from deploy.local.progress import Alerts, View
from deploy.local.stack import (
    PREFERRED_PORT,
    Stack,
    StackState,
    end,
    find_staying,
    only_one,
    read_state,
    remember_migration,
)
from deploy.local.summary import summarise, write_json
from deploy.local.summary_view import show

UNFINISHED = ("queued", "running")
START_PATIENCE_SECONDS = 180.0
STEP_SECONDS = 0.1


class Publish(StrEnum):
    """Where the marts are published."""

    LOCAL = "local"


@dataclass(frozen=True, slots=True)
class Request:
    """What a person asked for on the command line."""

    layout: Layout
    data: Data
    fleet: Fleet
    publish: Publish | None = None


def run(request: Request, console: Console) -> int:
    """One round from files to marts; exit status 0 only if every task succeeded."""
    layout = request.layout
    view = View(console, Alerts(layout.alerts))
    started_at = datetime.now(UTC)
    with only_one(layout):
        running = find_staying(layout)
        with _edge(request, running, view) as edge:
            if running is not None:
                view.say(f"Using the Airflow that is up on port {running.api_port}.")
                this_round = _round_on_running_stack(request, running, view)
            else:
                this_round = _round_on_own_stack(request, view, edge)
        result = summarise(layout, this_round.progress, started_at, view.elapsed)
        write_json(result, layout.run_summary)
    show(result, layout, console)
    if edge is not None and this_round.has_succeeded:
        show_edge(edge, console)
    return 0 if this_round.has_succeeded else 1


def up(request: Request, console: Console) -> int:
    """The same stack, in the background until `make down`."""
    layout = request.layout
    view = View(console, Alerts(layout.alerts))
    with only_one(layout):
        running = find_staying(layout)
        if running is not None:
            console.print(f"Airflow is up already: {_login(layout, running)}", soft_wrap=True)
            return 0
        with (
            _edge(request, running, view) as edge,
            _own_stack(request, view, edge, stays=True) as ready,
        ):
            ready.files.wait()
            ready.stack.keep()
            running = ready.stack.state
    if running.api_port != PREFERRED_PORT:
        console.print(f"Port {PREFERRED_PORT} is taken, so Airflow has port {running.api_port}.")
    console.print(f"Airflow is up: {_login(layout, running)}", soft_wrap=True)
    console.print("`make run` loads what is new and shows it; `make down` stops Airflow.")
    return 0


def down(request: Request, console: Console) -> int:
    """Stop what `make up` started."""
    layout = request.layout
    with only_one(layout):
        was_up = find_staying(layout) is not None
        end(layout)
        was_up |= end_edge(layout)
    console.print("All is stopped." if was_up else "Nothing is up, so nothing is stopped.")
    return 0


@dataclass(frozen=True, slots=True)
class _Ready:
    """An Airflow that answers and has parsed the DAGs; the files may still be being written."""

    stack: Stack
    api: AirflowApi
    files: Preparation


@contextmanager
def _edge(
    request: Request, running: StackState | None, view: View
) -> Iterator[LocalCloudflare | None]:
    """The local Cloudflare that a command publishes to, started if it is not up.

    It stays up, unless the command that started it is interrupted or breaks off.
    """
    if request.publish is None:
        yield None
        return
    is_up = find_edge(request.layout) is not None
    if running is not None and not (running.publishes and is_up):
        raise LocalError(
            "The Airflow that is up does not publish: `make down`, then `make up PUBLISH=local`."
        )
    if not is_up:
        view.say("Starting the local Cloudflare.")
    try:
        yield start_edge(request.layout)
    except BaseException:
        if not is_up:
            end_edge(request.layout)
        raise


def _round_on_own_stack(request: Request, view: View, edge: LocalCloudflare | None) -> Round:
    with _own_stack(request, view, edge, stays=False) as ready:
        this_round = _play(ready.api, ready.files, view, ready.stack.check, request.publish)
        view.say("All runs are over; stopping Airflow.")
    return this_round


def _round_on_running_stack(request: Request, running: StackState, view: View) -> Round:
    environment = preparation_environment(request.layout)
    with ExitStack() as cleanup:
        manifest = _prepare(build_manifest(), environment, view, cleanup)
        arguments = write_files(request.layout, request.data, request.fleet)
        files = _prepare(arguments, environment, view, cleanup)
        manifest.wait()
        api = AirflowApi(running.address)
        api.log_in(request.layout.passwords)
        unfinished = api.runs(DAG_IDS, states=UNFINISHED)
        if unfinished:
            names = ", ".join(f"{run.dag_id} ({run.run_id})" for run in unfinished)
            raise LocalError(
                f"There is a run at work already, {names}: wait for it, or end it in the UI."
            )
        return _play(api, files, view, lambda: None, request.publish)


def _play(
    api: AirflowApi,
    files: Preparation,
    view: View,
    check: Callable[[], None],
    publish: Publish | None,
) -> Round:
    for dag_id in DAG_IDS:
        api.unpause(dag_id)
    api.forget_queued_assets(TRANSFORM)
    if publish is not None:
        api.unpause(PUBLISH)
        api.forget_queued_assets(PUBLISH)
    this_round = Round(api, publishes=publish is not None)
    this_round.trigger(INGEST_APIS)
    files.wait()
    this_round.trigger(INGEST_FILES)
    view.show(this_round.follow(check))
    return this_round


@contextmanager
def _own_stack(
    request: Request, view: View, edge: LocalCloudflare | None, *, stays: bool
) -> Iterator[_Ready]:
    """Everything started and ready; stopped in the end, unless it is to be kept."""
    layout = request.layout
    if read_state(layout.stack_state) is not None:
        view.say("The last Airflow here was killed; ending what is left of it.")
        end(layout)
    with ExitStack() as cleanup:
        settings = None if edge is None else edge_environment(edge)
        simulates = _simulated(request)
        stack = Stack(layout, stays=stays, simulates=simulates, settings=settings)
        cleanup.callback(stack.stop)
        stack.start()
        view.say("Starting Airflow.")
        environment = preparation_environment(layout)
        manifest = _prepare(build_manifest(), environment, view, cleanup)
        arguments = write_files(layout, request.data, request.fleet)
        files = _prepare(arguments, environment, view, cleanup)
        manifest.wait()
        before_parsing = datetime.now(UTC)
        stack.go()
        api = AirflowApi(stack.state.address)
        _until(api.is_up, stack, files, "Airflow's API did not answer")
        remember_migration(layout)
        api.log_in(layout.passwords)
        _until(lambda: _parsed(api, before_parsing), stack, files, "the DAGs were not parsed")
        view.say(f"Airflow is ready on {api.address}.")
        yield _Ready(stack, api, files)


def _simulated(request: Request) -> Fleet | None:
    return request.fleet if request.data is Data.FLEET else None


def _prepare(
    arguments: list[str], environment: dict[str, str], view: View, cleanup: ExitStack
) -> Preparation:
    preparation = Preparation(arguments, environment, view.say)
    cleanup.callback(preparation.stop)
    return preparation


def _until(done: Callable[[], bool], stack: Stack, files: Preparation, failure: str) -> None:
    deadline = time.monotonic() + START_PATIENCE_SECONDS
    while not done():
        stack.check()
        files.check()
        if time.monotonic() > deadline:
            raise LocalError(f"After {START_PATIENCE_SECONDS:.0f} s {failure}; see {stack.logs}.")
        time.sleep(STEP_SECONDS)


def _parsed(api: AirflowApi, since: datetime) -> bool:
    errors = api.import_errors()
    if errors:
        file, reason = next(iter(errors.items()))
        raise LocalError(f"The DAG file {file} cannot be imported: {reason}")
    return api.parsed_since(since) >= set(DAG_IDS)


def _login(layout: Layout, running: StackState) -> str:
    password = read_password(layout.passwords)
    return f"{running.address}, user {USER}, password {password}"
