"""One container of the service, imitated by a folder and an environment of its own.

What is kept: which of the four deliveries a component gets and where, the environment after
startup.sh with the variables that the service protects, an own disk and temporary folder, a
working directory outside the code, and no PYTHONPATH. What is not: the kernel's isolation, and
Amazon Linux.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from deploy.mwaa.check.installation import Installation
from deploy.mwaa.errors import MwaaError
from deploy.mwaa.layout import DAGS, PLUGINS, STARTUP

# Five minutes less five seconds of grace.
STARTUP_SECONDS = 295
# The service overwrites these after startup.sh, as it does everything that begins with MWAA__.
PROTECTED = frozenset(
    {
        "AIRFLOW_ENV_ID",
        "AIRFLOW_ENV_NAME",
        "AIRFLOW_HOME",
        "AIRFLOW_VERSION",
        "AIRFLOW__API__BASE_URL",
        "AIRFLOW__CORE__DATABASE_ACCESS_ISOLATION",
        "AWS_DEFAULT_REGION",
        "AWS_REGION",
        "PYTHONPATH",
        "PYTHONUNBUFFERED",
    }
)
# Shells set these; they are no wish of startup.sh.
OF_THE_SHELL = frozenset({"_", "OLDPWD", "PWD", "SHLVL"})


class Component(StrEnum):
    """What a container runs. The scheduler's also runs the dag-processor and the triggerer."""

    WEB_SERVER = "webserver"
    SCHEDULER = "scheduler"
    WORKER = "worker"

    @property
    def has_dags(self) -> bool:
        return self is not Component.WEB_SERVER


@dataclass(frozen=True)
class Container:
    """``folder`` is its disk; ``environment`` is what its processes start with."""

    component: Component
    folder: Path
    installation: Installation
    environment: Mapping[str, str] = field(repr=False)
    startup_log: str = ""

    @property
    def home(self) -> Path:
        return self.folder / "airflow"

    @property
    def dags(self) -> Path:
        return self.home / DAGS

    def run(self, *command: str, seconds: float) -> subprocess.CompletedProcess[str]:
        """Run a command of the installation inside this container."""
        return subprocess.run(
            [str(self.installation.bin / command[0]), *command[1:]],
            cwd=self.folder,
            env=dict(self.environment),
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )


def start_container(
    component: Component,
    folder: Path,
    bundle: Path,
    installation: Installation,
    options: Mapping[str, str],
) -> Container:
    """Lay the bundle out on a disk of its own and run startup.sh.

    ``options`` are the Airflow options of the environment, as variables. Raises MwaaError if
    startup.sh fails or takes too long, which on the service makes the container unhealthy.
    """
    home, temporary = folder / "airflow", folder / "tmp"
    for path in (home / "config", home / "plugins", temporary):
        path.mkdir(parents=True)
    if component.has_dags:
        shutil.copytree(bundle / DAGS, home / DAGS)
    with zipfile.ZipFile(bundle / PLUGINS) as plugins:
        plugins.extractall(home / "plugins")
    given = _environment(component, folder, home, temporary, installation) | dict(options)
    wanted, log = _run_startup(bundle / STARTUP, folder, given)
    return Container(component, folder, installation, given | wanted, log)


def _environment(
    component: Component, folder: Path, home: Path, temporary: Path, installation: Installation
) -> dict[str, str]:
    return {
        "PATH": f"{installation.bin}{os.pathsep}/usr/bin{os.pathsep}/bin",
        "HOME": str(folder),
        "TMPDIR": str(temporary),
        "LANG": "C.UTF-8",
        "PYTHONUNBUFFERED": "1",
        "MWAA_AIRFLOW_COMPONENT": component.value,
        "AWS_REGION": "ap-northeast-1",
        "AWS_DEFAULT_REGION": "ap-northeast-1",
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__DAGS_FOLDER": str(home / DAGS),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(home / "plugins"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        # Of its own and never migrated: reading the metadata while parsing fails.
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{folder / 'no-metadata.db'}",
    }


def _run_startup(
    script: Path, folder: Path, environment: Mapping[str, str]
) -> tuple[dict[str, str], str]:
    """The variables that the script leaves, less the protected ones, and what it printed."""
    left = folder / "startup-environment"
    command: Sequence[str] = ("bash", "-c", f'. "$1"; env -0 >"{left}"', "bash", str(script))
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            env=dict(environment),
            capture_output=True,
            text=True,
            timeout=STARTUP_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise MwaaError(
            f"startup.sh took more than {STARTUP_SECONDS} s: MWAA would end the container."
        ) from None
    log = done.stdout + done.stderr
    if done.returncode or not left.exists():
        raise MwaaError(f"startup.sh failed, so MWAA would end the container: {log.strip()}")
    pairs = [entry.partition("=") for entry in left.read_text("utf-8").split("\0") if entry]
    left.unlink()  # it holds connections
    return {name: value for name, _, value in pairs if not _is_protected(name)}, log


def _is_protected(name: str) -> bool:
    return name in PROTECTED | OF_THE_SHELL or name.startswith("MWAA__")
