"""What `astro dev parse` runs: every DAG file imports, in the image, without the outside world.

As in the CLI's own version, `os.getenv` gives a text that was made up for each variable that is not
set: code that takes it for a number or an address breaks here.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from airflow.dag_processing.dagbag import BundleDagBag

PROJECT = Path(__file__).resolve().parents[1]
DAGS = PROJECT / "dags"
EXCEPTIONS = PROJECT / ".astro" / "dag_integrity_exceptions.txt"


def made_up(name: str, default: str | None = None) -> str | None:
    """The variable if it is set, else the default if there is one, else what the CLI makes up."""
    return os.environ.get(name, f"MOCKED_{name.upper()}_VALUE" if default is None else default)


@pytest.fixture(scope="module")
def dag_bag() -> Iterator[BundleDagBag]:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(os, "getenv", made_up)
        yield BundleDagBag(dag_folder=DAGS, bundle_path=DAGS, bundle_name="dags-folder")


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
