"""The test that refuses a mart with an unmasked class, on marts that have one."""

from __future__ import annotations

import shutil
from pathlib import Path

import duckdb
import pytest

from tests.dbt.project import PROJECT, DbtProject

TEST = "assert_marts_expose_no_unmasked_class"
MASKED = f"h1:{'0' * 32}"
# A mart and its one column; `contact` is a renamed one that says itself what it is.
MARTS = {
    "dim_leaky": ("email", ""),
    "dim_masked": ("email", ""),
    "dim_unproven": ("_extra", ""),
    "dim_renamed": (
        "contact",
        "{classification: personal, masked_pattern: '[*]{4}.{0,4}'}",
    ),
    "dim_harmless": ("remark", "{classification: internal}"),
}
ROWS = {
    "dim_leaky": ("taro@example.jp", MASKED, None),
    "dim_masked": (MASKED, None),
    "dim_unproven": (),
    "dim_renamed": ("****4567", "090-1234-5678"),
    "dim_harmless": ("taro@example.jp",),
}


@pytest.fixture(scope="module")
def refused(tmp_path_factory: pytest.TempPathFactory) -> set[tuple[str, str, str]]:
    """The rows of the test over a copy of the project that has those marts too."""
    folder = tmp_path_factory.mktemp("exposed")
    root = folder / "dbt"
    shutil.copytree(PROJECT, root, ignore=shutil.ignore_patterns("target", "manifests", "logs"))
    test = root / "tests" / f"{TEST}.sql"
    for name, (column, meta) in MARTS.items():
        add_mart(root, name, column, meta)
        waits = f"-- depends_on: {{{{ ref('{name}') }}}}\n"
        test.write_text(waits + test.read_text("utf-8"), "utf-8")
    database = folder / "vending.duckdb"
    DbtProject(database, folder / "artifacts", root).invoke("compile", "--select", TEST)
    compiled = next((folder / "artifacts" / "compiled").rglob(f"{TEST}.sql")).read_text("utf-8")
    with duckdb.connect(str(database)) as connection:
        connection.execute("CREATE SCHEMA marts")
        for name, (column, _) in MARTS.items():
            connection.execute(f"CREATE TABLE marts.{name} ({column} VARCHAR)")
            connection.executemany(
                f"INSERT INTO marts.{name} VALUES (?)", [[v] for v in ROWS[name]] or [[None]]
            )
        return {row[:3] for row in connection.execute(compiled).fetchall()}


def add_mart(root: Path, name: str, column: str, meta: str) -> None:
    models = root / "models" / "marts"
    described = f"{{name: {column}, data_type: varchar, config: {{meta: {meta or '{}'}}}}}"
    (models / f"{name}.sql").write_text(f"select cast(null as varchar) as {column}\n", "utf-8")
    (models / f"{name}.yml").write_text(
        f"models:\n  - name: {name}\n    columns:\n      - {described}\n", "utf-8"
    )


def test_a_mart_with_an_unmasked_value_is_refused(refused) -> None:
    assert ("dim_leaky", "email", "1 values are not masked") in refused


def test_a_mart_that_renames_a_column_and_says_so_is_refused_too(refused) -> None:
    assert ("dim_renamed", "contact", "1 values are not masked") in refused


def test_a_column_whose_masking_nothing_proves_is_refused(refused) -> None:
    assert ("dim_unproven", "_extra", "nothing proves that its values are masked") in refused


def test_masked_values_and_the_marts_of_the_project_pass(refused) -> None:
    assert {mart for mart, _, _ in refused} == {"dim_leaky", "dim_renamed", "dim_unproven"}


def test_the_test_waits_for_every_mart() -> None:
    text = (PROJECT / "tests" / f"{TEST}.sql").read_text("utf-8")
    marts = {path.stem for path in (PROJECT / "models" / "marts").glob("*.sql")}

    assert {mart for mart in marts if f"ref('{mart}')" in text} == marts
