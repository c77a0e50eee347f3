"""Installs a bundle's requirements as MWAA does, into an environment that is kept between runs.

The service installs its own packages and the bundle's in one go under the essential constraints and
the constraints that requirements.txt names. There a conflict only logs an error and the container
starts without the packages; here it fails.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from deploy.local.bootstrap import Environment, uv_environment
from deploy.mwaa.check.service_files import essential_constraints
from deploy.mwaa.errors import MwaaError
from deploy.mwaa.layout import AIRFLOW_HOME, DAGS, REPOSITORY, REQUIREMENTS
from include.deployment import CONSTRAINTS

FOLDER = REPOSITORY / ".venv-mwaa"
PYTHON = "3.12"
# What the service waits for its own installation.
SECONDS = 9 * 60
# Of images/airflow/<version>/bootstrap/02-airflow in aws/amazon-mwaa-docker-images, less stubs for
# type checkers; psycopg2 as a wheel, because its source needs a compiler.
SERVICE_PACKAGES = (
    "apache-airflow[celery,statsd]=={version}",
    "apache-airflow-core[gunicorn]=={version}",
    "apache-airflow-providers-amazon[aiobotocore]",
    "apache-airflow-providers-fab",
    "apache-airflow-providers-postgres",
    "apache-airflow-providers-standard",
    "celery[sqs]",
    "fluent-logger",
    "psycopg2-binary",
    "pycurl",
    "virtualenv",
    "watchtower",
)


@dataclass(frozen=True, slots=True)
class Installation:
    """A Python with what a container of the service has. ``seconds`` is what installing took."""

    folder: Path
    seconds: float

    @property
    def bin(self) -> Path:
        return self.folder / "bin"

    @property
    def python(self) -> Path:
        return self.bin / "python"


def install(bundle: Path, airflow_version: str) -> Installation:
    """Install, unless this was done for the same files before.

    Raises MwaaError with the resolver's own words if the requirements conflict.
    """
    folder = FOLDER / airflow_version
    inputs = FOLDER / f"{airflow_version}.inputs"
    inputs.mkdir(parents=True, exist_ok=True)
    essential = inputs / "essential-constraints.txt"
    essential.write_text(essential_constraints(airflow_version), "utf-8")
    requirements = inputs / REQUIREMENTS
    requirements.write_text(_requirements(bundle), "utf-8")
    packages = [package.format(version=airflow_version) for package in SERVICE_PACKAGES]
    stamp, wanted = folder / "installed", _fingerprint(bundle, essential, packages)
    if stamp.is_file() and stamp.read_text("ascii") == wanted:
        return Installation(folder, 0.0)
    started = time.monotonic()
    shutil.rmtree(folder, ignore_errors=True)
    _uv("make an environment", "venv", "--python", _python(), str(folder))
    _uv(
        f"install requirements.txt beside Airflow {airflow_version}",
        *("pip", "install", "--python", str(folder / "bin" / "python"), "--compile-bytecode"),
        *("--constraints", str(essential), "--requirements", str(requirements), *packages),
    )
    _uv("accept the packages together", "pip", "check", "--python", str(folder / "bin" / "python"))
    stamp.write_text(wanted, "ascii")
    return Installation(folder, time.monotonic() - started)


def _requirements(bundle: Path) -> str:
    """requirements.txt with its constraints where the bundle has them on this machine."""
    text = (bundle / REQUIREMENTS).read_text("utf-8")
    there = f"{AIRFLOW_HOME}/{DAGS}/{CONSTRAINTS}"
    if there not in text:
        raise MwaaError(
            f"requirements.txt does not name {there}: the service would enforce all of Airflow's "
            "constraints, under which dbt does not install."
        )
    return text.replace(there, str(bundle / DAGS / CONSTRAINTS))


def _fingerprint(bundle: Path, essential: Path, packages: list[str]) -> str:
    digest = hashlib.sha256(repr((packages, sys.version, str(FOLDER))).encode())
    for path in (bundle / REQUIREMENTS, bundle / DAGS / CONSTRAINTS, essential):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _python() -> str:
    """This interpreter if it is the service's version, else whichever uv finds of that version."""
    here = f"{sys.version_info.major}.{sys.version_info.minor}"
    return sys.executable if here == PYTHON else PYTHON


def _uv(purpose: str, *arguments: str) -> None:
    environment = Environment(REPOSITORY / ".venv", Path(), Path())
    uv = os.environ.get("UV") or (str(environment.uv) if environment.uv.exists() else "uv")
    try:
        done = subprocess.run(
            [uv, *arguments, "--quiet"],
            env=uv_environment(environment),
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
    except FileNotFoundError:
        raise MwaaError(f"{uv} is not there; run make env, which installs uv.") from None
    except subprocess.TimeoutExpired:
        raise MwaaError(f"Could not {purpose} within the {SECONDS} s that MWAA gives.") from None
    if done.returncode:
        raise MwaaError(f"Could not {purpose}: {(done.stderr or done.stdout).strip()}")
