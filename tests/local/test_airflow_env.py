from __future__ import annotations

import configparser
import json
from pathlib import Path

import pytest

from deploy.local import airflow_env
from deploy.local.airflow_env import (
    Addresses,
    VendorApi,
    airflow_environment,
    preparation_environment,
    write_airflow_config,
)
from deploy.local.layout import Layout

ADDRESSES = Addresses(api=4001, logs=4002)


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout(data=tmp_path / "data", airflow_home=tmp_path / "home")


@pytest.fixture
def dotenv(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The `.env` of a repository that is somewhere else."""
    monkeypatch.setattr(airflow_env, "REPOSITORY", tmp_path)
    return tmp_path / ".env"


def environment(layout: Layout, vendor_api: VendorApi | None = None) -> dict[str, str]:
    return airflow_environment(layout, ADDRESSES, vendor_api, stays=False)


def test_settings_of_another_airflow_in_the_shell_are_not_taken_over(
    layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW__CORE__DAGS_FOLDER", "/elsewhere")
    monkeypatch.setenv("AIRFLOW__WEBSERVER__SOMETHING", "of another Airflow")

    made = environment(layout)

    assert "AIRFLOW__WEBSERVER__SOMETHING" not in made
    assert made["AIRFLOW__CORE__DAGS_FOLDER"].endswith("/dags")
    assert made["AIRFLOW_HOME"] == str(layout.airflow_home)


def test_tasks_report_to_the_port_that_the_api_server_has(layout: Layout) -> None:
    made = environment(layout)

    assert made["AIRFLOW__API__PORT"] == "4001"
    assert made["AIRFLOW__CORE__EXECUTION_API_SERVER_URL"] == "http://127.0.0.1:4001/execution/"


def test_both_api_connections_point_to_the_vendor_api_with_its_token(layout: Layout) -> None:
    made = environment(layout, VendorApi(port=4003, token="of-the-run"))

    for name in ("AIRFLOW_CONN_FLEET_API", "AIRFLOW_CONN_WEATHER_API"):
        connection = json.loads(made[name])
        assert (connection["host"], connection["port"]) == ("127.0.0.1", 4003)
        assert connection["password"] == "of-the-run"


def test_without_a_vendor_api_there_is_no_connection(layout: Layout) -> None:
    assert not [name for name in environment(layout) if name.startswith("AIRFLOW_CONN_")]


def test_dotenv_beats_the_settings_of_a_laptop_and_the_shell_beats_dotenv(
    layout: Layout, dotenv: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dotenv.write_text(
        "AIRFLOW__CORE__PARALLELISM=3\nVENDING_DBT_THREADS=1\nVENDING_CONFORM_THREADS=1\n"
    )
    monkeypatch.setenv("VENDING_CONFORM_THREADS", "4")

    made = environment(layout)

    assert made["AIRFLOW__CORE__PARALLELISM"] == "3"
    assert made["VENDING_DBT_THREADS"] == "1"
    assert made["VENDING_CONFORM_THREADS"] == "4"


def test_dotenv_cannot_move_the_data_away_from_where_the_run_looks_for_it(
    layout: Layout, dotenv: Path
) -> None:
    dotenv.write_text("VENDING_DATA_DIR=/elsewhere\n")

    assert environment(layout)["VENDING_DATA_DIR"] == str(layout.data)
    assert preparation_environment(layout)["VENDING_DATA_DIR"] == str(layout.data)


def test_airflow_config_holds_keys_of_its_own_and_is_not_made_twice(layout: Layout) -> None:
    write_airflow_config(layout)
    first = layout.airflow_config.read_text()
    write_airflow_config(layout)

    config = configparser.ConfigParser(interpolation=None)
    config.read_string(first)
    assert layout.airflow_config.read_text() == first
    assert layout.airflow_config.stat().st_mode & 0o777 == 0o600
    assert {section: list(config[section]) for section in config.sections()} == {
        "core": ["fernet_key"],
        "api": ["secret_key"],
        "api_auth": ["jwt_secret"],
    }
