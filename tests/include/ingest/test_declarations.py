"""What is named twice, for the sake of parse time, says the same."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from include.assets import API_DATASETS, API_SOURCE_CONTRACTS, FILE_DATASETS, RAW_ASSETS
from include.contracts import load_catalog
from include.schedules import ingest_schedule
from include.settings import load_settings

REPOSITORY = Path(__file__).parents[3]


def test_there_is_an_asset_for_each_raw_table_and_no_other():
    catalog = load_catalog()

    assert set(FILE_DATASETS) == {source.dataset.name for source in catalog.file_sources}
    assert set(API_DATASETS) == {source.dataset.name for source in catalog.api_sources}
    assert set(API_SOURCE_CONTRACTS) == {source.id for source in catalog.api_sources}
    names = {f"raw.{dataset.name}" for dataset in catalog.datasets}
    assert {asset.name for asset in RAW_ASSETS} == names
    assert len(RAW_ASSETS) == len(names)


def test_ingest_is_started_by_hand_on_a_laptop_and_daily_elsewhere():
    assert ingest_schedule(load_settings({})) is None

    staging = load_settings({"VENDING_ENV": "staging", "VENDING_COMPANY": "acme"})
    timetable = ingest_schedule(staging)

    assert timetable.expression == "0 1 * * *"
    assert (timetable.run_offset, timetable.key_format) == (-1, "%Y-%m-%d")


def test_a_dag_file_imports_nothing_heavy():
    script = (
        "import sys\n"
        "import include.ingest.tasks, include.assets, include.schedules, include.dag_defaults\n"
        "heavy = {'duckdb', 'pyarrow', 'numpy', 'requests', 'boto3', 'include.contracts'}\n"
        "print(sorted(heavy & set(sys.modules)))\n"
    )

    printed = subprocess.run(
        [sys.executable, "-c", script],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    ).stdout

    assert printed.splitlines()[-1] == "[]"
