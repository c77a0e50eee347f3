"""The pipeline's state at the edge: what was published last, under a key of its own in KV."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from pydantic import BaseModel, ConfigDict

from include.cloudflare.kv import KvNamespace, Pair

STATE_KEY = "pipeline/state"


class MartState(BaseModel):
    """The version of one mart at one sink."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    mart: str
    sink: str
    version: str


class PipelineState(BaseModel):
    """What the last run of the DAG `publish_cloudflare` that succeeded has published."""

    model_config = ConfigDict(frozen=True)

    run_id: str
    published_at: str
    marts: tuple[MartState, ...]


def pipeline_state(run_id: str, outcomes: Iterable[Mapping[str, Any]]) -> PipelineState:
    """The state from the fields of outcomes."""
    return PipelineState(
        run_id=run_id,
        published_at=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        marts=tuple(MartState.model_validate(outcome) for outcome in outcomes),
    )


def write_state(namespace: KvNamespace, state: PipelineState) -> None:
    namespace.put_all([Pair(STATE_KEY, state.model_dump_json())])
