"""Personal data that nobody has goes through the whole platform, and is looked for afterwards.

Ingest, transform and the compliance report run in a real Airflow of this module's own, with a dbt
test that fails: its rows are as personal as any, and they are shown in alerts.
"""

from __future__ import annotations

import base64
import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

import duckdb
import pytest

from deploy.local.layout import Layout
from deploy.local.ports import free_ports
from include.contracts import load_catalog
from include.privacy.marks import PersonalKind
from tests.drills import canaries
from tests.drills.kept import everything_kept
from tests.drills.stack import Platform, connection, platform, wait_until
from tests.include.ingest.vendor import TOKEN, Vendor, page, serving

pytestmark = pytest.mark.timeout(600)

DAGS = ("ingest_files", "ingest_apis", "transform", "report_compliance")
WEBHOOK = "T000-canary-webhook-B000"  # pragma: allowlist secret
SHOWING_TEST = "assert_nobody_is_on_the_staff"
# A test of a model that no other is made of, so that its failure stops nothing but the run.
SHOWING_ROWS = """
-- depends_on: {{ ref('fct_replenishments') }}
select staff.*, replenishment.note, replenishment._extra as noted, quarantine.record
from {{ var('raw_schema') }}.staff as staff
left join {{ var('raw_schema') }}.replenishment as replenishment on true
left join {{ var('ops_schema') }}.quarantine as quarantine on true
"""


@pytest.fixture(scope="module")
def airflow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """The platform after a run over the canaries: ingest, transform and the month's report."""
    (closed,) = free_ports(1)
    with (
        serving() as fleet,
        serving() as weather,
        pytest.MonkeyPatch.context() as monkeypatch,
        platform(
            tmp_path_factory.mktemp("canaries"),
            monkeypatch,
            variables={
                "AIRFLOW_CONN_FLEET_API": connection(fleet.base_url, TOKEN),
                "AIRFLOW_CONN_WEATHER_API": connection(weather.base_url, TOKEN),
                # Every alert tries it and fails, and says so in a log.
                "AIRFLOW_CONN_SLACK": connection(f"http://127.0.0.1:{closed}", WEBHOOK),
            },
            dag_ids=DAGS,
            change=_add_showing_test,
        ) as started,
    ):
        _plant(started, fleet, weather)
        _run_everything(started)
        yield started


def _add_showing_test(repository: Path) -> None:
    path = repository / "dbt" / "tests" / f"{SHOWING_TEST}.sql"
    path.write_text(SHOWING_ROWS, encoding="utf-8")


def _plant(airflow: Platform, fleet: Vendor, weather: Vendor) -> None:
    for name, content in canaries.files():
        encoding = "cp932" if name.startswith("vending_machines") else "utf-8"
        airflow.deliver(name, content.encode(encoding))
    for vendor, item in ((fleet, canaries.telemetry()), (weather, canaries.weather())):
        vendor.pages[None] = page(json.dumps(item), next_cursor="end", has_more=False)
        vendor.pages["end"] = page(next_cursor="end", has_more=False)


def _run_everything(airflow: Platform) -> None:
    for run in [airflow.start("ingest_files"), airflow.start("ingest_apis")]:
        assert airflow.finish(run).state == "success"
    # Started by the assets that both have brought up to date.
    wait_until(lambda: airflow.api.runs(["transform"]), "the start of transform")
    [transform] = airflow.api.runs(["transform"])
    assert airflow.finish(transform).state == "failed"
    assert airflow.run("report_compliance").state == "success"


@pytest.fixture(scope="module")
def kept(airflow: Platform) -> dict[str, bytes]:
    return airflow.everything_kept()


def test_each_masked_field_of_each_contract_has_a_canary(airflow: Platform) -> None:
    for dataset in load_catalog().datasets:
        for field in dataset.fields:
            if field.masking:
                [(rows,)] = airflow.rows(f"SELECT count({field.name}) FROM raw.{dataset.name}")
                assert rows, f"{dataset.name}.{field.name}"


