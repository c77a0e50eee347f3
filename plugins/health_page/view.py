"""What the page says about a snapshot: four answers, and how old they are."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

# A daily run and two hours.
OLD_HOURS = 26
# Japan has had no summer time since 1951; the zone's data need not be installed.
BUSINESS_TIME = timezone(timedelta(hours=9), "JST")


@dataclass(frozen=True, slots=True)
class Answer:
    """One question of the page. ``about`` names what is wrong, for a person."""

    question: str
    is_yes: bool
    about: tuple[str, ...] = ()


def answers(document: dict[str, Any]) -> tuple[Answer, ...]:
    """Is today's data there, complete, right, and published?"""
    late = tuple(f"{s['source']} {s['dataset']}" for s in document["sources"] if s["is_late"])
    failed = tuple(test["name"] for test in document["failed_tests"])
    findings = tuple(document["findings"])
    return (
        Answer("there", bool(document["sources"]) and not late, late),
        Answer("complete", not findings, findings[:3]),
        Answer("right", document["run_passed"] and not failed, failed[:3]),
        Answer("published", document["published_run_id"] == document["run_id"]),
    )


def age_hours(document: dict[str, Any], now: datetime) -> float:
    """Hours since the snapshot was written."""
    return (now - _moment(document["written_at"])).total_seconds() / 3600


def local_time(moment: str | None) -> str:
    """A UTC time of the snapshot in business time, as 2026-11-20 12:03."""
    if not moment:
        return "–"
    return _moment(moment).astimezone(BUSINESS_TIME).strftime("%Y-%m-%d %H:%M")


def size(number: float | None) -> str:
    """Bytes with a decimal unit."""
    if number is None:
        return "–"
    for unit in ("B", "kB", "MB", "GB"):
        if number < 1000:
            return f"{number:,.0f} {unit}"
        number /= 1000
    return f"{number:,.1f} TB"


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)
