"""Builds dist/mwaa/: everything that Amazon MWAA is given, and nothing else.

    python -m deploy.mwaa bundle [--airflow 3.2.1]

    dags/             the DAGs prefix: DAG files, include/, dbt/ with the manifests of staging and
                      prod, constraints.txt, .airflowignore, and bundle.json
    plugins.zip       requirements.txt       startup.sh

bundle.json has the checksum of every other file. It is uploaded last and lies among the DAGs, so
that a task can tell a worker whose copy is complete from one that is in the middle of a sync
(include/deployment.py reads it).
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator
from pathlib import Path

from deploy.mwaa.errors import MwaaError
from deploy.mwaa.layout import (
    BUNDLE,
    DAGS,
    PLUGINS,
    REPOSITORY,
    REQUIREMENTS,
    STARTUP,
    TARGETS,
    constraints_of,
)
from deploy.mwaa.plugins_zip import write_plugins
from include.deployment import BUNDLE_FILE, CONSTRAINTS, BundleFile, checksum
from include.transform.dbt_command import DbtError
from include.transform.manifest import ManifestError, build_manifest
from include.transform.project import GENERATED_FOLDERS, DbtProject


def build_bundle(airflow_version: str, folder: Path = BUNDLE) -> BundleFile:
    """Build the bundle in ``folder``, which is replaced.

    Raises MwaaError if the dbt project cannot be parsed or a plugin is not self-contained.
    """
    shutil.rmtree(folder, ignore_errors=True)
    dags = folder / DAGS
    dags.mkdir(parents=True)
    _copy_dag_files(dags)
    _copy_tree(REPOSITORY / "include", dags / "include")
    _copy_tree(REPOSITORY / "dbt", dags / "dbt", without=GENERATED_FOLDERS)
    _copy_manifests(dags / "dbt")
    shutil.copyfile(constraints_of(airflow_version), dags / CONSTRAINTS)
    write_plugins(REPOSITORY / "plugins", folder / PLUGINS)
    shutil.copyfile(REPOSITORY / REQUIREMENTS, folder / REQUIREMENTS)
    shutil.copyfile(Path(__file__).with_name(STARTUP), folder / STARTUP)
    described = describe_bundle(folder, airflow_version)
    (dags / BUNDLE_FILE).write_text(described.model_dump_json(indent=2) + "\n", "utf-8")
    return described


def describe_bundle(folder: Path, airflow_version: str) -> BundleFile:
    """The checksums of a bundle's files as they are now."""
    files = {path.relative_to(folder).as_posix(): checksum(path) for path in _files(folder)}
    digest = hashlib.sha256(airflow_version.encode())
    for name, content in files.items():
        digest.update(f"\0{name}\0{content}".encode())
    return BundleFile(bundle_id=digest.hexdigest(), airflow_version=airflow_version, files=files)


def read_bundle(folder: Path = BUNDLE) -> BundleFile:
    """The bundle that was built. Raises MwaaError if there is none or it was changed since."""
    try:
        text = (folder / DAGS / BUNDLE_FILE).read_text("utf-8")
    except FileNotFoundError:
        raise MwaaError(f"There is no bundle in {folder}; run make mwaa-bundle.") from None
    described = BundleFile.model_validate_json(text)
    if describe_bundle(folder, described.airflow_version) != described:
        raise MwaaError(f"Files in {folder} were changed after it was built; run make mwaa-bundle.")
    return described


def _files(folder: Path) -> Iterator[Path]:
    described = folder / DAGS / BUNDLE_FILE
    yield from (path for path in sorted(folder.rglob("*")) if path.is_file() and path != described)


def _copy_dag_files(target: Path) -> None:
    source = REPOSITORY / "dags"
    for path in sorted([*source.glob("*.py"), source / ".airflowignore"]):
        shutil.copyfile(path, target / path.name)


def _copy_tree(source: Path, target: Path, without: frozenset[str] = frozenset()) -> None:
    """Copy a folder less what running things leaves in it and what begins with a dot."""
    ignored = shutil.ignore_patterns("__pycache__", ".*", *without)
    shutil.copytree(source, target, ignore=ignored, copy_function=shutil.copyfile)


def _copy_manifests(target: Path) -> None:
    """Build both Snowflake targets' manifests, if need be, and copy them with their caches."""
    for name in TARGETS:
        project = DbtProject.of_target(name)
        try:
            build_manifest(project)
        except (DbtError, ManifestError) as error:
            raise MwaaError(f"The manifest for {name} could not be built: {error}") from error
        folder = target / project.manifest_path.parent.name
        folder.mkdir(exist_ok=True)
        for part in project.built_files:
            shutil.copyfile(part, folder / part.name)
