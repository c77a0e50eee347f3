"""Marts that are published from Snowflake, through the emulator."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import duckdb
import pytest

from include.publish.d1_sql import d1_table
from include.publish.digests import RowDigests
from include.publish.marts import MartReader, PublishError, open_file, open_marts
from include.publish.pipeline_tables import TEST_RESULTS
from include.publish.spec import Column, D1Spec, PublishedMart, PublishSpec
from include.settings import Settings, SnowflakeSettings
from include.warehouse.base import WarehouseError
from tests.parity.services import DATABASE, Cloud

COLUMNS = {
    "machine_id": "varchar",
    "business_date": "date",
    "units": "bigint",
    "revenue": "decimal(18,2)",
    "share": "double",
    "is_open": "boolean",
    "seen_at": "timestamp",
}
SPEC = D1Spec(key=("machine_id",))
MART = PublishedMart(
    "fct_any", "marts", tuple(Column(*each) for each in COLUMNS.items()), PublishSpec(d1=SPEC)
)
ROWS = (
    "('VM''1', DATE '2026-11-20', 9007199254740991, 1234567890123.45, 0.1, true, "
    "TIMESTAMP '2026-11-20 09:30:00.123456'), "
    "('日本', DATE '2026-01-01', -1, -0.01, 2.5, false, TIMESTAMP '2026-01-01 00:00:00'), "
    "('none', NULL, NULL, NULL, NULL, NULL, NULL)"
)


def create(schema: str) -> tuple[str, ...]:
    columns = ", ".join(f"{name} {data_type}" for name, data_type in COLUMNS.items())
    return (
        f"CREATE SCHEMA IF NOT EXISTS {schema}",
        f"CREATE OR REPLACE TABLE {schema}.fct_any ({columns}, _load_id BIGINT)",
        f"INSERT INTO {schema}.fct_any SELECT *, 7 FROM (VALUES {ROWS}) t",
    )


@pytest.fixture
def settings(settings: Settings, cloud: Cloud) -> Settings:
    cloud.snowflake.execute(*create(f"{DATABASE}.marts"))
    # The emulator knows one user.
    assert isinstance(settings.warehouse, SnowflakeSettings)
    connection = settings.warehouse.connection_id
    warehouse = settings.warehouse._replace(transform_connection_id=connection)
    return settings._replace(warehouse=warehouse)


@pytest.fixture
def reader(settings: Settings, tmp_path: Path) -> Iterator[MartReader]:
    with open_marts(settings, tmp_path) as opened:
        yield opened


def version(reader: MartReader, path: Path) -> str:
    table = d1_table(MART, SPEC)
    digests = RowDigests(reader, reader.relation(MART), table.row_key, table.row)
    digests.write(path)
    return digests.version(path, "layout")


def test_a_mart_has_the_same_version_from_either_warehouse(
    reader: MartReader, tmp_path: Path
) -> None:
    with duckdb.connect(str(tmp_path / "snapshot.duckdb")) as connection:
        for statement in create("marts"):
            connection.execute(statement)
    scratch = tmp_path / "duckdb"
    scratch.mkdir()
    with open_file(tmp_path / "snapshot.duckdb", scratch) as of_duckdb:
        expected = version(of_duckdb, scratch / "version.parquet")
    assert version(reader, tmp_path / "version.parquet") == expected


def test_rows_stay_as_they_were_when_the_reader_first_saw_them(
    reader: MartReader, cloud: Cloud, tmp_path: Path
) -> None:
    before = version(reader, tmp_path / "version.parquet")
    cloud.snowflake.execute(f"DELETE FROM {DATABASE}.marts.fct_any")
    assert version(reader, tmp_path / "version.parquet") == before


def test_a_mart_that_is_not_built_is_one_sentence(reader: MartReader) -> None:
    with pytest.raises(PublishError, match=r"failed while reading the mart fct_none \(.*\); "):
        reader.relation(replace(MART, name="fct_none"))


def test_of_the_pipelines_own_tables_only_the_last_runs_rows_are_read(
    reader: MartReader, cloud: Cloud
) -> None:
    table = f"{DATABASE}.ops.dbt_results"
    columns = ", ".join(f"{each.name} {each.data_type}" for each in TEST_RESULTS.columns)
    cloud.snowflake.execute(
        f"CREATE OR REPLACE TABLE {table} ({columns}, resource_type VARCHAR)",
        f"INSERT INTO {table} VALUES "
        "('t', 'run-1', 't', 'm', 'failed', 1, TIMESTAMP '2026-11-01', 'test'), "
        "('t', 'run-2', 't', 'm', 'passed', 0, TIMESTAMP '2026-11-02', 'test'), "
        "('m', 'run-2', 'm', 'm', 'passed', 0, TIMESTAMP '2026-11-02', 'model')",
    )
    found = reader.connection.execute(
        f"SELECT unique_id, run_id, outcome FROM {reader.relation(TEST_RESULTS)}"
    ).fetchall()
    assert found == [("t", "run-2", "passed")]


def test_a_connection_that_is_missing_is_one_sentence(settings: Settings, tmp_path: Path) -> None:
    missing = settings.warehouse._replace(transform_connection_id="nobody")
    with (
        pytest.raises(WarehouseError, match=r"The Airflow connection 'nobody' is missing"),
        open_marts(settings._replace(warehouse=missing), tmp_path),
    ):
        pass
