"""The pipeline's state: what was published last, for readers at the edge and for the health page.

It lies in the lake as published/state.json, and in KV under a key of its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from pydantic import BaseModel, ConfigDict

from include.cloudflare.kv import KvNamespace, Pair
from include.lake import Lake, Zone, open_lake
from include.publish.pages import Deployment
from include.quality.health import SinkVersion, read_health, update_health
from include.settings import Settings

STATE_KEY = "pipeline/state"


class MartState(BaseModel):
    """The version of one mart at one sink."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    mart: str
    sink: str
    version: str
    # None after a roll-back: the version before is known by its name alone.
    rows: int | None = None


class PipelineState(BaseModel):
    """What the last run of the DAG `publish_cloudflare` that succeeded has published."""

    model_config = ConfigDict(frozen=True)

    run_id: str
    published_at: str
    marts: tuple[MartState, ...]
    sites: tuple[Deployment, ...]


def pipeline_state(
    run_id: str, outcomes: Iterable[Mapping[str, Any]], sites: Iterable[Mapping[str, Any]]
) -> PipelineState:
    """The state from the fields of outcomes and of deployments."""
    return PipelineState(
        run_id=run_id,
        published_at=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        marts=tuple(MartState.model_validate(outcome) for outcome in outcomes),
        sites=tuple(Deployment.model_validate(site) for site in sites),
    )


def keep_state(lake: Lake, state: PipelineState) -> None:
    lake.write_bytes(lake.key(Zone.PUBLISHED, "state.json"), state.model_dump_json().encode())


def show_state(settings: Settings, state: PipelineState) -> None:
    """Put the versions on the health page; a version keeps the time at which it came.

    Raises LakeError.
    """
    lake = open_lake(settings.lake)
    sites = (MartState(mart=s.project, sink="pages", version=s.version) for s in state.sites)
    known = {
        (sink["mart"], sink["sink"], sink["version"]): sink["published_at"]
        for sink in (read_health(lake) or {}).get("sinks", ())
    }
    sinks = [
        SinkVersion(
            mart=each.mart,
            sink=each.sink,
            version=each.version,
            rows=each.rows,
            published_at=known.get((each.mart, each.sink, each.version), state.published_at),
        )
        for each in (*state.marts, *sites)
    ]
    update_health(lake, settings.environment.value, {"sinks": sinks})


def write_state(namespace: KvNamespace, state: PipelineState) -> None:
    namespace.put_all([Pair(STATE_KEY, state.model_dump_json())])
