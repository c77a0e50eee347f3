"""Runs dbt inside this process: the one place that knows how dbt is called."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from include.settings import set_variables
from include.transform.project import DbtProject
from include.transform.verdicts import Outcome, status_outcome

PARSE = "parse"
LIST = "list"

EventCallback = Callable[[Any], None]

# Unit tests check SQL against rows of their own, so they belong to the tests of this repository.
NO_UNIT_TESTS = ("--exclude-resource-type", "unit_test")


class DbtError(RuntimeError):
    """dbt could not do what it was asked; the message is one sentence."""


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

    set_variables(project.environment)
    callbacks = [] if on_event is None else [on_event]
    parsed = None if command == PARSE else _parsed(project)
    outcome = dbtRunner(manifest=parsed, callbacks=callbacks).invoke(
        [command, *_options(project, command, target_path), *arguments]
    )
    if outcome.exception is not None:
        raise DbtError(_one_sentence(command, outcome.exception)) from outcome.exception
    return outcome.result


def build_all(project: DbtProject) -> list[str]:
    """Build every model and run every data test; returns the ids of the nodes that did not pass.

    Raises DbtError if dbt could not run at all.
    """
    with tempfile.TemporaryDirectory() as folder:
        results = run_dbt(project, "build", NO_UNIT_TESTS, target_path=Path(folder))
    return [
        result.node.unique_id
        for result in results
        if status_outcome(result.status) is not Outcome.PASSED
    ]


def _options(project: DbtProject, command: str, target_path: Path) -> Iterable[str]:
    yield from ("--project-dir", str(project.path), "--profiles-dir", str(project.path))
    yield from ("--target", project.target, "--target-path", str(target_path))
    yield from ("--log-path", str(target_path), "--log-level-file", "none", "--no-use-colors")
    if project.parse_cache_path.is_file():
        yield from ("--partial-parse-file-path", str(project.parse_cache_path))
    if project.threads is not None and command not in (PARSE, LIST):
        yield from ("--threads", str(project.threads))


def _parsed(project: DbtProject) -> Any:
    """dbt's manifest, if the sources are still those that it was built from; else dbt parses.

    Left to itself, dbt gives up its parse cache as soon as the profile names another connection
    than the one that the manifest was built with, and takes ten seconds to parse again.
    """
    if not project.has_manifest_of(project.fingerprint()):
        return None
    from dbt.contracts.graph.manifest import Manifest

    manifest = Manifest.from_msgpack(project.parse_cache_path.read_bytes())
    # The names of relations were made while parsing.
    databases = {source.database for source in manifest.sources.values()}
    if project.database is not None and databases - {project.database}:
        return None
    manifest.build_flat_graph()
    return manifest


def _one_sentence(command: str, error: BaseException) -> str:
    text = " ".join(str(error).split()).rstrip(".")
    return f"dbt {command} could not run: {text}."
