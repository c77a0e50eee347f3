"""What `astro dev parse` runs: every DAG file imports, in the image, without the outside world.

Unlike the CLI's own version it replaces nothing: the DAG files read no connection, no Variable and
no environment beyond include/settings.py, and this test is where that would be noticed.
"""

from pathlib import Path

import pytest
from airflow.dag_processing.dagbag import BundleDagBag

PROJECT = Path(__file__).resolve().parents[1]
DAGS = PROJECT / "dags"
EXCEPTIONS = PROJECT / ".astro" / "dag_integrity_exceptions.txt"


@pytest.fixture(scope="module")
def dag_bag() -> BundleDagBag:
    return BundleDagBag(dag_folder=DAGS, bundle_path=DAGS, bundle_name="dags-folder")


def test_every_dag_file_imports(dag_bag: BundleDagBag) -> None:
    excepted = {line for line in EXCEPTIONS.read_text("utf-8").splitlines() if line[:1] != "#"}
    broken = {
        file: error
        for file, error in dag_bag.import_errors.items()
        if f"dags/{Path(file).name}" not in excepted
    }
    assert broken == {}


def test_there_is_a_dag_in_every_file(dag_bag: BundleDagBag) -> None:
    found = {Path(dag.fileloc).name for dag in dag_bag.dags.values()}
    assert found == {path.name for path in DAGS.glob("*.py")}


def test_every_dag_has_tags_and_retries(dag_bag: BundleDagBag) -> None:
    lacking = [
        dag.dag_id
        for dag in dag_bag.dags.values()
        if not dag.tags or dag.default_args.get("retries", 0) < 2
    ]
    assert lacking == []
