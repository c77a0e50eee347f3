"""The two warehouses of the parity run, each fed and built as its environment does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from include.contracts import load_catalog
from include.ingest import steps
from include.ingest.plan import ConformedBatch, RunSummary
from include.ingest.runs import IngestRun
from include.lake import Lake
from include.settings import DuckDBSettings, Settings, SnowflakeSettings
from include.transform.dbt_command import run_dbt
from include.transform.manifest import load_manifest
from include.transform.project import DbtProject
from include.warehouse import open_warehouse
from tests.dbt.project import DbtProject as DuckDBProject
from tests.parity.comparison import Table, common_type
from tests.parity.services import DATABASE, Snowflake


@dataclass(frozen=True)
class Ingest:
    """Runs the steps of both ingest DAGs over the lake in the bucket, into Snowflake."""

    settings: Settings
    lake: Lake

    def __call__(self, day: str) -> list[tuple[RunSummary, list[ConformedBatch]]]:
        """Two runs: what each loaded, in the order of its plan."""
        files = IngestRun(self.lake, "ingest_files", f"scheduled__{day}")
        pages = IngestRun(self.lake, "ingest_apis", f"scheduled__{day}")
        return [
            self._finish(files, steps.discover_files(files, self.settings)),
            self._finish(pages, steps.discover_pages(pages, self.settings)),
        ]

    def _finish(
        self, run: IngestRun, groups: Sequence[Sequence[str]]
    ) -> tuple[RunSummary, list[ConformedBatch]]:
        for group in groups:
            steps.conform(run, self.settings, group)
        steps.load(run, self.settings)
        summary = steps.verify_run(run, self.settings)
        conformed = [run.read_conformed(key) for group in groups for key in group]
        return summary, [batch for batch in conformed if batch is not None]


@dataclass(frozen=True)
class DuckDB:
    """The warehouse of dev, fed with the batches that staging has loaded."""

    path: Path
    lake: Lake
    artifacts: Path

    def load(self, batches: Sequence[ConformedBatch], run_id: str) -> None:
        catalog = load_catalog()
        settings = DuckDBSettings(path=self.path, snapshot_path=self.path)
        with open_warehouse(settings, self.lake) as warehouse:
            warehouse.ensure_schema(catalog.datasets)
            order = catalog.loading_order
            for batch in sorted(batches, key=lambda batch: order.index(batch.dataset)):
                warehouse.load(batch, catalog.dataset(batch.dataset), run_id)

    def build(self) -> None:
        DuckDBProject(self.path, self.artifacts).invoke("run")

    def mart(self, name: str) -> Table:
        with duckdb.connect(str(self.path), read_only=True) as connection:
            described = connection.execute(f"DESCRIBE marts.{name}").fetchall()
            rows = connection.execute(f"SELECT * FROM marts.{name}").fetchall()
        return Table(
            tuple(column[0] for column in described),
            tuple(common_type(column[1]) for column in described),
            tuple(rows),
        )


@dataclass(frozen=True)
class SnowflakeMarts:
    """The warehouse of staging, built by dbt-snowflake as the DAG's tasks call it."""

    server: Snowflake
    settings: Settings

    def build(self, target_path: Path, command: str = "run") -> Any:
        project = DbtProject.of_settings(self.settings)
        target_path.mkdir(parents=True, exist_ok=True)
        result = run_dbt(project, command, ("--quiet",), target_path=target_path)
        failed = [
            f"{node.node.unique_id}: {node.message}"
            for node in result.results
            if node.status not in ("success", "pass")
        ]
        assert failed == []
        return result

    def mart(self, name: str) -> Table:
        assert isinstance(self.settings.warehouse, SnowflakeSettings)
        described = self.server.fetch(
            "SELECT column_name, data_type, numeric_precision, numeric_scale "
            f"FROM {DATABASE}.information_schema.columns "
            f"WHERE table_schema = 'MARTS' AND table_name = '{name.upper()}' "
            "ORDER BY ordinal_position"
        )
        rows = self.server.fetch(f"SELECT * FROM {DATABASE}.marts.{name}")
        return Table(
            tuple(column.lower() for column, *_ in described),
            tuple(_type(*column[1:]) for column in described),
            tuple(rows),
        )


def _type(data_type: str, precision: int | None, scale: int | None) -> str:
    is_number = data_type.upper() == "NUMBER"
    return common_type(f"NUMBER({precision},{scale})" if is_number else data_type)


def mart_names(manifest: Path) -> list[str]:
    return [mart.name for mart in load_manifest(manifest).marts]
