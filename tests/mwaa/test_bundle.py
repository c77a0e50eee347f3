"""The bundle holds what MWAA needs, in the form that it needs it."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path

import pytest

from deploy.mwaa.bundle import build_bundle, describe_bundle, read_bundle
from deploy.mwaa.errors import MwaaError
from deploy.mwaa.layout import AIRFLOW_VERSIONS, DAGS, REPOSITORY, constraints_of
from deploy.mwaa.plugins_zip import write_plugins
from include.deployment import BUNDLE_FILE, BundleFile, checksum
from tests.repository.test_versions import pins


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bundle") / "mwaa"
    build_bundle(AIRFLOW_VERSIONS[0], folder)
    return folder


def names(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_bundle_json_has_the_checksum_of_every_other_file(bundle: Path) -> None:
    described = BundleFile.model_validate_json((bundle / DAGS / BUNDLE_FILE).read_text("utf-8"))
    assert names(bundle) == {*described.files, f"{DAGS}/{BUNDLE_FILE}"}
    assert {name: checksum(bundle / name) for name in described.files} == described.files


def test_code_constraints_and_both_manifests_travel_in_the_dags_prefix(bundle: Path) -> None:
    assert {
        "dags/.airflowignore",
        "dags/constraints.txt",
        "dags/ingest_files.py",
        "dags/include/settings.py",
        "dags/include/contracts/datasets/sales.yaml",
        "dags/dbt/dbt_project.yml",
        "dags/dbt/manifests/staging.json",
        "dags/dbt/manifests/prod.json",
    } <= names(bundle)


def test_nothing_of_dev_and_nothing_that_running_leaves_behind_travels(bundle: Path) -> None:
    parts = {part for name in names(bundle) for part in Path(name).parts}
    assert not parts & {"__pycache__", "target", "logs", "dev.json", ".sqlfluff", "simulator"}
    assert [name for name in names(bundle) if name.endswith((".duckdb", ".pyc"))] == []


def test_the_files_that_travel_beside_the_dags_are_not_parsed_as_dags(bundle: Path) -> None:
    ignored = (bundle / DAGS / ".airflowignore").read_text("utf-8").splitlines()
    assert {"include/", "dbt/"} <= set(ignored)


def test_building_twice_gives_the_same_bundle(bundle: Path, tmp_path: Path) -> None:
    again = build_bundle(AIRFLOW_VERSIONS[0], tmp_path / "again")
    assert again == describe_bundle(bundle, AIRFLOW_VERSIONS[0])


def test_a_changed_bundle_is_not_taken_for_the_one_that_was_built(tmp_path: Path) -> None:
    build_bundle(AIRFLOW_VERSIONS[0], tmp_path / "mwaa")
    (tmp_path / "mwaa" / "startup.sh").write_text("exit 1\n", "utf-8")
    with pytest.raises(MwaaError, match="run make mwaa-bundle"):
        read_bundle(tmp_path / "mwaa")


def test_without_a_bundle_the_message_says_how_to_build_one(tmp_path: Path) -> None:
    with pytest.raises(MwaaError, match="run make mwaa-bundle"):
        read_bundle(tmp_path)


def test_plugins_are_packed_to_the_same_bytes_whenever_they_were_written(tmp_path: Path) -> None:
    archives = []
    for modified in (1_000_000_000, 1_700_000_000):
        folder = tmp_path / str(modified)
        folder.mkdir()
        (folder / "links.py").write_text("import json\n", "utf-8")
        os.utime(folder / "links.py", (modified, modified))
        write_plugins(folder, tmp_path / f"{modified}.zip")
        archives.append((tmp_path / f"{modified}.zip").read_bytes())
    assert archives[0] == archives[1]


@pytest.mark.parametrize(
    "statement", ["import include.settings", "from include.settings import Settings"]
)
def test_a_plugin_that_needs_the_dags_folder_is_refused(tmp_path: Path, statement: str) -> None:
    (tmp_path / "page.py").write_text(f"def page():\n    {statement}\n", "utf-8")
    with pytest.raises(MwaaError, match=r"page\.py imports include\.settings"):
        write_plugins(tmp_path, tmp_path / "plugins.zip")


def test_the_plugins_of_the_repository_are_what_is_packed(bundle: Path) -> None:
    plugins = REPOSITORY / "plugins"
    with zipfile.ZipFile(bundle / "plugins.zip") as packed:
        assert set(packed.namelist()) == {
            path.relative_to(plugins).as_posix()
            for path in plugins.rglob("*")
            if path.is_file() and "__pycache__" not in path.parts
        }


@pytest.mark.parametrize("version", AIRFLOW_VERSIONS)
def test_each_airflow_version_has_constraints_with_every_requirement(version: str) -> None:
    constraints = pins(constraints_of(version))
    wanted = pins("requirements.txt") | {"apache-airflow": version}
    assert {name: constraints.get(name) for name in wanted} == wanted


def test_an_airflow_version_without_constraints_is_refused() -> None:
    with pytest.raises(ValueError, match=r"Airflow 2\.10\.0 has no constraints"):
        constraints_of("2.10.0")
