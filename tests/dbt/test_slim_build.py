"""A pull request builds what it changed and what is below that, and nothing else."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pytest

from tests.dags.platform import RAW_TABLES, SMALL_PROJECT
from tests.repository.files import ROOT

MODEL = "models/marts/fct_product_sales.sql"
SECONDS = 120
EXPOSURE = """
exposures:
  - name: dashboard
    type: dashboard
    owner: {name: readers}
    depends_on: [ref('fct_product_sales')]
"""


@dataclass(frozen=True)
class Outcome:
    """Exit status and report of a slim build."""

    status: int
    report: str

    @property
    def nodes(self) -> list[tuple[str, str]]:
        """Name and result of each node, as they stand in the report."""
        rows = [line.split(" | ") for line in self.report.splitlines() if line.startswith("| `")]
        return [(row[0].strip("| `"), row[2]) for row in rows]


def slim_build(base: Path, change: Path) -> Outcome:
    report = change.parent / "report.md"
    command = [sys.executable, str(ROOT / ".ci" / "slim_build.py"), str(base)]
    command += ["--project", str(change), "--report", str(report)]
    done = subprocess.run(command, capture_output=True, timeout=SECONDS, check=False)
    return Outcome(done.returncode, report.read_text("utf-8"))


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout with the warehouse that was built from it, and its manifest."""
    folder = tmp_path_factory.mktemp("base")
    project, target = folder / "dbt", folder / "target"
    warehouse = folder / "data" / "dbt_dev.duckdb"
    warehouse.parent.mkdir()
    with duckdb.connect(str(warehouse)) as connection:
        for statement in RAW_TABLES:
            connection.execute(statement)
    shutil.copytree(SMALL_PROJECT, project)
    subprocess.run(
        [
            *(str(Path(sys.executable).parent / "dbt"), "build", "--quiet"),
            *("--project-dir", str(project), "--profiles-dir", str(project)),
            *("--target-path", str(target), "--log-path", str(target)),
        ],
        env=os.environ | {"VENDING_DUCKDB_PATH": str(warehouse)},
        timeout=SECONDS,
        check=True,
    )
    (project / "manifests").mkdir()
    shutil.copyfile(target / "manifest.json", project / "manifests" / "dev.json")
    return folder


@pytest.fixture
def change(tmp_path: Path) -> Path:
    """The project of a pull request, equal to the base's so far."""
    return Path(shutil.copytree(SMALL_PROJECT, tmp_path / "dbt"))


def test_a_change_builds_its_model_and_what_is_below_over_what_the_base_has(
    base: Path, change: Path
) -> None:
    model = change / MODEL
    model.write_text(model.read_text("utf-8").replace("sum(", "2 * sum("), "utf-8")
    (change / "models" / "exposures.yml").write_text(EXPOSURE, "utf-8")
    built = slim_build(base, change)
    assert built.status == 0
    assert sorted(built.nodes) == [
        ("dashboard", "no-op"),
        ("fct_product_sales", "success"),
        ("unique_fct_product_sales_product_id", "pass"),
    ]


def test_a_change_that_breaks_a_test_fails_and_the_report_begins_with_it(
    base: Path, change: Path
) -> None:
    model = change / MODEL
    model.write_text(f"{model.read_text('utf-8')}union all select 1, 1.5\n", "utf-8")
    built = slim_build(base, change)
    assert built.status == 1
    assert built.nodes[0] == ("unique_fct_product_sales_product_id", "fail")


def test_where_nothing_of_the_project_differs_nothing_is_built(base: Path, change: Path) -> None:
    built = slim_build(base, change)
    assert built == Outcome(0, "### dbt: nothing of the project differs\n")


def test_without_a_base_that_was_built_the_report_says_so(tmp_path: Path, change: Path) -> None:
    built = slim_build(tmp_path, change)
    assert built.status == 1
    assert "could not build" in built.report
