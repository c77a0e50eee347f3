"""The anonymised export: staging can work on it, and nobody can tell who is meant.

Each export here goes through the tasks of the DAG, from one lake on disk to another, and is
ingested there under the contracts of the platform; tests/parity has one between buckets.
"""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from types import SimpleNamespace

import duckdb
import pytest
from airflow.sdk.exceptions import AirflowFailException

from include.contracts import Catalog, load_catalog
from include.contracts.exported import EXPORTS
from include.ingest import settle
from include.lake import DiskLake, Lake, open_lake
from include.nights import mark_ingested
from include.privacy import export, tasks
from include.privacy.anonymise import Anonymiser, ExportRules, person_fields
from include.privacy.export import ExportError
from include.privacy.masking_sql import prepare_masking
from include.privacy.pepper import local_pepper
from include.privacy.release_checks import objections
from include.settings import (
    DiskLakeSettings,
    DuckDBSettings,
    PepperFile,
    Settings,
    load_settings,
)
from tests.include.ingest.running import Ingest, products, sales
from tests.include.privacy.deliveries import STAFF, replenishment, staff

DAY = date(2026, 1, 1)


@dataclass(frozen=True)
class Platform:
    """Prod and staging, each with a lake and a warehouse of its own."""

    prod: Settings
    staging: Settings

    @property
    def lake(self) -> Lake:
        return open_lake(self.prod.lake)

    @property
    def staging_lake(self) -> Lake:
        return open_lake(self.staging.lake)

    def rows(self, settings: Settings, statement: str) -> list[tuple]:
        with duckdb.connect(str(settings.warehouse.path), read_only=True) as connection:
            return connection.execute(statement).fetchall()

    def in_both(self, statement: str) -> tuple[list[tuple], list[tuple]]:
        return self.rows(self.prod, statement), self.rows(self.staging, statement)

    @property
    def exported(self) -> list[str]:
        return sorted(stored.key for stored in self.staging_lake.list(f"sources/{EXPORTS}"))


def platform_over(folder: Path) -> Platform:
    prod = load_settings(
        {"VENDING_ENV": "prod", "VENDING_COMPANY": "acme", "VENDING_KMS_KEY_ID": "key"}
    )
    prod = prod._replace(
        lake=DiskLakeSettings(root=folder / "prod"),
        staging_lake=DiskLakeSettings(root=folder / "staging"),
        warehouse=DuckDBSettings(path=folder / "prod.db", snapshot_path=folder / "s.db"),
        pepper=PepperFile(path=folder / "pepper-prod"),
        export_pepper=PepperFile(path=folder / "pepper-export"),
    )
    return Platform(prod, load_settings({"VENDING_DATA_DIR": str(folder / "staging")}))


def after_ingest(platform: Platform) -> Platform:
    """Prod has loaded a day, and part of the next; the night's ingest has ended."""
    ingest = Ingest(platform.lake, platform.prod)
    ingest.deliver("staff.csv", staff())
    ingest.deliver("products.csv", products("緑茶", "Cola 090-1111-2222"))
    ingest.deliver("sales_VM001_20260101.csv", sales("VM001", 120, 130, 140, "none"))
    ingest.deliver("sales_VM002_20260102.csv", sales("VM002", 999, day="2026-01-02"))
    ingest.deliver("replenishment_records_VM001_20260101.csv", replenishment(DAY))
    assert ingest().rows_quarantined == 1
    for dag_id in ("ingest_files", "ingest_apis"):
        run = SimpleNamespace(dag_id=dag_id, run_id="r", partition_key=str(DAY), run_after=None)
        mark_ingested(platform.lake, run)
    return platform


@pytest.fixture(autouse=True)
def no_pause_between_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settle, "PAUSE_SECONDS", 0.0)


