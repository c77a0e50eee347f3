"""Runs dbt inside this process: the one place that knows how dbt is called."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from include.settings import CODE_ROOT, DuckDBSettings, Settings

EventCallback = Callable[[Any], None]

# Unit tests check SQL against rows of their own, so they belong to the tests of this repository.
NO_UNIT_TESTS = ("--exclude-resource-type", "unit_test")


class DbtError(RuntimeError):
    """dbt could not do what it was asked; the message is one sentence."""


@dataclass(frozen=True, slots=True)
class DbtProject:
    """A dbt project with one of its targets.

    ``environment`` holds the variables that profiles.yml reads. ``manifest_path`` is where the
    manifest of the target is kept, with dbt's own parse cache beside it. ``threads`` of None
    leaves the number to profiles.yml.
    """

    path: Path
    target: str
    manifest_path: Path
    environment: tuple[tuple[str, str], ...] = ()
    threads: int | None = None

    @property
    def parse_cache_path(self) -> Path:
        """dbt's parsed project: saves the seconds in which it would read every file again."""
        return self.manifest_path.with_suffix(".msgpack")

    @classmethod
    def of_target(cls, target: str) -> DbtProject:
        """The repository's project, for work that touches no warehouse."""
        path = CODE_ROOT / "dbt"
        return cls(path=path, target=target, manifest_path=path / "manifests" / f"{target}.json")

    @classmethod
    def of_settings(cls, settings: Settings) -> DbtProject:
        """The repository's project with the warehouse that the settings name."""
        return cls(
            path=settings.dbt_project_path,
            target=settings.dbt_target,
            manifest_path=settings.dbt_manifest_path,
            environment=_profile_variables(settings),
            threads=settings.dbt_threads,
        )


def run_dbt(
    project: DbtProject,
    command: str,
    arguments: Sequence[str] = (),
    *,
    target_path: Path,
    on_event: EventCallback | None = None,
) -> Any:
    """Run one dbt command and return what dbt's runner gives as its result.

    ``target_path`` takes dbt's artifacts. Nodes that fail are no error here: they are in
    run_results.json. Raises DbtError if dbt could not run at all.
    """
    # Imported here: dbt costs two seconds, which no parse of a DAG file should pay.
    from dbt.cli.main import dbtRunner

    for name, value in project.environment:
        os.environ[name] = value
    callbacks = [] if on_event is None else [on_event]
    outcome = dbtRunner(callbacks=callbacks).invoke(
        [command, *_options(project, target_path), *arguments]
    )
    if outcome.exception is not None:
        raise DbtError(_one_sentence(command, outcome.exception)) from outcome.exception
    return outcome.result


def _options(project: DbtProject, target_path: Path) -> Iterable[str]:
    yield from ("--project-dir", str(project.path), "--profiles-dir", str(project.path))
    yield from ("--target", project.target, "--target-path", str(target_path))
    yield from ("--log-path", str(target_path), "--log-level-file", "none", "--no-use-colors")
    if project.parse_cache_path.is_file():
        yield from ("--partial-parse-file-path", str(project.parse_cache_path))
    if project.threads is not None:
        yield from ("--threads", str(project.threads))


def _profile_variables(settings: Settings) -> tuple[tuple[str, str], ...]:
    warehouse = settings.warehouse
    if isinstance(warehouse, DuckDBSettings):
        return (("VENDING_DUCKDB_PATH", str(warehouse.path)),)
    return (
        ("VENDING_SNOWFLAKE_DATABASE", warehouse.database),
        ("VENDING_SNOWFLAKE_WAREHOUSE", warehouse.warehouse),
    )


def _one_sentence(command: str, error: BaseException) -> str:
    text = " ".join(str(error).split()).rstrip(".")
    return f"dbt {command} could not run: {text}."
