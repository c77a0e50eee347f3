"""startup.sh sets variables, says what is wrong, and never keeps a container from starting."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.mwaa.bundle import build_bundle
from deploy.mwaa.check.container import Component, Container, start_container
from deploy.mwaa.check.installation import Installation
from deploy.mwaa.errors import MwaaError
from deploy.mwaa.layout import AIRFLOW_VERSIONS

CONFIGURED = {
    "AIRFLOW__VENDING__ENV": "staging",
    "AIRFLOW__VENDING__COMPANY": "acme",
    "AIRFLOW__VENDING__CONFORM_MEMORY_MB": "128",
}
# Of the plugins that a worker has loaded before it is asked for a task, and of what they need.
INHERITED = {"airflow.providers.amazon.aws.hooks.base_aws", "cosmos", "health_page.links"}


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bundle") / "mwaa"
    build_bundle(AIRFLOW_VERSIONS[0], folder)
    return folder


def started(
    bundle: Path, folder: Path, options: dict[str, str], component: Component = Component.WORKER
) -> Container:
    # The environment of these tests: what is installed plays no part here.
    installation = Installation(Path(sys.prefix), 0.0)
    return start_container(component, folder, bundle, installation, options)


def test_options_of_the_section_vending_become_the_projects_variables(
    bundle: Path, tmp_path: Path
) -> None:
    container = started(bundle, tmp_path, CONFIGURED)
    assert container.environment["VENDING_ENV"] == "staging"
    assert container.environment["VENDING_COMPANY"] == "acme"
    assert container.environment["VENDING_CONFORM_MEMORY_MB"] == "128"
    assert "ERROR" not in container.startup_log


def test_tasks_inherit_what_the_process_that_starts_them_has_imported(
    bundle: Path, tmp_path: Path
) -> None:
    container = started(bundle, tmp_path, CONFIGURED)
    code = "import airflow, json, sys; print(json.dumps(list(sys.modules)))"
    done = container.run("python", "-c", code, seconds=120)
    assert set(json.loads(done.stdout.splitlines()[-1])) >= INHERITED


@pytest.mark.parametrize("environment", [{}, {"AIRFLOW__VENDING__ENV": "dev"}])
def test_a_container_without_its_environment_starts_and_every_dag_refuses_it(
    bundle: Path, tmp_path: Path, environment: dict[str, str]
) -> None:
    container = started(bundle, tmp_path, environment)
    assert "set it to staging or prod" in container.startup_log
    code = "from include.settings import load_settings; load_settings()"
    refused = subprocess.run(
        [sys.executable, "-c", code],
        cwd=container.dags,
        env=dict(container.environment),
        capture_output=True,
        text=True,
        check=False,
    )
    assert "VENDING_ENV is 'unconfigured'" in refused.stderr


@pytest.mark.parametrize(
    ("option", "missing"),
    [
        ({"AIRFLOW__VENDING__ENV": "staging"}, "vending.company is not set"),
        (CONFIGURED | {"AIRFLOW__VENDING__ENV": "prod"}, "vending.kms_key_id is not set"),
    ],
)
def test_what_is_missing_is_said_and_the_container_starts(
    bundle: Path, tmp_path: Path, option: dict[str, str], missing: str
) -> None:
    assert missing in started(bundle, tmp_path, option).startup_log


def test_what_the_service_protects_is_as_the_service_has_it(bundle: Path, tmp_path: Path) -> None:
    container = started(bundle, tmp_path, CONFIGURED)
    assert "PYTHONPATH" not in container.environment
    assert container.environment["AIRFLOW_HOME"] == str(container.home)


def test_a_web_server_has_no_dags(bundle: Path, tmp_path: Path) -> None:
    assert not started(bundle, tmp_path, CONFIGURED, Component.WEB_SERVER).dags.exists()


def test_a_script_that_ends_the_container_is_noticed(bundle: Path, tmp_path: Path) -> None:
    changed = tmp_path / "bundle"
    build_bundle(AIRFLOW_VERSIONS[0], changed)
    (changed / "startup.sh").write_text("set -e\nfalse\n", "utf-8")
    with pytest.raises(MwaaError, match="would end the container"):
        started(changed, tmp_path / "disk", CONFIGURED)
