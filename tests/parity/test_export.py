"""The anonymised export as prod's schedule runs it: from one bucket to another, over Snowflake.

Airflow is real; S3 and Snowflake are emulated. Prod has ingested the day before; the scheduler
starts the export by itself, and staging ingests what it delivers.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import duckdb
import pytest

from include.ingest import settle
from include.lake import Lake, open_lake
from include.nights import mark_ingested
from include.settings import ObjectLakeSettings, Settings, load_settings
from tests.drills.stack import Platform, platform, wait_until
from tests.include.ingest.running import Ingest, products, sales
from tests.include.privacy.deliveries import STAFF, replenishment, staff
from tests.parity.services import BUCKET, Cloud, bootstrap, running_cloud

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

DAG = "export_anonymised"
PROD = "acme-vending-data-prod"
DATABASE = "VENDING_DATA_PROD"
EXPORTS_AT = timedelta(hours=6, minutes=30)


@dataclass(frozen=True)
class Prod:
    """Prod after its night, and the Airflow that exports it."""

    airflow: Platform
    cloud: Cloud
    day: date

    def staging_objects(self) -> dict[str, bytes]:
        """Everything in staging's bucket, by key."""
        s3 = self.cloud.aws.client("s3")
        stored = s3.list_objects_v2(Bucket=BUCKET).get("Contents", ())
        return {
            each["Key"]: s3.get_object(Bucket=BUCKET, Key=each["Key"])["Body"].read()
            for each in stored
        }

    def audit(self) -> list[tuple[str, str, str]]:
        return self.cloud.snowflake.fetch(
            f"SELECT actor, action, outcome FROM {DATABASE}.ops.privacy_audit ORDER BY happened_at"
        )


def ingest_night(settings: Settings, day: date) -> None:
    """Prod's ingest of a day, as its DAGs leave it."""
    lake = open_lake(settings.lake)
    ingest = Ingest(lake, settings)
    ingest.deliver("staff.csv", staff())
    ingest.deliver("products.csv", products("緑茶", "Cola"))
    ingest.deliver(f"sales_VM001_{day:%Y%m%d}.csv", sales("VM001", 120, 130, "none", day=str(day)))
    ingest.deliver(f"replenishment_records_VM001_{day:%Y%m%d}.csv", replenishment(day))
    assert ingest().rows_quarantined == 1
    for dag_id in ("ingest_files", "ingest_apis"):
        run = SimpleNamespace(dag_id=dag_id, run_id="r", partition_key=str(day), run_after=None)
        mark_ingested(lake, run)


@pytest.fixture(scope="module")
def prod(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prod]:
    folder = tmp_path_factory.mktemp("export")
    # The day that the schedule exported last, or would have.
    day = (datetime.now(UTC) - EXPORTS_AT).date() - timedelta(days=1)
    with running_cloud(folder) as cloud, pytest.MonkeyPatch.context() as monkeypatch:
        cloud.aws.make_bucket(PROD)
        cloud.snowflake.execute(*bootstrap(DATABASE, PROD))
        variables = cloud.variables_of_prod
        for name, value in variables.items():
            # No others: those of the caller are stronger than those of the stack's own `.env`.
            if name.startswith("AIRFLOW_CONN_"):
                monkeypatch.setenv(name, value)
        monkeypatch.setattr(settle, "PAUSE_SECONDS", 0.0)
        ingest_night(load_settings(variables), day)
        with platform(folder, monkeypatch, variables, (DAG,)) as airflow:
            yield Prod(airflow, cloud, day)


@pytest.fixture(scope="module")
def exported(prod: Prod) -> Prod:
    """After the run that the schedule starts."""
    wait_until(lambda: prod.airflow.api.runs([DAG]), "the scheduler to start a run")
    [run] = prod.airflow.api.runs([DAG])
    assert prod.airflow.finish(run).state == "success", prod.airflow.log(run)
    return prod


def staging_lake() -> Lake:
    return open_lake(
        ObjectLakeSettings(bucket=BUCKET, connection_id="staging_lake", encryption="AES256")
    )


def test_staging_ingests_prods_day_a_day_later_and_joins_hold(
    exported: Prod, tmp_path: Path
) -> None:
    staging = load_settings({"VENDING_DATA_DIR": str(tmp_path)})

    summary = Ingest(staging_lake(), staging)()

    assert summary.rows_quarantined == 0
    with duckdb.connect(str(tmp_path / "dbt_dev.duckdb"), read_only=True) as connection:
        rows = connection.execute(
            "SELECT business_date, sum(amount) FROM raw.sales GROUP BY 1"
        ).fetchall()
        joined = connection.execute(
            "SELECT count(*), count(DISTINCT staff_id) "
            "FROM raw.replenishment JOIN raw.staff USING (staff_id)"
        ).fetchall()
    assert rows == [(exported.day + timedelta(days=1), 250)]
    assert joined == [(20, 10)]


def test_nobody_of_prod_is_in_staging_or_in_what_airflow_keeps(exported: Prod) -> None:
    kept = exported.airflow.everything_kept() | exported.staging_objects()
    assert [name for name in kept if f"dag_id={DAG}/" in name]
    assert [name for name in kept if "fleet.staff.anonymised/" in name]
    for person in STAFF:
        for value in person[1:4]:
            assert [name for name, content in kept.items() if value.encode() in content] == []


def test_the_schedule_is_in_the_audit(exported: Prod) -> None:
    assert exported.audit() == [
        (
            "schedule",
            "exported",
            "4 files with 34 rows, k of 5, dates shifted by 1 days; "
            "1 rejected rows stay in quarantine.",
        )
    ]


def test_a_contract_under_which_few_stand_out_is_refused_and_nothing_is_delivered(
    exported: Prod,
) -> None:
    before = exported.staging_objects()
    contract = exported.airflow.repository / "include/contracts/datasets/staff.yaml"
    field = "      - name: route_code\n"
    text = contract.read_text("utf-8")
    assert text.count(field) == 1
    contract.write_text(text.replace(field, f"{field}        required: true\n"), "utf-8")

    run = exported.airflow.finish(
        exported.airflow.api.start(DAG, {"reason": "ticket 4711"}, day=str(exported.day))
    )

    assert run.state == "failed"
    refusal = "Not released: fleet.staff: 2 combinations of phone, "
    assert refusal in exported.airflow.log(run)
    assert exported.staging_objects() == before
    [_, (actor, action, outcome)] = exported.audit()
    assert (actor, action) == ("admin", "export_refused")
    assert outcome.startswith(refusal)