@pytest.fixture(scope="module")
def ingested(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("platform") / "both"
    after_ingest(platform_over(folder))
    return folder


@pytest.fixture
def platform(ingested: Path, tmp_path: Path) -> Platform:
    """Both lakes on disk, as ingest has left prod's."""
    shutil.copytree(ingested, tmp_path / "both")
    return platform_over(tmp_path / "both")


@dataclass
class ExportDag:
    """Runs the tasks of `export_anonymised` one after the other."""

    monkeypatch: pytest.MonkeyPatch

    def __call__(self, platform: Platform, k: int = 3, shift_days: int = 1) -> None:
        run = SimpleNamespace(
            run_id="scheduled__1", partition_key=str(DAY), conf=None, triggering_user_name=None
        )
        context = {"dag_run": run, "params": {"k": k, "shift_days": shift_days}}
        self.monkeypatch.setattr(tasks, "get_current_context", lambda: context)
        self.monkeypatch.setattr("include.settings.current_settings", lambda: platform.prod)
        for contract in tasks.plan_export.function():
            tasks.anonymise.function(contract)
        tasks.release.function()


@pytest.fixture
def run_export(monkeypatch: pytest.MonkeyPatch) -> ExportDag:
    return ExportDag(monkeypatch)


def test_staging_ingests_the_export_and_has_prods_rows_a_day_later(platform, run_export) -> None:
    run_export(platform)

    summary = Ingest(platform.staging_lake, platform.staging)()

    assert summary.rows_quarantined == 0
    assert platform.exported == [
        "sources/anonymised/fleet.products.anonymised/current.jsonl",
        "sources/anonymised/fleet.replenishment.anonymised/2026-01-02.jsonl",
        "sources/anonymised/fleet.sales.anonymised/2026-01-02.jsonl",
        "sources/anonymised/fleet.staff.anonymised/current.jsonl",
    ]
    days = platform.in_both(
        "SELECT business_date, sum(amount) FROM raw.sales GROUP BY 1 ORDER BY 1"
    )
    assert days == (
        [(date(2026, 1, 1), 390), (date(2026, 1, 2), 999)],
        [(date(2026, 1, 2), 390)],
    )
    for table in ("products", "replenishment", "staff"):
        prod, staging = platform.in_both(f"SELECT count(*) FROM raw.{table}")
        assert prod == staging


def test_joins_hold_in_the_export_and_nobody_has_the_same_name_there(platform, run_export) -> None:
    run_export(platform)
    Ingest(platform.staging_lake, platform.staging)()

    prod, staging = platform.in_both(
        "SELECT count(*), count(DISTINCT staff_id) "
        "FROM raw.replenishment JOIN raw.staff USING (staff_id)"
    )
    assert prod == staging == [(20, 10)]
    for column in ("staff_id", "email"):
        prod, staging = platform.in_both(f"SELECT {column} FROM raw.staff")
        assert not {*prod} & {*staging}


def test_nothing_personal_is_in_the_staging_lake(platform, run_export) -> None:
    run_export(platform)

    everything = b"".join(platform.staging_lake.read_bytes(key) for key in platform.exported)
    planted = {value for person in STAFF for value in person[:4]} | {"090-1111-2222"}
    assert "緑茶".encode() in everything
    assert [value for value in planted if f'"{value}"'.encode() in everything] == []
    assert b"090-1" not in everything


def test_what_no_contract_classifies_stays_in_prod(platform, run_export) -> None:
    run_export(platform)

    extra = platform.rows(platform.prod, "SELECT _extra FROM raw.staff")
    assert extra == [('{"locker": "4711"}',)] * len(STAFF)
    everything = b"".join(platform.staging_lake.read_bytes(key) for key in platform.exported)
    assert b"locker" not in everything


def test_what_few_share_is_suppressed_and_what_many_share_is_kept(platform, run_export) -> None:
    run_export(platform, k=4)

    key = "sources/anonymised/fleet.staff.anonymised/current.jsonl"
    rows = [json.loads(line) for line in platform.staging_lake.read_bytes(key).splitlines()]
    routes = Counter(row["route_code"] for row in rows)
    # Ends of telephone numbers are one person's own; with a rare route its day of entry goes too.
    assert routes == {"R1": 5, "R2": 4, None: 1}
    assert {row["phone"] for row in rows} == {None}
    assert Counter(row["employed_from"] for row in rows) == {"2020-04-02": 9, None: 1}


def test_every_export_is_in_the_audit_table(platform, run_export) -> None:
    run_export(platform)

    [(actor, action, outcome)] = platform.rows(
        platform.prod, "SELECT actor, action, outcome FROM ops.privacy_audit"
    )
    assert (actor, action) == ("schedule", "exported")
    assert outcome == (
        "4 files with 35 rows, k of 3, dates shifted by 1 days; 1 rejected rows stay in quarantine."
    )


def with_required_route(catalog: Catalog) -> Catalog:
    """A contract under which a route cannot be suppressed."""
    staff = catalog.dataset("staff")
    fields = tuple(
        dataclasses.replace(
            field,
            required=field.name == "route_code" or field.required,
            is_quasi_identifier=field.name == "route_code",
        )
        for field in staff.fields
    )
    changed = dataclasses.replace(staff, fields=fields)
    sources = tuple(
        dataclasses.replace(source, dataset=changed) if source.dataset is staff else source
        for source in catalog.sources
    )
    datasets = tuple(changed if each is staff else each for each in catalog.datasets)
    return dataclasses.replace(catalog, datasets=datasets, sources=sources)


def test_a_group_smaller_than_k_is_not_released_and_nothing_else_is(
    platform, run_export, monkeypatch
) -> None:
    catalog = with_required_route(load_catalog())
    monkeypatch.setattr(export, "load_catalog", lambda: catalog)

    with pytest.raises(AirflowFailException) as refused:
        run_export(platform, k=5)

    assert str(refused.value).startswith(
        "Not released: fleet.staff: 2 combinations of route_code are those of fewer than 5 persons,"
        " the rarest of 1; "
    )
    assert platform.exported == []
    [(action, outcome)] = platform.rows(
        platform.prod, "SELECT action, outcome FROM ops.privacy_audit"
    )
    assert (action, outcome) == ("export_refused", str(refused.value))


def test_the_warehouses_own_pepper_is_refused(platform, run_export) -> None:
    same = platform.prod._replace(export_pepper=platform.prod.pepper)

    with pytest.raises(AirflowFailException, match="pepper of exports is that of the warehouse"):
        run_export(Platform(same, platform.staging))
    assert platform.exported == []


def test_only_prod_exports(platform, run_export) -> None:
    with pytest.raises(AirflowFailException, match="dev exports nothing; only prod does"):
        run_export(Platform(platform.staging, platform.staging))


def test_a_day_is_not_exported_before_its_ingest_has_ended(platform, run_export) -> None:
    lake = DiskLake(platform.prod.lake.root)
    lake.delete(f"dbt-artifacts/nights/{DAY}/ingest_apis.json")

    with pytest.raises(ExportError, match="ingest_apis has not ended"):
        run_export(platform)


def test_an_export_that_is_repeated_delivers_the_same_bytes(platform, run_export) -> None:
    run_export(platform)
    before = {key: platform.staging_lake.read_bytes(key) for key in platform.exported}

    run_export(platform)

    assert {key: platform.staging_lake.read_bytes(key) for key in platform.exported} == before


@pytest.fixture
def checked(tmp_path: Path) -> Iterator[Anonymiser]:
    """A connection in which a test makes the rows itself."""
    catalog = load_catalog()
    with duckdb.connect() as connection:
        prepare_masking(connection, local_pepper(tmp_path / "pepper"))
        yield Anonymiser(
            connection, catalog.source("fleet.staff"), person_fields(catalog), ExportRules(k=2)
        )


def release_rows(export: Anonymiser, path: Path, **columns: str) -> list[str]:
    """What is objected to two rows with these values, of which the warehouse has the same."""
    values = ", ".join(
        f"{columns.get(field.name, 'NULL')} AS {field.name}" for field in export.fields
    )
    for table in ("original", "exported"):
        export.connection.execute(f"CREATE TABLE {table} AS SELECT {values} FROM range(2) t (n)")
    export.write(path)
    return objections(export, path)


def test_a_value_that_the_warehouse_has_too_is_found(checked, tmp_path) -> None:
    found = release_rows(checked, tmp_path / "a", staff_id="'S1'", email="'h1:00'")

    assert [sentence.split(",")[0] for sentence in found] == [
        "fleet.staff.staff_id: 1 values are those of the warehouse",
        "fleet.staff.email: 1 values are those of the warehouse",
    ]


def test_personal_data_that_an_earlier_version_let_through_is_found(checked, tmp_path) -> None:
    found = release_rows(checked, tmp_path / "a", phone="'090-1234-5678'")

    assert "fleet.staff.phone: 2 values hold personal data" in found


def test_persons_are_told_apart_by_who_they_are_and_not_by_their_rows(checked, tmp_path) -> None:
    found = release_rows(checked, tmp_path / "a", staff_id="'S1'", route_code="'R1'")

    assert (
        "1 combinations of phone, birth_years, home_prefecture, route_code, employed_from"
        in found[0]
    )
    assert "the rarest of 1" in found[0]
