"""What the project's own marts say about publishing, and the tasks that publish them."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest
from airflow.sdk.exceptions import AirflowSkipException

from deploy.cloudflare.local_catalog import LocalCatalog
from deploy.cloudflare.local_cloudflare import LocalCloudflare
from include.cloudflare.errors import CloudflareError
from include.publish import tasks
from include.publish.iceberg import LAYOUT, VERSION
from include.publish.marts import PublishError
from include.publish.pipeline_tables import published_tables
from include.publish.services import Services, open_services
from include.publish.spec import PublishedMart, PublishSpecError, Sink, published_marts
from include.publish.state import STATE_KEY
from include.quality.store import DuckDBStore
from include.settings import Environment, Settings, current_settings, load_settings
from include.transform.manifest import Manifest, build_manifest, load_manifest
from include.transform.project import DbtProject
from tests.cloudflare.published import query_d1

PUBLISH = {
    Sink.D1: tasks.publish_d1,
    Sink.KV: tasks.publish_kv,
    Sink.ICEBERG: tasks.publish_iceberg,
}
VERIFY = {
    Sink.D1: tasks.verify_d1,
    Sink.KV: tasks.verify_kv,
    Sink.ICEBERG: tasks.verify_iceberg,
}


@pytest.fixture(scope="module")
def manifest() -> Manifest:
    project = DbtProject.of_target(Environment.DEV)
    build_manifest(project)
    return load_manifest(project.manifest_path)


@pytest.fixture
def settings(
    cloudflare: LocalCloudflare,
    catalog: LocalCatalog,
    manifest: Manifest,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Settings]:
    """Settings with a connection to the local Cloudflare, and a readers' copy of the marts."""
    access = cloudflare.access
    connection = {
        "conn_type": "generic",
        "host": access.base_url,
        "login": access.account_id,
        "password": access.token,
        "extra": {
            "d1_database_id": access.d1_database_id,
            "kv_namespace_id": access.kv_namespace_id,
            "iceberg": catalog.access.model_dump(),
            "requests_per_window": access.requests_per_window,
        },
    }
    monkeypatch.setenv("AIRFLOW_CONN_CLOUDFLARE", json.dumps(connection))
    made = load_settings(
        {"VENDING_DATA_DIR": str(tmp_path), "VENDING_CLOUDFLARE_CONNECTION": "cloudflare"}
    )
    monkeypatch.setattr(tasks, "current_settings", lambda: made)
    context = {"params": {tasks.ROLL_BACK: ""}, "run_id": "run-1", "ti": None}  # No lineage.
    monkeypatch.setattr(tasks, "get_current_context", lambda: context)
    current_settings.cache_clear()
    make_marts(made, published_marts(manifest))
    make_quality_tables(made)
    yield made
    current_settings.cache_clear()


def make_marts(settings: Settings, marts: tuple[PublishedMart, ...]) -> None:
    """Each published mart with two rows, of the types of its contract."""
    path = settings.warehouse.snapshot_path  # type: ignore[union-attr]
    path.parent.mkdir(parents=True, exist_ok=True)
    with duckdb.connect(str(path)) as connection:
        connection.execute("CREATE SCHEMA marts")
        for mart in marts:
            columns = ", ".join(f'"{c.name}" {c.data_type}' for c in mart.columns)
            connection.execute(f"CREATE TABLE marts.{mart.name} ({columns}, _ledger_seq BIGINT)")
            for row in (1, 2):
                values = [example(column.data_type, row) for column in mart.columns]
                marks = ", ".join("?" * len(values))
                connection.execute(f"INSERT INTO marts.{mart.name} VALUES ({marks}, 7)", values)


