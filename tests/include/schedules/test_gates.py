"""Transform waits for the night's ingest and for staging, and says what is missing."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException, TaskDeferred

from include.bundle import bundle_checksum
from include.contracts import load_catalog
from include.lake import DiskLake
from include.nights import Mark, Night, Part, mark_ingested
from include.schedules import business_day
from include.settings import (
    DiskLakeSettings,
    DuckDBSettings,
    Environment,
    Settings,
    current_settings,
    load_settings,
)
from include.transform import gates
from include.transform.gates import (
    OVERRIDE_PARAM,
    Gate,
    missing_of_ingest,
    missing_of_staging,
)
from include.warehouse import open_warehouse
from tests.include.warehouse.batches import BatchMaker, Version

SALES = load_catalog().dataset("sales")


@pytest.fixture
def prod(tmp_path: Path) -> Settings:
    """Prod with a lake, a warehouse and staging's lake on disk."""
    settings = load_settings(
        {"VENDING_ENV": "prod", "VENDING_COMPANY": "acme", "VENDING_KMS_KEY_ID": "key"}
    )
    warehouse = DuckDBSettings(path=tmp_path / "w.duckdb", snapshot_path=tmp_path / "s.duckdb")
    return settings._replace(
        lake=DiskLakeSettings(root=tmp_path / "prod"),
        staging_lake=DiskLakeSettings(root=tmp_path / "staging"),
        warehouse=warehouse,
    )


@pytest.fixture
def lake(prod: Settings) -> DiskLake:
    return DiskLake(prod.lake.root)


@pytest.fixture
def staging_lake(prod: Settings) -> DiskLake:
    return DiskLake(prod.staging_lake.root)


def night_run(day: str = "2026-01-01", due: datetime | None = None, **conf: str) -> Any:
    return SimpleNamespace(
        dag_id="transform",
        run_id="scheduled__1",
        partition_key=day,
        run_after=due or datetime.now(UTC),
        conf=conf or None,
        triggering_user_name="ann",
    )


def ingest_ended(lake: DiskLake, day: str = "2026-01-01") -> None:
    for dag_id in ("ingest_files", "ingest_apis"):
        mark_ingested(
            lake, SimpleNamespace(dag_id=dag_id, run_id="r", partition_key=day, run_after=None)
        )


def load(prod: Settings, lake: DiskLake, *versions: Version) -> None:
    """Loads with the business dates of their landing."""
    with open_warehouse(prod.warehouse, lake) as warehouse:
        warehouse.ensure_schema(load_catalog().datasets)
        for number, version in enumerate(versions):
            batch = BatchMaker(lake)(version, batch_id=f"b{number}")
            [file] = batch.files
            day = version.landed_at.date()
            dated = file.model_copy(update={"business_date_from": day, "business_date_to": day})
            warehouse.load(batch.model_copy(update={"files": (dated,)}), SALES, "run")


def test_a_day_is_complete_when_ingest_ended_and_every_vendor_has_rows(prod, lake) -> None:
    assert missing_of_ingest(prod, night_run()) == [
        "ingest_files has not ended",
        "ingest_apis has not ended",
    ]
    ingest_ended(lake)
    load(prod, lake, Version(landed_at=datetime(2025, 12, 31, tzinfo=UTC)))
    assert missing_of_ingest(prod, night_run()) == ["fleet.sales has no rows of the day"]

    load(prod, lake, Version("next.csv", "B", landed_at=datetime(2026, 1, 1, tzinfo=UTC)))
    assert missing_of_ingest(prod, night_run()) == []


def test_a_day_of_which_only_some_files_are_loaded_is_not_complete(prod, lake) -> None:
    ingest_ended(lake)
    before, of_the_day = datetime(2025, 12, 31, tzinfo=UTC), datetime(2026, 1, 1, tzinfo=UTC)
    load(prod, lake, *(Version(f"VM{n}_1.csv", f"A{n}", landed_at=before) for n in range(4)))
    load(prod, lake, Version("VM1_2.csv", "B1", landed_at=of_the_day))
    load(prod, lake, Version("VM2_2.csv", "B2", landed_at=of_the_day))

    assert missing_of_ingest(prod, night_run()) == [
        "fleet.sales has 2 files of the day, of at least 3"
    ]


def test_prod_waits_until_staging_has_verified_the_same_code(prod, staging_lake) -> None:
    night = Night(staging_lake, business_day(night_run()))
    assert missing_of_staging(prod, night_run()) == ["staging has not verified the day"]

    night.mark(Part.VERIFIED, Mark(run_id="s1", at=datetime.now(UTC), checksum="other"))
    assert missing_of_staging(prod, night_run()) == [
        "staging has verified other code, in its run s1"
    ]

    night.mark(Part.VERIFIED, Mark(run_id="s2", at=datetime.now(UTC), checksum=bundle_checksum()))
    assert missing_of_staging(prod, night_run()) == []


def test_an_override_passes_and_is_recorded_with_who_and_why(prod, lake) -> None:
    run = night_run(**{OVERRIDE_PARAM: "staging's account is down"})

    assert missing_of_staging(prod, run) == []

    mark = Night(lake, business_day(run)).read(Part.OVERRIDE)
    assert (mark.by, mark.reason) == ("ann", "staging's account is down")


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch, prod: Settings) -> tuple[Gate, list[str]]:
    current_settings.cache_clear()
    monkeypatch.setattr(gates, "current_settings", lambda: prod)
    found: list[str] = []
    return Gate(task_id="wait", missing=lambda *_: found), found


def test_a_gate_gives_its_slot_back_while_something_is_missing(gate) -> None:
    wait, found = gate
    found.append("ingest_files has not ended")

    with pytest.raises(TaskDeferred) as deferred:
        wait.execute({"dag_run": night_run()})

    path, arguments = deferred.value.trigger.serialize()
    assert path.startswith("airflow.providers.standard.triggers.")
    assert arguments["moment"] <= datetime.now(UTC) + timedelta(minutes=1)
    assert deferred.value.method_name == "look_again"


def test_a_gate_fails_for_good_when_its_window_is_over(gate) -> None:
    wait, found = gate
    found.append("ingest_files has not ended")
    due = datetime(2026, 1, 2, 4, tzinfo=UTC)

    with pytest.raises(AirflowFailException) as failed:
        wait.look_again({"dag_run": night_run(due=due)}, event=due)

    assert str(failed.value) == (
        "2026-01-01 is not complete: ingest_files has not ended. "
        "Mend it and clear this task; wait waited until 05:00."
    )


def test_a_gate_passes_when_nothing_is_missing(gate) -> None:
    wait, _ = gate
    assert wait.execute({"dag_run": night_run()}) is None


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        (Environment.DEV, []),
        (Environment.STAGING, ["wait_for_ingest"]),
        (Environment.PROD, ["wait_for_ingest", "wait_for_staging"]),
    ],
)
def test_each_environment_has_its_gates(prod, environment, expected) -> None:
    settings = prod._replace(environment=environment)
    assert [gate.task_id for gate in gates.gates(settings)] == expected


def test_marks_are_plain_json(lake) -> None:
    ingest_ended(lake)
    content = json.loads(lake.read_bytes("dbt-artifacts/nights/2026-01-01/ingest_files.json"))
    assert content.keys() == {"run_id", "at"}
