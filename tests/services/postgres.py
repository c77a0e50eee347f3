"""A PostgreSQL server of its own for tests: Airflow's metadata as the service keeps it."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from deploy.local.ports import LOOPBACK, free_ports

# Where Debian and Amazon Linux put the server's commands; they are not on PATH.
FOLDERS = "/usr/lib/postgresql/*/bin"
USER = "airflow"
# root may not run the server; the package brings this user.
SERVER_USER = "postgres"
SECONDS = 60


@contextmanager
def running_postgres() -> Iterator[str]:
    """The address `host:port/database` of an empty database; user airflow, no password.

    Skips the test where PostgreSQL is not installed, unless this is CI, where it has to be.
    """
    commands = _commands()
    # Not below pytest's folder, which only its owner may enter.
    folder = Path(tempfile.mkdtemp(prefix="postgres-"))
    data = folder / "data"
    (port,) = free_ports(1)
    if os.geteuid() == 0:
        shutil.chown(folder, SERVER_USER)
    try:
        _run(folder, commands / "initdb", "--pgdata", data, "--username", USER, "--auth", "trust")
        options = f"-h {LOOPBACK} -p {port} -k {folder} -c fsync=off -c max_connections=200"
        control = (commands / "pg_ctl", "--pgdata", data, "--wait")
        _run(folder, *control, "--log", folder / "log", "--options", options, "start")
        try:
            _run(folder, commands / "createdb", "-h", LOOPBACK, "-p", port, "-U", USER, "airflow")
            yield f"{LOOPBACK}:{port}/airflow"
        finally:
            _run(folder, *control, "--mode", "immediate", "stop")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _commands() -> Path:
    found = sorted(Path("/").glob(FOLDERS.removeprefix("/")))
    on_path = shutil.which("initdb")
    if found:
        return found[-1]
    if on_path:
        return Path(on_path).parent
    if os.environ.get("CI"):
        pytest.fail("PostgreSQL is not installed: .ci/run installs the package postgresql.")
    pytest.skip("needs PostgreSQL: install your system's package postgresql")


def _run(folder: Path, *command: Any) -> None:
    done = subprocess.run(
        _as_text(command), cwd=folder, capture_output=True, text=True, timeout=SECONDS, **_user()
    )
    assert done.returncode == 0, done.stderr + done.stdout


def _as_text(command: Sequence[Any]) -> list[str]:
    return [str(part) for part in command]


def _user() -> dict[str, Any]:
    if os.geteuid() != 0:
        return {}
    entry = pwd.getpwnam(SERVER_USER)
    return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}
