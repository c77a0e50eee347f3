"""The manifest is built when a source changes and at no other time."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from include.settings import CODE_ROOT
from include.transform.dbt_command import DbtError
from include.transform.manifest import (
    ManifestError,
    build_manifest,
    load_manifest,
    main,
)
from include.transform.project import DbtProject

SMALL_PROJECT = CODE_ROOT / "tests" / "dags" / "small_project"


@pytest.fixture
def project(tmp_path: Path) -> DbtProject:
    """A copy of the small project, with a warehouse that does not exist."""
    return copied(SMALL_PROJECT, tmp_path)


@pytest.fixture(scope="module")
def built_once(tmp_path_factory: pytest.TempPathFactory) -> DbtProject:
    project = copied(SMALL_PROJECT, tmp_path_factory.mktemp("built"))
    assert build_manifest(project) is True
    return project


@pytest.fixture
def built(built_once: DbtProject, tmp_path: Path) -> DbtProject:
    """A copy of its own with a manifest."""
    return copied(built_once.path, tmp_path)


def copied(source: Path, tmp_path: Path) -> DbtProject:
    path = tmp_path / "dbt"
    shutil.copytree(source, path)
    return DbtProject(
        path=path,
        target="dev",
        manifest_path=path / "manifests" / "dev.json",
        environment=(("VENDING_DUCKDB_PATH", str(tmp_path / "warehouse.duckdb")),),
    )


def test_it_is_built_once_and_then_up_to_date(built: DbtProject) -> None:
    written = built.manifest_path.stat().st_mtime_ns
    assert build_manifest(built) is False
    assert built.manifest_path.stat().st_mtime_ns == written
    assert not (built.path / "target").exists()
    files = {path.name for path in built.manifest_path.parent.iterdir()}
    assert files == {"dev.json", "dev.layout.json", "dev.msgpack", "dev.sha256"}


def test_parsing_opens_no_warehouse(built_once: DbtProject) -> None:
    assert not list(built_once.path.parent.glob("*.duckdb"))


@pytest.mark.parametrize("lost", ["dev.layout.json", "dev.msgpack"])
def test_it_is_built_again_when_a_part_of_it_is_lost(built: DbtProject, lost: str) -> None:
    (built.manifest_path.parent / lost).unlink()
    assert build_manifest(built) is True
    assert load_manifest(built.manifest_path).nodes


def test_a_project_that_dbt_cannot_parse_is_one_sentence_and_keeps_the_manifest(
    built: DbtProject,
) -> None:
    before = built.manifest_path.read_bytes()
    broken = built.path / "models" / "marts" / "broken.sql"
    broken.write_text("select * from {{ ref('no_such_model') }}")
    with pytest.raises(DbtError, match="no_such_model") as error:
        build_manifest(built)
    assert len(str(error.value).splitlines()) == 1
    assert built.manifest_path.read_bytes() == before


def _edit(project: DbtProject) -> None:
    model = project.path / "models" / "marts" / "fct_sales.sql"
    model.write_text(model.read_text() + "\n-- edited")


def _rename(project: DbtProject) -> None:
    model = project.path / "models" / "marts" / "fct_prices.sql"
    model.rename(model.with_name("fct_price_list.sql"))


def _add(project: DbtProject) -> None:
    (project.path / "models" / "marts" / "fct_more.sql").write_text("select 1 as one")


@pytest.mark.parametrize("change", [_edit, _rename, _add])
def test_every_change_of_a_source_changes_the_fingerprint(
    project: DbtProject, change: Callable[[DbtProject], None]
) -> None:
    before = project.fingerprint()
    change(project)
    assert project.fingerprint() != before


@pytest.mark.parametrize("name", ["target/manifest.json", "manifests/dev.json", "logs/dbt.log"])
def test_what_dbt_generates_does_not_change_the_fingerprint(project: DbtProject, name: str) -> None:
    before = project.fingerprint()
    path = project.path / name
    path.parent.mkdir(exist_ok=True)
    path.write_text("{}")
    assert project.fingerprint() == before


def test_the_fingerprint_does_not_depend_on_where_the_project_lies(
    project: DbtProject, tmp_path: Path
) -> None:
    moved = tmp_path / "elsewhere"
    shutil.copytree(project.path, moved)
    copy = DbtProject(path=moved, target="dev", manifest_path=moved / "manifests" / "dev.json")
    assert copy.fingerprint() == project.fingerprint()


def test_targets_have_manifests_of_their_own(project: DbtProject) -> None:
    other = DbtProject(path=project.path, target="prod", manifest_path=project.manifest_path)
    assert other.fingerprint() != project.fingerprint()


def test_a_missing_manifest_says_what_to_run(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="run make manifest"):
        load_manifest(tmp_path / "dev.json")


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"nodes": {}, "parent_map": {}}'])
def test_a_file_that_is_no_manifest_says_what_to_do(tmp_path: Path, content: str) -> None:
    path = tmp_path / "dev.json"
    path.write_text(content)
    with pytest.raises(ManifestError, match=r"dev\.json is not a dbt manifest; delete it"):
        load_manifest(path)


def test_a_manifest_that_was_replaced_is_read_again(built: DbtProject) -> None:
    before = load_manifest(built.manifest_path)
    content = json.loads(built.manifest_path.read_text())
    content["nodes"].pop("model.vending.fct_prices")
    built.manifest_path.write_text(json.dumps(content))
    os.utime(built.manifest_path, ns=(1, 1))
    after = load_manifest(built.manifest_path)
    assert set(before.nodes) - set(after.nodes) == {"model.vending.fct_prices"}


def test_nodes_are_what_a_build_reports_on(built: DbtProject) -> None:
    manifest = load_manifest(built.manifest_path)
    kinds = [node.resource_type for node in manifest.nodes.values()]
    assert (kinds.count("model"), kinds.count("test")) == (7, 7)
    assert [mart.name for mart in manifest.marts] == [
        "dim_products",
        "fct_prices",
        "fct_product_sales",
        "fct_sales",
    ]
    assert len(manifest.gates) == 1
    assert "source.vending.raw.sales" in manifest.ancestors("model.vending.fct_product_sales")


def test_the_command_prints_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--target", "dev"]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith("dbt manifest for dev: ")
