"""What Airflow is told on a laptop: the one place for its settings.

Only what differs from Airflow's defaults is named, each with its reason.
"""

from __future__ import annotations

import base64
import json
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass

from dotenv import dotenv_values

from deploy.local.layout import REPOSITORY, Layout
from deploy.local.ports import LOOPBACK


@dataclass(frozen=True, slots=True)
class VendorApi:
    """The simulator's server: Airflow's connections point to it."""

    port: int
    token: str


@dataclass(frozen=True, slots=True)
class Addresses:
    """Ports of the loopback interface. One log server answers for tasks and triggers alike."""

    api: int
    logs: int

    @property
    def ui(self) -> str:
        return f"http://{LOOPBACK}:{self.api}"


def airflow_environment(
    layout: Layout, addresses: Addresses, vendor_api: VendorApi | None, *, stays: bool
) -> dict[str, str]:
    """The environment of Airflow's processes, and so of every task.

    Strongest first: what this start decides (folders, addresses), the file `.env`, the settings of
    a laptop, the caller's environment less its AIRFLOW variables, which belong to another Airflow.
    """
    inherited = _inherited()
    settings = _DEFAULTS | (_STAYING if stays else _ONE_RUN)
    decided = _folders(layout) | _addresses(addresses) | _connections(vendor_api)
    return inherited | settings | _dotenv_less(inherited) | decided


def preparation_environment(layout: Layout) -> dict[str, str]:
    """The environment of the commands that prepare a run; they need no Airflow."""
    inherited = _inherited()
    return inherited | {"VENDING_ENV": "dev"} | _dotenv_less(inherited) | _data(layout)


def dotenv_file() -> dict[str, str]:
    """The variables of `.env`; empty where there is no such file."""
    values = dotenv_values(REPOSITORY / ".env")
    return {name: value for name, value in values.items() if value is not None}


def write_airflow_config(layout: Layout) -> None:
    """Make `airflow.cfg` with nothing but the keys that Airflow's processes must share.

    Left to itself, Airflow would write all of its defaults there, which would then outlive the
    version they belong to.
    """
    if layout.airflow_config.exists():
        return
    layout.airflow_home.mkdir(parents=True, exist_ok=True)
    fernet_key = base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()
    descriptor = os.open(layout.airflow_config, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(
            f"[core]\nfernet_key = {fernet_key}\n"
            f"[api]\nsecret_key = {secrets.token_urlsafe(32)}\n"
            f"[api_auth]\njwt_secret = {secrets.token_urlsafe(32)}\n"
        )


def _inherited() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")}


def _dotenv_less(inherited: Mapping[str, str]) -> dict[str, str]:
    # A variable of the caller's shell beats the file, as everywhere where .env files are read.
    return {name: value for name, value in dotenv_file().items() if name not in inherited}


_DEFAULTS: Mapping[str, str] = {
    "VENDING_ENV": "dev",
    "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
    "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
    # Tasks wait for the API and for the warehouse more than they compute.
    "AIRFLOW__CORE__PARALLELISM": "8",
    "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
    # The default keeps an edited DAG from being stored again within 30 s.
    "AIRFLOW__CORE__MIN_SERIALIZED_DAG_UPDATE_INTERVAL": "0",
    "AIRFLOW__CORE__HOSTNAME_CALLABLE": "deploy.local.ports.loopback",
    # The default of one second is half of the wall time of a run of short tasks: each waits for it.
    # With 0.1 the scheduler's own rounds, 0.07 CPU seconds each, take a core from the tasks.
    "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.2",
    # 5 s by default, which a busy laptop exceeds.
    "AIRFLOW__WORKERS__EXECUTION_API_TIMEOUT": "30",
    # One page holds all tasks of a run.
    "AIRFLOW__API__MAXIMUM_PAGE_LIMIT": "1000",
    # For when lineage is on (docs/lineage.md): the tasks that follow the build have none of their
    # own, and a transport that does not answer delays every other task by these seconds, twice.
    "AIRFLOW__OPENLINEAGE__DISABLED_FOR_OPERATORS": "include.transform.node_task.DbtNodeOperator",
    "AIRFLOW__OPENLINEAGE__EXECUTION_TIMEOUT": "5",
    "AIRFLOW__COSMOS__ENABLE_TELEMETRY": "False",
    "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
    "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
    "DO_NOT_TRACK": "1",
}
# Nobody edits a DAG during `make run`: each file is parsed once.
_ONE_RUN: Mapping[str, str] = {"AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "3600"}
# With `make up` an edited or a new DAG file is seen within seconds.
_STAYING: Mapping[str, str] = {
    "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "10",
    "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "10",
}


def _folders(layout: Layout) -> dict[str, str]:
    return {
        "AIRFLOW_HOME": str(layout.airflow_home),
        "AIRFLOW_CONFIG": str(layout.airflow_config),
        "AIRFLOW__CORE__DAGS_FOLDER": str(REPOSITORY / "dags"),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(REPOSITORY / "plugins"),
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(layout.passwords),
        # No longer time-out for SQLite's lock: the API server waits for it in its event loop too,
        # which then cannot finish the request that holds it.
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{layout.metadata_database}",
        # The health page reads nothing else of ours.
        "AIRFLOW__VENDING__HEALTH_SNAPSHOT": str(layout.health_snapshot),
        "AIRFLOW__VENDING__DBT_DOCUMENTATION": str(layout.dbt_documentation),
    } | _data(layout)


def _data(layout: Layout) -> dict[str, str]:
    return {"VENDING_DATA_DIR": str(layout.data), "PYTHONPATH": str(REPOSITORY)}


def _addresses(addresses: Addresses) -> dict[str, str]:
    return {
        "AIRFLOW__API__HOST": LOOPBACK,
        "AIRFLOW__API__PORT": str(addresses.api),
        "AIRFLOW__API__BASE_URL": addresses.ui,
        # Without it a task would report to port 8080, which may be another Airflow's.
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{addresses.ui}/execution/",
        "AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT": str(addresses.logs),
        "AIRFLOW__LOGGING__TRIGGER_LOG_SERVER_PORT": str(addresses.logs),
    }


def _connections(vendor_api: VendorApi | None) -> dict[str, str]:
    if vendor_api is None:
        return {}
    connection = json.dumps(
        {
            "conn_type": "http",
            "schema": "http",
            "host": LOOPBACK,
            "port": vendor_api.port,
            "password": vendor_api.token,
        }
    )
    return {"AIRFLOW_CONN_FLEET_API": connection, "AIRFLOW_CONN_WEATHER_API": connection}
