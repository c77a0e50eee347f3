"""The check finds what would not work on the service."""

from __future__ import annotations

from pathlib import Path

import pytest

from deploy.mwaa.check import installation, service_files
from deploy.mwaa.check.bundle_check import FILE_SECONDS, DagFile, Report, declared_dags, judge
from deploy.mwaa.check.container import Component
from deploy.mwaa.errors import MwaaError
from deploy.mwaa.layout import DAGS, REQUIREMENTS
from include.deployment import CONSTRAINTS

DECLARED = frozenset({"ingest_files"})
FILE = DagFile(dag_ids=("ingest_files",), seconds=0.1)
GOOD = Report(strays=(), files={"ingest_files.py": FILE}, errors={})


def test_a_component_that_imports_every_declared_dag_passes() -> None:
    judge(Component.WORKER, GOOD, DECLARED)


@pytest.mark.parametrize(
    ("change", "finding"),
    [
        ({"errors": {"/dags/ingest_files.py": "No module named 'x'"}}, "No module named 'x'"),
        ({"strays": ("tests",)}, "tests of the repository can be imported"),
        ({"files": {}}, "DAGs are missing"),
        ({"files": {"a.py": DagFile(dag_ids=("ingest_files", "b"), seconds=0)}}, "not declared"),
        (
            {"files": {"a.py": DagFile(dag_ids=("ingest_files",), seconds=FILE_SECONDS + 1)}},
            "a.py took 31.0 s to parse",
        ),
    ],
)
def test_whatever_would_not_work_is_named(change: dict[str, object], finding: str) -> None:
    with pytest.raises(MwaaError, match=finding):
        judge(Component.SCHEDULER, GOOD.model_copy(update=change), DECLARED)


def test_a_web_server_is_expected_to_have_no_dags() -> None:
    judge(Component.WEB_SERVER, GOOD.model_copy(update={"files": {}}), DECLARED)
    with pytest.raises(MwaaError, match="not declared"):
        judge(Component.WEB_SERVER, GOOD, DECLARED)


def test_the_declared_dags_are_those_of_the_dag_files() -> None:
    assert {"ingest_files", "ingest_apis", "transform"} <= declared_dags()


def test_constraints_come_from_the_folder_that_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "essential-constraints-3.2.1.txt").write_text("celery==5.6.3\n", "utf-8")
    monkeypatch.setenv("MWAA_CONSTRAINTS_DIR", str(tmp_path))
    assert service_files.essential_constraints("3.2.1") == "celery==5.6.3\n"
    with pytest.raises(MwaaError, match="has no essential-constraints-9"):
        service_files.essential_constraints("9.9.9")


@pytest.fixture
def conflicting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A bundle whose requirement contradicts what the service enforces."""
    (tmp_path / "service").mkdir()
    essential = tmp_path / "service" / "essential-constraints-3.2.1.txt"
    essential.write_text("packaging==24.0\n", "utf-8")
    monkeypatch.setenv("MWAA_CONSTRAINTS_DIR", str(tmp_path / "service"))
    monkeypatch.setattr(installation, "FOLDER", tmp_path / "environments")
    monkeypatch.setattr(installation, "SERVICE_PACKAGES", ())
    (tmp_path / DAGS).mkdir()
    (tmp_path / DAGS / CONSTRAINTS).write_text("packaging==25.0\n", "utf-8")
    return tmp_path


def test_a_conflict_with_what_the_service_enforces_fails(conflicting: Path) -> None:
    (conflicting / REQUIREMENTS).write_text(
        '--constraint "/usr/local/airflow/dags/constraints.txt"\npackaging\n', "utf-8"
    )
    with pytest.raises(MwaaError, match="Could not install requirements"):
        installation.install(conflicting, "3.2.1")


def test_requirements_without_constraints_of_their_own_are_refused(conflicting: Path) -> None:
    (conflicting / REQUIREMENTS).write_text("packaging\n", "utf-8")
    with pytest.raises(MwaaError, match="does not name"):
        installation.install(conflicting, "3.2.1")