def make_quality_tables(settings: Settings) -> None:
    """Two runs' tests, of which the last one failed one and found nothing unusual."""
    with duckdb.connect(str(settings.warehouse.snapshot_path)) as connection:  # type: ignore[union-attr]
        store = DuckDBStore(connection)
        store.ensure_tables()
        for day, outcome in ((1, "passed"), (2, "failed")):
            connection.execute(
                "INSERT INTO ops.dbt_results (run_id, unique_id, name, resource_type, layer, "
                "outcome, recorded_at) SELECT $run, u, u, 'test', '', $outcome, $at "
                "FROM (VALUES ('test.a'), ('test.b')) t (u)",
                {"run": f"run-{day}", "outcome": outcome, "at": f"2026-11-0{day}"},
            )
        connection.execute(
            "INSERT INTO ops.quality_findings VALUES ('run-1', 'raw.sales', 'fleet', 'volume', "
            "DATE '2026-10-31', 1, 2, 3, 'error', false, TIMESTAMP '2026-11-01')"
        )


def example(data_type: str, row: int) -> Any:
    if data_type == "date":
        return f"2026-01-0{row}"
    if data_type == "timestamp":
        return f"2026-01-0{row} 09:00:00"
    if data_type == "boolean":
        return row == 1
    return f"text {row}" if data_type == "varchar" else row


def test_the_marts_of_the_edge_api_are_published(manifest: Manifest) -> None:
    found = {mart.name: mart.sinks for mart in published_marts(manifest)}
    assert found["fct_daily_machine_sales"] == (Sink.D1, Sink.ICEBERG)
    assert found["fct_sales"] == (Sink.ICEBERG,)
    assert found["fct_replenishment_plan"] == (Sink.D1, Sink.KV)
    assert {"dim_machines", "fct_machine_health", "fct_data_quality"} <= found.keys()


def test_columns_of_the_pipeline_itself_are_not_published(manifest: Manifest) -> None:
    for mart in published_marts(manifest):
        assert [column.name for column in mart.columns if column.name.startswith("_")] == []


@pytest.mark.parametrize(
    ("publish", "wrong"),
    [
        ({"d1": {"key": ["no_such_column"]}}, "no_such_column"),
        ({"d1": {"key": []}}, "d1.key"),
        ({"d1": {"key": ["source"], "colour": 1}}, "d1.colour"),
        ({"kv": {"key": "{machine}"}}, "machine"),
        ({"kv": {"key": "{source}", "ttl_seconds": 60}}, "kv.ttl_seconds"),
        ({"iceberg": {"key": ["source"], "partition": {"no_such": "day"}}}, "no_such"),
        ({"iceberg": {"key": ["source"], "partition": {"source": "week"}}}, "iceberg.partition"),
        ({"d2": {}}, "d2"),
    ],
)
def test_a_wrong_publish_is_told_by_mart_and_place(
    manifest: Manifest, publish: dict[str, Any], wrong: str
) -> None:
    content = json.loads(json.dumps(manifest.content))
    node = content["nodes"]["model.vending.fct_machine_health"]
    node["config"]["meta"]["publish"] = publish
    with pytest.raises(PublishSpecError, match=f"fct_machine_health.*{wrong}"):
        published_marts(Manifest(content))


def test_every_published_mart_arrives_and_is_verified(
    settings: Settings, cloudflare: LocalCloudflare
) -> None:
    outcomes = [
        PUBLISH[sink].function(mart.name)
        for mart in published_tables(load_manifest(settings.dbt_manifest_path))
        for sink in mart.sinks
    ]
    assert {outcome["how"] for outcome in outcomes} == {"replaced"}
    tasks.publish_state.function(outcomes, [])
    with open_services(settings) as services:
        state = services.kv().read(STATE_KEY) or ""
        assert services.lake.read_bytes("published/state.json").decode() == state
        assert len(json.loads(state)["marts"]) == len(outcomes)
        assert_verified(services)
    assert query_d1(cloudflare, "SELECT count(*) AS n FROM fct_data_quality") == [{"n": 2}]
    tests = query_d1(cloudflare, "SELECT run_id, outcome FROM pipeline_test_results")
    assert tests == [{"run_id": "run-2", "outcome": "failed"}] * 2
    assert query_d1(cloudflare, "SELECT * FROM pipeline_findings") == []

    tasks.get_current_context()["params"][tasks.ROLL_BACK] = "fct_replenishment_plan"
    with pytest.raises(PublishError, match="no version"):
        tasks.publish_kv.function("fct_replenishment_plan")


