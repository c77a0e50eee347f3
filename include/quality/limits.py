"""When rejected rows become news: of one run, and of all that nobody has mended (limits.yaml)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict, PositiveFloat, PositiveInt

from include.quality.health import Backlog

LIMITS_FILE = Path(__file__).with_name("limits.yaml")


class _Limits(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class QuarantineLimit(_Limits):
    percent: PositiveFloat
    rows: PositiveInt


class BacklogLimit(_Limits):
    rows: PositiveInt
    days: PositiveInt


class Limits(_Limits):
    quarantine: QuarantineLimit
    backlog: BacklogLimit


@dataclass(frozen=True, slots=True)
class Rejections:
    """What one run rejected of a source contract; ``reasons`` gives rows by reason code."""

    source_contract: str
    rows_read: int
    reasons: Mapping[str, int]

    @property
    def rows(self) -> int:
        return sum(self.reasons.values())


@cache
def load_limits(path: Path = LIMITS_FILE) -> Limits:
    """The limits. Raises pydantic's ValidationError."""
    return Limits.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))


def quarantine_finding(found: Iterable[Rejections]) -> str | None:
    """What of a run is above the limit, in one sentence; None: nothing."""
    limit = load_limits().quarantine
    above = [
        _phrase(each)
        for each in found
        if each.rows >= limit.rows and each.rows * 100 > limit.percent * each.rows_read
    ]
    return f"{'; '.join(above)}." if above else None


def backlog_finding(backlog: Backlog | None, now: datetime) -> str | None:
    """A phrase about rejections that wait for too long; None: they do not. ``now`` is UTC."""
    if backlog is None or backlog.oldest_rejection is None:
        return None
    limit = load_limits().backlog
    oldest = datetime.fromisoformat(backlog.oldest_rejection)
    days = (now.replace(tzinfo=UTC) - oldest).days
    if backlog.rejected_rows < limit.rows and days < limit.days:
        return None
    return (
        f"{backlog.rejected_rows:,} rejected rows wait for somebody, the oldest for {days} days; "
        "see docs/runbooks/replay_quarantine.md"
    )


def _phrase(rejections: Rejections) -> str:
    share = rejections.rows / max(rejections.rows_read, rejections.rows)
    reasons = ", ".join(f"{reason} {rows:,}" for reason, rows in rejections.reasons.items())
    return (
        f"{rejections.rows:,} of {rejections.rows_read:,} rows of {rejections.source_contract} "
        f"({share:.1%}) are in quarantine: {reasons}"
    )
