"""Whether what MWAA delivered to this worker is complete, and what it lacks.

On MWAA the DAGs folder is copied from S3 every half minute, file by file, and requirements.txt is
installed when a container starts; a conflict there is only logged. So a task looks for itself. The
bundle is built and described by deploy/mwaa. On a laptop there is none, and nothing to compare.
"""

from __future__ import annotations

import hashlib
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from airflow.sdk import BaseHook
from airflow.sdk.exceptions import AirflowNotFoundException
from pydantic import BaseModel, ConfigDict, ValidationError

from include.settings import (
    CODE_ROOT,
    ObjectLakeSettings,
    PepperConnection,
    Settings,
    SnowflakeSettings,
)

BUNDLE_FILE = "bundle.json"
CONSTRAINTS = "constraints.txt"
# What of the bundle lies in the DAGs folder has this prefix in bundle.json.
DAGS_PREFIX = "dags/"
# So many names stand in one sentence.
NAMED = 5


class DeploymentError(RuntimeError):
    """The worker lacks something; the message says what, and what to do."""


class BundleFile(BaseModel):
    """What bundle.json says; ``files`` has the SHA-256 in hex of each file by its path.

    ``bundle_id`` is the SHA-256 over all of them: two bundles with one id are the same.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    bundle_id: str
    airflow_version: str
    files: dict[str, str]


def checksum(path: Path) -> str:
    """SHA-256 of a file's content, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def unfinished_files(root: Path = CODE_ROOT) -> tuple[str, ...]:
    """The files below ``root`` that are missing or not those of its bundle.json.

    Empty where there is no bundle. While bundle.json itself is being written it is what is named.
    """
    path = root / BUNDLE_FILE
    if not path.exists():
        return ()
    try:
        bundle = BundleFile.model_validate_json(path.read_bytes())
    except ValidationError:
        return (BUNDLE_FILE,)
    expected = {
        name.removeprefix(DAGS_PREFIX): content
        for name, content in bundle.files.items()
        if name.startswith(DAGS_PREFIX)
    }
    return tuple(
        name for name, content in expected.items() if not _has_content(root / name, content)
    )


def check_packages(root: Path = CODE_ROOT) -> None:
    """Raise DeploymentError unless every package is there in the version that is deployed.

    A laptop, which has no bundle, installs from locks/ and is not looked at.
    """
    if not (root / BUNDLE_FILE).exists():
        return
    pins = (root / CONSTRAINTS).read_text("utf-8").splitlines()
    wanted = dict(pin.split("==") for pin in pins if "==" in pin and not pin.startswith("#"))
    lacking = [name for name, pinned in wanted.items() if _installed(name) != pinned]
    if lacking:
        raise DeploymentError(
            f"These packages are not installed here as requirements.txt asks: {_named(lacking)}; "
            "look for ERROR in the log stream requirements_install of the worker, and run make "
            "mwaa-check."
        )


def check_connections(settings: Settings) -> None:
    """Raise DeploymentError unless every connection that the pipeline cannot do without exists."""
    missing = [name for name in _required_connections(settings) if not _connection_exists(name)]
    if missing:
        raise DeploymentError(
            f"These Airflow connections do not exist: {_named(missing)}; create each in Secrets "
            "Manager under the environment's connections prefix, as docs/environments.md shows."
        )


def _has_content(path: Path, content: str) -> bool:
    try:
        return checksum(path) == content
    except OSError:
        return False


def _installed(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _required_connections(settings: Settings) -> tuple[str, ...]:
    lake, warehouse = settings.lake, settings.warehouse
    required: tuple[str, ...] = ()
    if isinstance(lake, ObjectLakeSettings):
        required += (lake.connection_id,)
    if isinstance(warehouse, SnowflakeSettings):
        required += (warehouse.connection_id, warehouse.transform_connection_id)
    secrets = (settings.pepper, settings.vault, settings.export_pepper)
    required += tuple(s.connection_id for s in secrets if isinstance(s, PepperConnection))
    return required


def _connection_exists(connection_id: str) -> bool:
    try:
        BaseHook.get_connection(connection_id)
    except AirflowNotFoundException:
        return False
    return True


def _named(names: list[str]) -> str:
    more = len(names) - NAMED
    return ", ".join(names[:NAMED]) + (f" and {more} more" if more > 0 else "")
