"""Ingest and transform run as on the service: by its scheduler, over workers that share no disk."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from deploy.mwaa.bundle import build_bundle
from deploy.mwaa.check.bundle_check import dag_ids_in
from deploy.mwaa.check.installation import install
from deploy.mwaa.layout import AIRFLOW_VERSIONS, DAGS
from simulator.__main__ import main as simulator
from tests.mwaa.service import WORKERS, Service, running_service, wait_until
from tests.parity.services import BUCKET, DATABASE, Cloud, running_cloud
from tests.services.postgres import running_postgres

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

PIPELINE = ("ingest_files", "ingest_apis", "transform")
MACHINES, DAYS, END = 3, 5, date(2026, 3, 31)
BEGINNING = datetime(2026, 1, 1, tzinfo=UTC)


def transform_connection(cloud: Cloud) -> str:
    """dbt logs in with a key pair, which the emulator takes as it comes."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"placeholder"),
    )
    connection = cloud.snowflake.connection
    extra = connection["extra"] | {"private_key_content": b64encode(pem).decode()}
    return json.dumps(connection | {"extra": extra})


def options(cloud: Cloud) -> dict[str, str]:
    variables = dict(cloud.variables)
    return {
        "AIRFLOW__VENDING__ENV": variables.pop("VENDING_ENV"),
        "AIRFLOW__VENDING__COMPANY": variables.pop("VENDING_COMPANY"),
        "AIRFLOW_CONN_SNOWFLAKE_TRANSFORM": transform_connection(cloud),
        **variables,
    }


def deliver(folder: Path, cloud: Cloud) -> None:
    """A small fleet's files, where vendors put them."""
    sources = folder / "sources"
    arguments = ["write", "--out", sources, "--state", folder / "state.json", "--seed", 11]
    arguments += ["--machines", MACHINES, "--days", DAYS, "--end-date", END]
    assert simulator([str(argument) for argument in arguments]) == 0
    s3 = cloud.aws.client("s3")
    for path in sorted(path for path in sources.rglob("*") if path.is_file()):
        s3.upload_file(str(path), BUCKET, f"raw-data/{path.relative_to(sources).as_posix()}")


@pytest.fixture(scope="module")
def cloud_and_service(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[Cloud, Service]]:
    folder = tmp_path_factory.mktemp("mwaa")
    bundle = folder / "bundle"
    build_bundle(AIRFLOW_VERSIONS[0], bundle)
    installation = install(bundle, AIRFLOW_VERSIONS[0])
    with running_cloud(folder) as cloud, running_postgres() as database:
        deliver(folder, cloud)
        with running_service(
            folder / "containers", bundle, installation, options(cloud), database
        ) as service:
            yield cloud, service


def test_ingest_and_transform_succeed_and_no_worker_needs_the_others_disk(
    cloud_and_service: tuple[Cloud, Service],
) -> None:
    cloud, service = cloud_and_service
    delivered = dag_ids_in(service.containers["scheduler"].home / DAGS)
    wait_until(lambda: service.api.parsed_since(BEGINNING) == delivered, "the DAGs")
    assert service.api.import_errors() == {}
    runs = [service.run_by_hand("check_deployment")]
    runs += [service.run_of_the_schedule(dag_id) for dag_id in PIPELINE]
    for run in runs:
        assert service.failures(run) == {}, run.dag_id
        assert run.state == "success", run.dag_id
    sales = cloud.snowflake.fetch(f"SELECT count(*) FROM {DATABASE}.marts.fct_sales")
    assert sales[0][0] > 0
    assert [name for name in WORKERS if not service.logs(name)] == []
