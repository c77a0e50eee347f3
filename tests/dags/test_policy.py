"""What every DAG and every DAG file owes to the people who run it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from airflow.dag_processing.dagbag import BundleDagBag
from airflow.sdk import DAG, CronPartitionTimetable

from include.alerts.callbacks import (
    on_run_failure,
    on_run_success,
    on_task_failure,
    on_unremarkable_success,
)
from include.settings import CODE_ROOT, Environment
from include.transform.manifest import build_manifest
from include.transform.node_task import DbtNodeOperator
from include.transform.project import DbtProject

DAG_IDS = (
    "check_deployment",
    "copy_lake",
    "deliver_alerts",
    "export_anonymised",
    "ingest_apis",
    "ingest_files",
    "maintain_cloudflare",
    "publish_cloudflare",
    "replay_quarantine",
    "report_compliance",
    "reprocess_day",
    "transform",
)
# Their success is no news: they run every few minutes.
UNREMARKABLE = {"deliver_alerts"}
LAYERS = {"ingest", "transform", "publish", "operations"}
# A REST path on MWAA has at most 64 characters, and "/dags/" and "/dagRuns" are part of it.
DAG_ID_CHARACTERS = 50
DAG_FILE_LINES = 120
RUNBOOK_HEADINGS = ("## Tasks", "## When it fails", "## Rerun safety")
RUNBOOK_ENTRIES = ("- **Inputs**:", "- **Outputs**:", "- **Schedule**:", "- **Owner**:")

DAG_FILES = sorted((CODE_ROOT / "dags").glob("*.py"))
SOURCES = {
    folder: sorted((CODE_ROOT / folder).rglob("*.py")) for folder in ("dags", "include", "plugins")
}
MAY_IMPORT = {"dags": {"include"}, "include": {"include"}, "plugins": set[str]()}
ENVIRONMENT = {"environ", "environb", "getenv"}
OURS = {"benchmarks", "dags", "deploy", "include", "plugins", "simulator", "tests"}


@pytest.fixture(scope="module")
def bag() -> BundleDagBag:
    build_manifest(DbtProject.of_target(Environment.DEV))
    folder = CODE_ROOT / "dags"
    return BundleDagBag(dag_folder=folder, bundle_path=folder, bundle_name="dags-folder")


@pytest.fixture(params=DAG_IDS)
def dag(request: pytest.FixtureRequest, bag: BundleDagBag) -> DAG:
    return bag.dags[request.param]


def test_the_dags_are_exactly_these(bag: BundleDagBag) -> None:
    assert bag.import_errors == {}
    assert sorted(bag.dags) == sorted(DAG_IDS)


def test_each_file_holds_the_dag_of_its_name(bag: BundleDagBag) -> None:
    assert {Path(dag.fileloc).stem for dag in bag.dags.values()} == set(DAG_IDS)
    assert [path.stem for path in DAG_FILES] == sorted(DAG_IDS)
    assert all(Path(dag.fileloc).stem == dag.dag_id for dag in bag.dags.values())


def test_a_dag_id_fits_into_a_rest_path_of_mwaa(dag: DAG) -> None:
    assert len(dag.dag_id) <= DAG_ID_CHARACTERS


def test_every_task_has_the_platform_as_its_owner(dag: DAG) -> None:
    assert {task.owner for task in dag.tasks} == {"data-platform"}


def test_tags_name_the_layer_and_the_impact(dag: DAG) -> None:
    layers = {tag for tag in dag.tags if tag in LAYERS}
    impacts = {tag for tag in dag.tags if tag.startswith("impact:")}
    assert len(layers) == len(impacts) == 1
    assert dag.tags == layers | impacts


def test_every_task_retries_and_ends_in_time(dag: DAG) -> None:
    assert dag.dagrun_timeout is not None
    for task in dag.tasks:
        assert task.retries >= 2
        assert task.execution_timeout is not None
        assert timedelta(0) < task.execution_timeout <= dag.dagrun_timeout


def test_one_run_at_a_time_and_none_for_the_past(dag: DAG) -> None:
    assert dag.max_active_runs == 1
    assert dag.catchup is False


def test_a_dag_for_backfills_is_never_started_by_itself(bag: BundleDagBag) -> None:
    dag = bag.dags["reprocess_day"]
    assert isinstance(dag.timetable, CronPartitionTimetable)
    assert dag.end_date is not None
    assert dag.end_date <= datetime.now(UTC)


def test_a_failure_is_told_by_the_task_or_by_the_check_of_its_dag(dag: DAG) -> None:
    assert dag.on_failure_callback is on_run_failure
    for task in dag.tasks:
        told_by_the_check = isinstance(task, DbtNodeOperator) or task.task_id == "dbt_build"
        assert callbacks(task) == ([] if told_by_the_check else [on_task_failure])


def test_the_success_of_a_run_is_told_by_the_task_that_ends_it(dag: DAG) -> None:
    assert dag.on_success_callback is None
    told = on_unremarkable_success if dag.dag_id in UNREMARKABLE else on_run_success
    tellers = [task.task_id for task in dag.tasks if told in callbacks(task, "success")]
    assert tellers == [task.task_id for task in dag.leaves]
    assert len(tellers) == 1


def test_what_tells_no_failure_itself_is_upstream_of_the_check(bag: BundleDagBag) -> None:
    transform = bag.dags["transform"]
    check = transform.get_task("check_results")
    silent = {task.task_id for task in transform.tasks if not callbacks(task)}
    assert silent <= check.upstream_task_ids
    assert check.trigger_rule == "all_done"


def test_the_documentation_is_a_runbook(dag: DAG) -> None:
    assert dag.doc_md is not None
    assert dag.doc_md.startswith("# ")
    for part in (*RUNBOOK_HEADINGS, *RUNBOOK_ENTRIES):
        assert part in dag.doc_md
    assert (CODE_ROOT / "docs" / "runbooks" / f"{dag.dag_id}.md").is_file()


@pytest.mark.parametrize("path", DAG_FILES, ids=lambda path: path.name)
def test_a_dag_file_is_short(path: Path) -> None:
    assert len(path.read_text("utf-8").splitlines()) <= DAG_FILE_LINES


@pytest.mark.parametrize("path", DAG_FILES, ids=lambda path: path.name)
def test_a_dag_file_declares_and_computes_nothing(path: Path) -> None:
    tree = ast.parse(path.read_text("utf-8"))
    logic = (ast.If, ast.For, ast.While, ast.Try, ast.ClassDef, ast.Lambda)
    assert not [type(node).__name__ for node in ast.walk(tree) if isinstance(node, logic)]


@pytest.mark.parametrize("folder", list(SOURCES))
def test_imports_go_one_way(folder: str) -> None:
    """dags import include and never the other way round; plugins import neither."""
    wrong = [
        f"{path.relative_to(CODE_ROOT)} imports {name}"
        for path in SOURCES[folder]
        for name in imported_packages(path)
        if name in OURS - MAY_IMPORT[folder]
    ]
    assert wrong == []


def test_dbt_holds_no_python() -> None:
    assert not list((CODE_ROOT / "dbt").rglob("*.py"))
    # dbt takes modules of this name for its own plugins where they are on the path by themselves,
    # as they are in the DAG folder and the plugins folder.
    assert not [*CODE_ROOT.glob("dags/dbt_*"), *CODE_ROOT.glob("plugins/dbt_*")]


def test_only_settings_reads_the_environment() -> None:
    settings = CODE_ROOT / "include" / "settings.py"
    readers = [
        f"{path.relative_to(CODE_ROOT)}:{line}"
        for paths in SOURCES.values()
        for path in paths
        if path != settings
        for line in environment_reads(path)
    ]
    assert readers == []
    assert list(environment_reads(settings))


@pytest.mark.parametrize(
    ("code", "reads"),
    [
        ("os.environ['A']", True),
        ("os.environ.get('A')", True),
        ("os.getenv('A')", True),
        ("from os import environ", True),
        ("from os import getenv as g", True),
        ("dict(os.environ)", True),
        ("for name in os.environ: pass", True),
        ("os.environ['A'] = 'b'", False),
        ("os.path.join('a')", False),
    ],
)
def test_the_search_for_reads_of_the_environment_finds_them(
    code: str, reads: bool, tmp_path: Path
) -> None:
    path = tmp_path / "module.py"
    path.write_text(f"import os\n{code}\n")
    assert bool(list(environment_reads(path))) is reads


def callbacks(task: Any, kind: str = "failure") -> list[Any]:
    """A task's own; a mapped task holds a single one as it was given."""
    given = getattr(task, f"on_{kind}_callback")
    return list(given) if isinstance(given, list | tuple) else [given]


def imported_packages(path: Path) -> Iterator[str]:
    """The top-level packages that a module imports, anywhere in it."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports by a relative path"
            yield (node.module or "").split(".")[0]


def environment_reads(path: Path) -> Iterator[int]:
    """The lines that read os.environ; setting a variable for a library is no read."""
    tree = ast.parse(path.read_text("utf-8"))
    written = {
        id(node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Store)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and node.attr in ENVIRONMENT:
            if id(node) not in written:
                yield node.lineno
        elif isinstance(node, ast.ImportFrom) and node.module == "os":
            yield from (node.lineno for alias in node.names if alias.name in ENVIRONMENT)
