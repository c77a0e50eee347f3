"""A real lake and a real warehouse in a folder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from include.contracts import load_catalog
from include.ingest import settle
from include.ingest.runs import IngestRun
from include.lake import DiskLake
from include.settings import Settings, load_settings
from include.warehouse import Warehouse, open_warehouse
from tests.include.ingest.running import Ingest


@pytest.fixture(autouse=True)
def no_pause_between_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files of a test are young, and each batch of them would wait for a second."""
    monkeypatch.setattr(settle, "PAUSE_SECONDS", 0.0)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load_settings({"VENDING_DATA_DIR": str(tmp_path / "data")})


@pytest.fixture
def lake(settings: Settings) -> DiskLake:
    return DiskLake(settings.lake.root)


@pytest.fixture
def run(lake: DiskLake) -> IngestRun:
    return IngestRun(lake, "ingest_files", "manual__2026-01-01T00:00:00+00:00")


@pytest.fixture
def warehouse(settings: Settings, lake: DiskLake) -> Iterator[Warehouse]:
    with open_warehouse(settings.warehouse, lake) as opened:
        opened.ensure_schema(load_catalog().datasets)
        yield opened


@pytest.fixture
def ingest(lake: DiskLake, settings: Settings) -> Ingest:
    return Ingest(lake, settings)