def test_each_kind_of_personal_data_was_found_and_told(airflow: Platform) -> None:
    found = {kind for (kind,) in airflow.rows("SELECT DISTINCT kind FROM ops.pii_findings")}
    assert found == {kind.value for kind in PersonalKind}
    assert "personal data masked in text: fleet.replenishment: " in airflow.alerts()


def test_the_marts_are_built_and_only_the_planted_test_fails(airflow: Platform) -> None:
    failed = airflow.rows("SELECT name FROM ops.dbt_results WHERE outcome <> 'passed'")
    assert failed == [(SHOWING_TEST,)]
    assert airflow.rows("SELECT count(*) FROM marts.dim_staff") == [(1,)]
    assert SHOWING_TEST in airflow.alerts()


def test_the_search_looks_wherever_something_could_be_kept(
    airflow: Platform, kept: dict[str, bytes]
) -> None:
    assert "slack could not be told" in airflow.all_logs()
    assert any(b"[masked:my_number]" in content for content in kept.values())
    for place in (
        "airflow.db xcom",
        "airflow.db rendered_task_instance_fields",
        "airflow.db log",
        "dbt_dev.duckdb raw.staff",
        "dbt_dev.duckdb marts.dim_staff",
        "dbt_dev.duckdb ops.quarantine",
        "dbt_dev.duckdb ops.dbt_results",
        "dag_id=transform/",
        "/run_results.json",
        f"/compiled/test.vending.{SHOWING_TEST}.sql",
        "/documentation/catalog.json",
        "/documentation/manifest.json",
        "/vault/",
        "/quarantine/",
        "/alerts.log",
        "/monitoring/health.json",
        "/monitoring/alerts/",
        "/monitoring/compliance/",
    ):
        assert [name for name in kept if place in name], place


def test_planted_personal_data_is_nowhere_but_where_it_came(kept: dict[str, bytes]) -> None:
    assert canaries.traces(kept) == []


def test_secrets_of_connections_are_nowhere(kept: dict[str, bytes]) -> None:
    secrets = (TOKEN.encode(), WEBHOOK.encode())
    assert [name for name, content in kept.items() if any(s in content for s in secrets)] == []


def test_the_search_for_canaries_finds_them_in_every_form() -> None:
    text = f"-- {canaries.NAMES[1]} {canaries.PHONE} --"
    written = {
        "utf-8": text.encode(),
        "utf-16": text.encode("utf-16"),
        "json": json.dumps(text).encode(),
        "url": quote(text).encode(),
        **{f"base64 {n}": base64.b64encode(b"x" * n + text.encode()) for n in range(3)},
    }
    found = canaries.traces(written)
    assert {name for name, canary in found if canary == canaries.NAMES[1]} == set(written)
    assert {name for name, canary in found if canary == canaries.PHONE} == set(written)


def test_the_search_reads_what_databases_and_parquet_hold(tmp_path: Path) -> None:
    """Of compressed files the bytes show nothing; a date is no text, and text may be in a blob."""
    layout = Layout(tmp_path / "data", tmp_path / "airflow")
    layout.data.mkdir()
    layout.airflow_home.mkdir()
    name, text = canaries.NAMES[1], canaries.EMAIL
    with duckdb.connect(str(layout.warehouse)) as warehouse:
        warehouse.execute(
            f"CREATE TABLE leaks AS SELECT encode('{name}') AS name, DATE '{canaries.BORN}' AS born"
        )
        warehouse.execute(f"COPY leaks TO '{layout.data / 'leaks.parquet'}'")
    with closing(sqlite3.connect(layout.metadata_database)) as metadata, metadata:
        metadata.execute("CREATE TABLE xcom AS SELECT ? AS value", [text])

    found = canaries.traces(everything_kept(layout))

    places = (f"{layout.warehouse} main.leaks", f"{layout.data / 'leaks.parquet'} rows")
    expected = {(place, canary) for place in places for canary in (name, canaries.BORN)}
    assert expected <= set(found)
    assert (f"{layout.metadata_database} xcom", text) in found
