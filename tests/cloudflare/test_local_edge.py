"""The Cloudflare of a laptop: `make run PUBLISH=local` starts it, `make down` ends it."""

from __future__ import annotations

import io
import json
from pathlib import Path

import httpx
import psutil
import pytest
from rich.console import Console

from deploy.cloudflare import local_cloudflare
from deploy.cloudflare.local_cloudflare import LocalCloudflare
from deploy.local.edge import edge_environment, end_edge, find_edge, show_edge, start_edge
from deploy.local.errors import LocalError
from deploy.local.layout import Layout
from include.cloudflare.access import read_access
from tests.cloudflare.conftest import require_installed


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout(data=tmp_path / "data", airflow_home=tmp_path / "home")


def test_it_stays_is_found_again_and_is_ended(layout: Layout) -> None:
    require_installed()
    started = start_edge(layout)
    try:
        assert start_edge(layout) == started
        assert layout.edge_state.stat().st_mode & 0o077 == 0
        address = f"{started.edge}/openapi.json"
        assert httpx.get(address, trust_env=False).status_code == 200
        processes = psutil.Process(started.pid).children(recursive=True)
        with pytest.raises(LocalError, match="answered 503"):
            show_edge(started, Console(file=io.StringIO()))
    finally:
        assert end_edge(layout)
    _, alive = psutil.wait_procs(processes, timeout=1)
    # Without an init that reaps them, processes whose parent has gone stay as zombies.
    assert [each for each in alive if each.status() != psutil.STATUS_ZOMBIE] == []
    assert find_edge(layout) is None
    assert not end_edge(layout)


def test_without_node_it_says_what_to_install(
    layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local_cloudflare, "NODE", layout.data / "no-node")
    with pytest.raises(LocalError, match="run npm install --prefix deploy/cloudflare"):
        start_edge(layout)


def test_airflow_is_told_of_it_by_a_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    from airflow.sdk import Connection

    running = LocalCloudflare(
        api="http://127.0.0.1:4321",
        edge="http://127.0.0.1:4322",
        empty="http://127.0.0.1:4323",
        s3="http://127.0.0.1:4321/s3",
        token="of-the-api",
        edge_token="of-the-edge",
        s3_secret="of-s3",
        pid=1,
    )
    told = edge_environment(running)
    assert told["VENDING_CLOUDFLARE_CONNECTION"] == "cloudflare"
    document = json.loads(told["AIRFLOW_CONN_CLOUDFLARE"])
    document["extra"] = json.dumps(document["extra"])
    assert read_access(Connection(conn_id="cloudflare", **document)) == running.access
