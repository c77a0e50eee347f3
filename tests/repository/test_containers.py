"""The files of `astro dev start` and `docker compose` claim what is so."""

import re
from typing import Any

import pytest
import yaml

from deploy.local.metadata import POOLS
from include.cloudflare.limiter import POOL, POOL_SLOTS
from tests.repository.files import ROOT
from tests.repository.test_versions import AIRFLOW, pins

HOME = "/usr/local/airflow"
AIRFLOW_SERVICES = {"api-server", "scheduler", "dag-processor", "triggerer"}
# What `astro dev start` mounts by itself.
ASTRO_MOUNTS = {"dags", "include", "plugins", "tests"}


def compose(name: str) -> dict[str, Any]:
    return yaml.safe_load((ROOT / name).read_text(encoding="utf-8"))["services"]


def mounts(service: dict[str, Any]) -> dict[str, str]:
    """Folder in the container by folder of the repository (or volume)."""
    return dict(volume.split(":")[:2] for volume in service.get("volumes", ()))


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    return compose("docker-compose.yaml")


@pytest.fixture(scope="module")
def override() -> dict[str, Any]:
    return compose("docker-compose.override.yml")


def test_the_compose_image_has_the_locked_airflow() -> None:
    dockerfile = (ROOT / "deploy/compose/Dockerfile").read_text(encoding="utf-8")
    assert f"FROM apache/airflow:{AIRFLOW}-python3.12\n" in dockerfile


def test_the_s3_server_is_the_emulator_of_the_tests(services: dict[str, Any]) -> None:
    assert services["s3"]["image"] == f"motoserver/moto:{pins('locks/dev.txt')['moto']}"


def test_the_astro_image_is_a_base_image_that_names_the_locked_airflow() -> None:
    dockerfile = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    assert re.findall(r"^FROM .*$", dockerfile, re.MULTILINE) == [
        "FROM astrocrpublic.azurecr.io/runtime:3.2-4-base"
    ]
    assert f"Runtime 3.2-4 holds Airflow {AIRFLOW}" in dockerfile


@pytest.mark.parametrize("dockerfile", ["Dockerfile", "deploy/compose/Dockerfile"])
def test_the_constraints_lie_where_requirements_look_for_them(dockerfile: str) -> None:
    instructions = (ROOT / dockerfile).read_text(encoding="utf-8").splitlines()
    assert f"WORKDIR {HOME}" in instructions
    copied = next(n for n, line in enumerate(instructions) if "constraints.txt dags/" in line)
    installed = next(n for n, line in enumerate(instructions) if "pip install" in line)
    assert copied < installed


def test_every_service_that_stays_has_a_health_check(services: dict[str, Any]) -> None:
    staying = {name for name, service in services.items() if "restart" in service}
    assert staying >= AIRFLOW_SERVICES | {"postgres", "s3", "vendor-api"}
    assert {name for name in staying if "healthcheck" not in services[name]} == set()


def test_airflow_starts_after_database_and_bucket_are_prepared(services: dict[str, Any]) -> None:
    for name in AIRFLOW_SERVICES:
        condition = services[name]["depends_on"]["preparation"]["condition"]
        assert condition == "service_completed_successfully"
    for name in ("postgres", "s3"):
        assert services["preparation"]["depends_on"][name]["condition"] == "service_healthy"


def test_every_folder_of_code_is_mounted_where_it_is_imported_from(
    services: dict[str, Any],
) -> None:
    expected = {f"./{folder}": f"{HOME}/{folder}" for folder in ("dags", "include", "dbt", "data")}
    for name in AIRFLOW_SERVICES:
        assert expected.items() <= mounts(services[name]).items()


def test_mounted_folders_of_code_exist(services: dict[str, Any], override: dict[str, Any]) -> None:
    sources = {
        source.removeprefix("./")
        for service in (*services.values(), *override.values())
        for source in mounts(service)
        if source.startswith("./")
    }
    # ./data is made by the first run.
    assert [folder for folder in sources - {"data"} if not (ROOT / folder).is_dir()] == []


def test_nothing_listens_beyond_loopback(services: dict[str, Any]) -> None:
    ports = [port for service in services.values() for port in service.get("ports", ())]
    assert ports
    assert [port for port in ports if not str(port).startswith("127.0.0.1:")] == []


def test_the_override_gives_astro_what_it_does_not_mount(
    services: dict[str, Any], override: dict[str, Any]
) -> None:
    # docker compose merges the override into docker-compose.yaml: a service of another name would
    # have no image.
    assert override.keys() <= services.keys()
    for name in ("scheduler", "dag-processor", "triggerer"):
        wanted = mounts(services[name]).keys() - {f"./{folder}" for folder in ASTRO_MOUNTS}
        assert wanted - {"logs"} <= mounts(override[name]).keys()
        assert mounts(override[name]).items() <= mounts(services[name]).items()
    assert override["dag-processor"]["command"] == services["dag-processor"]["command"]


def test_pools_have_the_same_slots_everywhere(services: dict[str, Any]) -> None:
    """One slot guards the warehouse's file; each slot of cloudflare owns a share of a limit."""
    expected = [("warehouse", 1), (POOL, POOL_SLOTS)]
    settings = yaml.safe_load((ROOT / "airflow_settings.yaml").read_text(encoding="utf-8"))
    pools = settings["airflow"]["pools"]
    assert [(pool["pool_name"], pool["pool_slot"]) for pool in pools] == expected
    assert [(name, slots) for name, slots, _ in POOLS] == expected
    for name, slots in expected:
        command = services["preparation"]["command"][-1]
        assert f"airflow pools set {name} {slots} " in command


def test_settings_for_astro_hold_no_secret() -> None:
    settings = yaml.safe_load((ROOT / "airflow_settings.yaml").read_text(encoding="utf-8"))
    for connection in settings["airflow"]["connections"]:
        assert not connection.get("conn_password")


def test_requirements_hold_what_the_mounted_code_imports_at_run_time() -> None:
    assert {"duckdb", "pydantic", "pyarrow", "astronomer-cosmos"} <= pins("requirements.txt").keys()
