"""The health page shows which version of each mart is at each sink, and since when."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from include.lake import open_lake
from include.publish.state import PipelineState, pipeline_state, show_state
from include.quality.health import read_health
from include.settings import Settings, load_settings


def state(*versions: str, at: str) -> PipelineState:
    outcomes: list[dict[str, Any]] = [
        {"mart": f"fct_{number}", "sink": "d1", "version": version, "rows": 7, "how": "changed"}
        for number, version in enumerate(versions)
    ]
    return pipeline_state("run", outcomes, sites=()).model_copy(update={"published_at": at})


def shown(settings: Settings) -> list[tuple[str, int, str]]:
    health = read_health(open_lake(settings.lake))
    assert health is not None
    return [(sink["version"], sink["rows"], sink["published_at"]) for sink in health["sinks"]]


def test_a_version_keeps_the_time_at_which_it_came(tmp_path: Path) -> None:
    settings = load_settings({"VENDING_ENV": "dev", "VENDING_DATA_DIR": str(tmp_path)})
    show_state(settings, state("a", "b", at="2026-11-20T19:10:00Z"))
    show_state(settings, state("a", "c", at="2026-11-21T19:10:00Z"))
    assert shown(settings) == [
        ("a", 7, "2026-11-20T19:10:00Z"),
        ("c", 7, "2026-11-21T19:10:00Z"),
    ]
