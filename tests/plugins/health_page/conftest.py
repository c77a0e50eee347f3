"""A real API server of Airflow with the plugin, and a real browser of the distribution."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import httpx
import pytest

from deploy.local.airflow_api import AirflowApi, read_password
from deploy.local.airflow_env import Addresses, airflow_environment, write_airflow_config
from deploy.local.layout import REPOSITORY, Layout
from deploy.local.ports import free_ports
from include.quality.health import Health

PATIENCE_SECONDS = 120.0

Show = Callable[[Health | None], None]


@dataclass(frozen=True)
class Server:
    """Airflow's API server. ``token`` is a logged-in user's."""

    address: str
    token: str
    layout: Layout

    @property
    def page(self) -> str:
        return f"{self.address}/data-health/"

    @property
    def password(self) -> str:
        return read_password(self.layout.passwords)

    def get(self, path: str = "", *, token: str | None = None) -> httpx.Response:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return httpx.get(self.page + path, headers=headers, trust_env=False, timeout=30)


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("health-page")
    layout = Layout(folder / "data", folder / "airflow")
    write_airflow_config(layout)
    addresses = Addresses(*free_ports(2))
    environment = airflow_environment(layout, addresses, None, stays=False)
    environment["AIRFLOW__CORE__DAGS_FOLDER"] = str(folder)
    airflow = [sys.executable, "-m", "airflow"]
    log = (folder / "api-server.log").open("w")
    subprocess.run([*airflow, "db", "migrate"], env=environment, stdout=log, stderr=log, check=True)
    process = subprocess.Popen([*airflow, "api-server"], env=environment, stdout=log, stderr=log)
    try:
        yield Server(addresses.ui, _log_in(AirflowApi(addresses.ui), layout), layout)
    finally:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
        log.close()


def _log_in(api: AirflowApi, layout: Layout) -> str:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not api.is_up():
        if time.monotonic() > deadline:
            raise TimeoutError(f"Airflow's API server is not up after {PATIENCE_SECONDS:.0f} s.")
        time.sleep(0.3)
    api.log_in(layout.passwords)
    return api.token


@pytest.fixture
def show(server: Server) -> Show:
    """Puts a snapshot where the page reads it; None takes it away."""

    def put(health: Health | None) -> None:
        path = server.layout.health_snapshot
        path.parent.mkdir(parents=True, exist_ok=True)
        if health is None:
            path.unlink(missing_ok=True)
        else:
            path.write_text(json.dumps(asdict(health)), encoding="utf-8")

    return put


@pytest.fixture(scope="session")
def chromium() -> str:
    """The distribution's browser. In CI its absence is a failure."""
    path = shutil.which("chromium") or shutil.which("google-chrome")
    if path is None:
        if os.environ.get("CI"):
            pytest.fail("There is no chromium: install the Debian package chromium.")
        pytest.skip("There is no chromium: install the Debian package chromium.")
    return path


@pytest.fixture(scope="session")
def screenshots() -> Path:
    """Where pictures are kept; CI uploads the folder."""
    folder = REPOSITORY / "data" / "screenshots"
    folder.mkdir(parents=True, exist_ok=True)
    return folder
