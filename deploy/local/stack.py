"""The running stack, seen from outside: start it, find it again, end it."""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from pathlib import Path

from deploy.local.airflow_env import (
    Addresses,
    VendorApi,
    airflow_environment,
    write_airflow_config,
)
from deploy.local.edge import CONNECTION_VARIABLE
from deploy.local.errors import LocalError
from deploy.local.layout import REPOSITORY, Layout
from deploy.local.ports import LOOPBACK, free_ports, is_free
from deploy.local.preparation import Fleet
from deploy.local.processes import created_at, end_session, is_alive
from deploy.local.supervisor import GO, GRACE_SECONDS

PREFERRED_PORT = 8080


@dataclass(frozen=True, slots=True)
class StackState:
    """What `stack.json` says: enough to reach the stack and to know that it is still the same one.

    ``created`` is the supervisor's start time in seconds since the epoch: a process id alone may
    by now belong to somebody else's process. ``stays`` tells `make up` from a run, which ends with
    the command that started it. ``publishes`` tells whether it publishes to the local Cloudflare.
    """

    pid: int
    created: float
    api_port: int
    stays: bool
    publishes: bool = False

    @property
    def address(self) -> str:
        return f"http://{LOOPBACK}:{self.api_port}"

    @property
    def is_alive(self) -> bool:
        return is_alive(self.pid, self.created)


def read_state(path: Path) -> StackState | None:
    """The stack that the file names, running or not; None where there is no readable file."""
    try:
        raw = json.loads(path.read_text("utf-8"))
        return StackState(
            pid=int(raw["pid"]),
            created=float(raw["created"]),
            api_port=int(raw["api_port"]),
            stays=bool(raw["stays"]),
            publishes=bool(raw.get("publishes")),
        )
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None


@contextmanager
def only_one(layout: Layout) -> Iterator[None]:
    """Hold the lock for the time of a command; raises LocalError when another one holds it."""
    layout.airflow_home.mkdir(parents=True, exist_ok=True)
    with layout.lock.open("a+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            raise LocalError(
                f"Another command is at work in this folder (process {file.read().strip()}): "
                "wait until it has finished, or stop it with Ctrl-C where it runs."
            ) from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


class Stack:
    """The supervisor that this process starts, from its start to its end."""

    def __init__(
        self,
        layout: Layout,
        *,
        stays: bool,
        simulates: Fleet | None,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        """``settings`` are variables for Airflow's processes that beat those of a laptop."""
        self._layout = layout
        self._settings = settings or {}
        self._stays = stays
        self._addresses = _addresses(prefers_8080=stays)
        self._fleet = simulates
        self._vendor_api = _vendor_api() if simulates else None
        self._process: subprocess.Popen[bytes] | None = None
        self._kept = False

    def start(self) -> None:
        """Start importing Airflow, migrating its tables if need be; nothing runs a DAG yet."""
        layout = self._layout
        write_airflow_config(layout)
        layout.process_logs.mkdir(parents=True, exist_ok=True)
        layout.data.mkdir(parents=True, exist_ok=True)
        environment = {
            **airflow_environment(layout, self._addresses, self._vendor_api, stays=self._stays),
            **self._settings,
        }
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                self._command(),
                cwd=REPOSITORY,
                env=environment,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        layout.stack_state.write_text(json.dumps(asdict(self.state)) + "\n", "utf-8")

    @property
    def state(self) -> StackState:
        """What others need to find this stack; to be asked for while it runs."""
        assert self._process is not None
        created = created_at(self._process.pid)
        publishes = CONNECTION_VARIABLE in self._settings
        return StackState(self._process.pid, created, self._addresses.api, self._stays, publishes)

    @property
    def logs(self) -> Path:
        return self._layout.process_logs

    def go(self) -> None:
        """Start the scheduler, the dag-processor and the triggerer."""
        assert self._process is not None
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):  # it has ended: check() says why
            self._process.stdin.write(GO)
            self._process.stdin.flush()

    def check(self) -> None:
        """Raise LocalError when the stack has ended by itself."""
        assert self._process is not None
        if self._process.poll() is not None:
            last = self._log.read_text("utf-8", errors="replace").strip().splitlines()[-1:]
            reason = last[0] if last else "It gave no reason."
            raise LocalError(f"Airflow has stopped: {reason} The logs are in {self.logs}.")

    def keep(self) -> None:
        """Let it run on when this process ends."""
        self._kept = True

    def stop(self) -> None:
        """End it and whatever it has started, unless it is to be kept."""
        if self._process is None or self._kept:
            return
        end(self._layout)
        self._process.wait()

    @property
    def _log(self) -> Path:
        return self.logs / "supervisor.log"

    def _command(self) -> list[str]:
        layout = self._layout
        command = [sys.executable, "-m", "deploy.local.supervisor"]
        command += ["--logs", str(layout.process_logs)]
        command += ["--metadata-database", str(layout.metadata_database)]
        command += ["--log-port", str(self._addresses.logs)]
        if _needs_migration(layout):
            command.append("--migrate")
        if self._stays:
            command.append("--stays")
        if self._vendor_api is not None:
            command += ["--vendor-state", str(layout.simulator_state)]
            command += ["--vendor-api", shlex.join(_serve(layout, self._vendor_api, self._fleet))]
        return command


def find_staying(layout: Layout) -> StackState | None:
    """The stack that `make up` left running here, if it still runs."""
    state = read_state(layout.stack_state)
    return state if state is not None and state.stays and state.is_alive else None


def end(layout: Layout) -> None:
    """End the stack that the state file names, if it still runs, and forget it."""
    state = read_state(layout.stack_state)
    if state is not None and state.is_alive:
        # The supervisor ends its children in two steps of grace.
        end_session(state.pid, state.created, 2 * GRACE_SECONDS + 2)
    layout.stack_state.unlink(missing_ok=True)


def remember_migration(layout: Layout) -> None:
    """To be called when the API answers, which it does only over migrated tables."""
    layout.migrated_version.write_text(version("apache-airflow-core"), "utf-8")


def _needs_migration(layout: Layout) -> bool:
    try:
        done = layout.migrated_version.read_text("utf-8")
    except FileNotFoundError:
        return True
    return done != version("apache-airflow-core") or not layout.metadata_database.exists()


def _addresses(*, prefers_8080: bool) -> Addresses:
    addresses = Addresses(*free_ports(2))
    if prefers_8080 and is_free(PREFERRED_PORT):
        return replace(addresses, api=PREFERRED_PORT)
    return addresses


def _vendor_api() -> VendorApi:
    (port,) = free_ports(1)
    return VendorApi(port, secrets.token_urlsafe(24))


def _serve(layout: Layout, api: VendorApi, fleet: Fleet) -> list[str]:
    command = [sys.executable, "-m", "simulator", "serve"]
    command += ["--state", str(layout.simulator_state), "--port", str(api.port)]
    # One word: a token may begin with a dash, which argparse would take for an option.
    command += [f"--token={api.token}"]
    return [*command, "--api-faults", fleet.api_faults] if fleet.api_faults else command
