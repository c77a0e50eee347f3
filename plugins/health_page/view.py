"""What the page says about a snapshot: four answers, and how old they are."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

# A daily run and two hours.
OLD_HOURS = 26
SHOWN_MODELS = 15
INGEST = ("ingest_files", "ingest_apis")
TRANSFORM = "transform"
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
    failed_runs = {run["dag_id"]: run for run in document["runs"] if run["has_failed"]}
    late = [f"{s['source']} {s['dataset']}" for s in document["sources"] if s["is_late"]]
    missing = (*(dag_id for dag_id in INGEST if dag_id in failed_runs), *late)
    failed = tuple(test["name"] for test in document["failed_tests"])
    findings = tuple(document["findings"])
    is_right = bool(document["run_passed"]) and not failed and TRANSFORM not in failed_runs
    return (
        Answer("there", bool(document["sources"]) and not missing, missing),
        Answer("complete", document["marts_at"] is not None and not findings, findings[:3]),
        Answer("right", is_right, failed[:3]),
        Answer("published", _is_published(document), _held_back(document)),
    )


def slowest_models(document: dict[str, Any]) -> list[dict[str, Any]]:
    """The models that took longest in their last run, each with its runs, oldest first."""
    timed = [model for model in document["models"] if model["runs"][-1]["seconds"] is not None]
    timed.sort(key=lambda model: model["runs"][-1]["seconds"], reverse=True)
    return timed[:SHOWN_MODELS]


def model_named(document: dict[str, Any], name: str) -> dict[str, Any] | None:
    """One model with its runs, None if no run has known it."""
    return next((model for model in document["models"] if model["model"] == name), None)


def age_hours(document: dict[str, Any], now: datetime) -> float:
    """Hours since the older of loads and marts was looked at."""
    looked = [_moment(at) for at in (document["sources_at"], document["marts_at"]) if at]
    return (now - min(looked)).total_seconds() / 3600 if looked else 0.0


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


def _is_published(document: dict[str, Any]) -> bool:
    """Readers see the last run, and nothing was loaded since; no mart is held back."""
    published, loaded = document["published_at"], document["loaded_at"]
    is_last = published is not None and document["published_run_id"] == document["run_id"]
    is_newest = published is not None and (loaded is None or loaded <= published)
    return is_last and is_newest and not _held_back(document)


def _held_back(document: dict[str, Any]) -> tuple[str, ...]:
    return tuple(mart["name"] for mart in document["marts"] if mart["is_held_back"])


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)
