"""A DuckDB warehouse of two models and a test, and what dbt said of them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest

from include.contracts import Dialect
from include.contracts.raw_tables import create_ops_tables
from include.lake import DiskLake
from include.settings import Settings, load_settings
from include.transform.artifacts import NodeResult
from include.transform.manifest import Manifest

SALES, TEST, OTHER = "model.v.fct_sales", "test.v.positive_amount.1a", "model.v.fct_other"
STARTED = datetime(2026, 11, 20, 3, 0, tzinfo=UTC)

Rows = Callable[[str], list[tuple[Any, ...]]]


def node(unique_id: str) -> dict[str, Any]:
    kind, package, name = unique_id.split(".")[:3]
    return {
        "name": name,
        "resource_type": kind,
        "fqn": [package, "marts", name],
        "config": {"materialized": "table", "meta": {"owner": "sales-operations"}},
        "depends_on": {"nodes": [SALES] if kind == "test" else []},
    }


@pytest.fixture
def manifest() -> Manifest:
    return Manifest({"nodes": {i: node(i) for i in (SALES, TEST, OTHER)}, "parent_map": {}})


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load_settings({"VENDING_ENV": "dev", "VENDING_DATA_DIR": str(tmp_path)})


@pytest.fixture
def lake(tmp_path: Path) -> DiskLake:
    return DiskLake(tmp_path)


@pytest.fixture
def warehouse(settings: Settings) -> Path:
    """The file, with an empty ledger."""
    with duckdb.connect(str(settings.warehouse.path)) as connection:
        connection.execute("CREATE SCHEMA ops")
        for statement in create_ops_tables(Dialect.DUCKDB):
            connection.execute(statement)
    return settings.warehouse.path


@pytest.fixture
def rows(warehouse: Path) -> Rows:
    def fetch(statement: str) -> list[tuple[Any, ...]]:
        with duckdb.connect(str(warehouse)) as connection:
            return connection.execute(statement).fetchall()

    return fetch


def passed(unique_id: str, *, rows_affected: int | None = None) -> NodeResult:
    return NodeResult(
        unique_id, "success", "", None, started_at=STARTED, seconds=1.5, rows_affected=rows_affected
    )


def failed(unique_id: str, statement: str) -> NodeResult:
    message = "Got 7 results,\n  configured to fail if != 0"
    return NodeResult(unique_id, "fail", message, 7, STARTED, 0.2, None, statement)
