"""`make rebuild` over a truncated warehouse: the same rows in every raw table and every mart."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

REPOSITORY = Path(__file__).parents[2]
FLEET = ("--machines", "5", "--days", "10", "--seed", "3", "--end-date", "2026-10-31")

# What a run of ingest_files and one of transform do, without Airflow.
INGEST_AND_BUILD = """
from include import rebuild
from include.ingest import steps
from include.ingest.runs import IngestRun
from include.lake import open_lake
from include.settings import current_settings

settings = current_settings()
rebuild._ingest(IngestRun(open_lake(settings.lake), "ingest_files", "1"), settings,
                steps.discover_files)
rebuild._build(settings)
"""


def python(data: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=REPOSITORY, capture_output=True, text=True, timeout=280, check=False,
        env={**os.environ, "VENDING_DATA_DIR": str(data), "PYTHONPATH": str(REPOSITORY)},
    )  # fmt: skip


def contents(warehouse: Path) -> dict[str, tuple[int, int]]:
    """Rows, and a hash that ignores their order, of every table of raw and marts."""
    with duckdb.connect(str(warehouse), read_only=True) as connection:
        tables = connection.execute(
            "SELECT table_schema || '.' || table_name FROM information_schema.tables "
            "WHERE table_schema IN ('raw', 'marts')"
        ).fetchall()
        return {
            table: connection.execute(
                f"SELECT count(*), coalesce(bit_xor(hash(t)), 0) FROM {table} AS t"
            ).fetchone()
            for (table,) in tables
        }


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_truncated_warehouse_is_made_again_with_its_marts(tmp_path: Path) -> None:
    warehouse = tmp_path / "dbt_dev.duckdb"
    state = ("--state", str(tmp_path / "simulator.json"))
    sources = ("--out", str(tmp_path / "sources"), "--faults", "all")
    assert python(tmp_path, "-m", "simulator", "write", *state, *sources, *FLEET).returncode == 0
    built = python(tmp_path, "-c", INGEST_AND_BUILD)
    assert built.returncode == 0, built.stderr
    before = contents(warehouse)
    os.truncate(warehouse, warehouse.stat().st_size // 2)

    rebuilt = python(tmp_path, "-m", "include.rebuild")

    assert rebuilt.returncode == 0, rebuilt.stderr
    assert "dbt_dev.duckdb is made again" in rebuilt.stdout
    assert before["raw.sales"][0] > 0
    assert before["marts.fct_sales"][0] > 0
    assert contents(warehouse) == before
    assert contents(tmp_path / "snapshot" / "vending.duckdb") == before