def assert_verified(services: Services) -> None:
    for mart in services.marts:
        for sink in mart.sinks:
            VERIFY[sink].function(mart.name)
        if Sink.ICEBERG in mart.sinks:
            tasks.compact_iceberg.function(mart.name)
            tasks.expire_iceberg.function(mart.name)
    tasks.check_limits.function()
    tasks.sweep.function()


def test_a_row_that_somebody_changed_at_the_edge_is_found(
    settings: Settings, cloudflare: LocalCloudflare
) -> None:
    tasks.publish_d1.function("fct_machine_health")
    query_d1(cloudflare, "UPDATE fct_machine_health SET readings = 9 WHERE readings = 1")
    with pytest.raises(PublishError, match="lacks 1 rows of the mart and has 1"):
        tasks.verify_d1.function("fct_machine_health")
    query_d1(cloudflare, "DELETE FROM publications WHERE mart = 'fct_machine_health'")
    tasks.publish_d1.function("fct_machine_health")
    tasks.verify_d1.function("fct_machine_health")


def test_a_row_that_somebody_added_to_an_iceberg_table_is_found(
    settings: Settings, catalog: LocalCatalog
) -> None:
    tasks.publish_iceberg.function("dim_products")
    with open_services(settings) as services:
        table = services.iceberg_table(services.mart("dim_products"))
    rows = table.scan().to_arrow()
    table.append(rows.slice(0, 1))
    with pytest.raises(PublishError, match="is no version of the mart"):
        tasks.verify_iceberg.function("dim_products")
    # As if it had been ours.
    version = dict(table.snapshots()[0].summary.additional_properties)
    told = {name: version[name] for name in (VERSION, LAYOUT)}
    table.append(rows.slice(1, 1), snapshot_properties=told)
    with pytest.raises(PublishError, match="lacks 0 rows of the mart and has 2"):
        tasks.verify_iceberg.function("dim_products")


def test_without_a_catalog_the_tasks_of_iceberg_are_skipped(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection = json.loads(os.environ["AIRFLOW_CONN_CLOUDFLARE"])
    del connection["extra"]["iceberg"]
    monkeypatch.setenv("AIRFLOW_CONN_CLOUDFLARE", json.dumps(connection))
    for task in (tasks.publish_iceberg, tasks.verify_iceberg, tasks.compact_iceberg):
        with pytest.raises(AirflowSkipException, match="names no Iceberg catalog"):
            task.function("dim_products")
    tasks.sweep.function()


def test_a_pair_that_somebody_deleted_is_found(settings: Settings) -> None:
    tasks.publish_kv.function("fct_replenishment_plan")
    with open_services(settings) as services:
        kv = services.kv()
        kv.delete_all([next(iter(kv.keys("stock/")))])
    with pytest.raises(PublishError, match="lacks 1 pairs"):
        tasks.verify_kv.function("fct_replenishment_plan")


def test_what_a_killed_publisher_left_is_swept_and_what_one_works_on_is_not(
    settings: Settings, cloudflare: LocalCloudflare, tmp_path: Path
) -> None:
    tasks.publish_d1.function("dim_machines")
    for version in ("left", "at-work"):
        query_d1(cloudflare, f'CREATE TABLE "dim_machines__{version}" (a INTEGER)')
    with open_services(settings) as services:
        at_work = tmp_path / "file"
        at_work.write_bytes(b"")
        services.versions(Sink.D1, "dim_machines").keep("at-work", at_work)
    tasks.sweep.function()
    found = query_d1(cloudflare, "SELECT name FROM sqlite_master WHERE name GLOB 'dim_machines__*'")
    assert [row["name"] for row in found if "by" not in row["name"]] == ["dim_machines__at-work"]


def test_without_a_connection_the_task_says_what_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks, "current_settings", lambda: load_settings({}))
    with pytest.raises(CloudflareError, match="set VENDING_CLOUDFLARE_CONNECTION"):
        tasks.publish_d1.function("dim_machines")
    assert tasks.publish_schedule(load_settings({})) is None
