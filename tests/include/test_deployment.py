"""A worker can tell whether what was delivered to it is complete."""

from __future__ import annotations

import hashlib
from importlib.metadata import version
from pathlib import Path

import pytest

from include import deployment
from include.deployment import (
    BundleFile,
    DeploymentError,
    check_connections,
    check_packages,
    unfinished_files,
)
from include.deployment_tasks import wait_for_deployment
from include.settings import load_settings

CODE = b"A = 1\n"


@pytest.fixture
def worker(tmp_path: Path) -> Path:
    """The DAGs folder of a worker with a complete copy."""
    files = {"dags/include/code.py": hashlib.sha256(CODE).hexdigest(), "startup.sh": "0" * 64}
    bundle = BundleFile(bundle_id="1" * 64, airflow_version="3.2.1", files=files)
    (tmp_path / "include").mkdir()
    (tmp_path / "include" / "code.py").write_bytes(CODE)
    (tmp_path / "bundle.json").write_text(bundle.model_dump_json(), "utf-8")
    return tmp_path


def test_a_complete_copy_has_nothing_unfinished(worker: Path) -> None:
    assert unfinished_files(worker) == ()


def test_a_changed_and_a_missing_file_are_named(worker: Path) -> None:
    (worker / "include" / "code.py").write_bytes(b"A = 2\n")
    assert unfinished_files(worker) == ("include/code.py",)
    (worker / "include" / "code.py").unlink()
    assert unfinished_files(worker) == ("include/code.py",)


def test_a_description_that_is_being_written_is_unfinished(worker: Path) -> None:
    (worker / "bundle.json").write_text('{"bundle_id": "1', "utf-8")
    assert unfinished_files(worker) == ("bundle.json",)


def test_where_nothing_is_deployed_there_is_nothing_to_compare(tmp_path: Path) -> None:
    assert unfinished_files(tmp_path) == ()


def test_packages_in_the_deployed_versions_pass(worker: Path) -> None:
    (worker / "constraints.txt").write_text(f"# made\nduckdb=={version('duckdb')}\n", "utf-8")
    check_packages(worker)


@pytest.mark.parametrize("pin", ["duckdb==0.0.1", "not-installed-here==1.0"])
def test_a_package_that_is_missing_or_another_version_is_named(worker: Path, pin: str) -> None:
    (worker / "constraints.txt").write_text(f"{pin}\n", "utf-8")
    with pytest.raises(DeploymentError, match=pin.partition("==")[0]):
        check_packages(worker)


def test_packages_of_a_laptop_are_not_looked_at(tmp_path: Path) -> None:
    check_packages(tmp_path)


def test_missing_connections_are_named_until_all_are_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_LAKE", "aws://")
    for name in ("SNOWFLAKE", "SNOWFLAKE_TRANSFORM"):
        monkeypatch.setenv(f"AIRFLOW_CONN_{name}", "snowflake://")
    settings = load_settings({"VENDING_ENV": "staging", "VENDING_COMPANY": "acme"})
    with pytest.raises(DeploymentError, match="do not exist: privacy, privacy_vault; create each"):
        check_connections(settings)
    for name in ("PRIVACY", "PRIVACY_VAULT"):
        monkeypatch.setenv(f"AIRFLOW_CONN_{name}", "generic://")
    check_connections(settings)


def test_a_run_waits_while_files_are_on_their_way_and_asks_for_nothing_else(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(deployment, "unfinished_files", lambda: ("include/code.py",))
    monkeypatch.setattr(deployment, "check_packages", lambda: pytest.fail("asked too early"))
    assert wait_for_deployment.function().is_done is False
    assert "1 files differ, include/code.py among them" in caplog.text


def test_a_run_begins_once_everything_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr(deployment, "unfinished_files", tuple)
    monkeypatch.setattr(deployment, "check_packages", lambda: asked.append("packages"))
    monkeypatch.setattr(deployment, "check_connections", lambda _: asked.append("connections"))
    assert wait_for_deployment.function().is_done is True
    assert asked == ["packages", "connections"]


def test_a_laptop_needs_no_connection() -> None:
    check_connections(load_settings({"VENDING_ENV": "dev"}))
