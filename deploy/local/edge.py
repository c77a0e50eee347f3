"""The Cloudflare of a laptop: started with PUBLISH=local, and up until `make down`."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import httpx
from rich.console import Console

from deploy.cloudflare.local_cloudflare import (
    LocalCloudflare,
    LocalCloudflareError,
    start_staying,
)
from deploy.local.errors import LocalError
from deploy.local.processes import created_at, end_session, is_alive

if TYPE_CHECKING:
    from deploy.local.layout import Layout

CONNECTION = "cloudflare"
CONNECTION_VARIABLE = "VENDING_CLOUDFLARE_CONNECTION"
ASKED = "/v1/sales/daily?limit=1"
ANSWER_SECONDS = 10.0
GRACE_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Edge:
    """A running local Cloudflare, and when its process started, in seconds since the epoch."""

    cloudflare: LocalCloudflare
    created: float

    @property
    def is_alive(self) -> bool:
        return is_alive(self.cloudflare.pid, self.created)


def find_edge(layout: Layout) -> Edge | None:
    """The one that was started here, if it still runs."""
    try:
        raw = json.loads(layout.edge_state.read_text("utf-8"))
        edge = Edge(LocalCloudflare(**raw["cloudflare"]), float(raw["created"]))
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None
    return edge if edge.is_alive else None


def start_edge(layout: Layout) -> LocalCloudflare:
    """The one that is up, else a new one over the same data. Raises LocalError."""
    found = find_edge(layout)
    if found is not None:
        return found.cloudflare
    try:
        started = start_staying(layout.data / "cloudflare")
    except LocalCloudflareError as error:
        raise LocalError(str(error)) from None
    edge = Edge(started, created_at(started.pid))
    layout.edge_state.parent.mkdir(parents=True, exist_ok=True)
    # It holds tokens.
    layout.edge_state.touch(mode=0o600)
    layout.edge_state.write_text(json.dumps(asdict(edge)) + "\n", "utf-8")
    return started


def end_edge(layout: Layout) -> bool:
    """End the one that is up and forget it; says whether there was one."""
    edge = find_edge(layout)
    layout.edge_state.unlink(missing_ok=True)
    if edge is None:
        return False
    end_session(edge.cloudflare.pid, edge.created, GRACE_SECONDS)
    return True


def edge_environment(cloudflare: LocalCloudflare) -> Mapping[str, str]:
    """What Airflow's processes are told, so that they publish there."""
    access = cloudflare.access
    extra = access.model_dump(include={"d1_database_id", "kv_namespace_id", "requests_per_window"})
    connection = {
        "conn_type": "generic",
        "host": access.base_url,
        "login": access.account_id,
        "password": access.token,
        "extra": extra,
    }
    return {
        f"AIRFLOW_CONN_{CONNECTION.upper()}": json.dumps(connection),
        CONNECTION_VARIABLE: CONNECTION,
    }


def show_edge(cloudflare: LocalCloudflare, console: Console) -> None:
    """Ask the edge Worker, and print how and what it answered. Raises LocalError if it did not."""
    url, header = f"{cloudflare.edge}{ASKED}", f"Authorization: Bearer {cloudflare.edge_token}"
    name, _, value = header.partition(": ")
    answer = httpx.get(url, headers={name: value}, timeout=ANSWER_SECONDS, trust_env=False)
    if answer.status_code != httpx.codes.OK:
        raise LocalError(f"The edge Worker answered {answer.status_code} to {url}: {answer.text}")
    console.print("The marts are at the local edge until `make down`:", soft_wrap=True)
    command = shlex.join(["curl", "-H", header, url])
    console.print(f"  {command}\n  {answer.text}", soft_wrap=True, markup=False)
