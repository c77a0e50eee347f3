"""A staging environment of the imitated service: its bundle, its connections, a delivered fleet."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from deploy.mwaa.bundle import build_bundle
from deploy.mwaa.check.bundle_check import dag_ids_in
from deploy.mwaa.check.installation import install
from deploy.mwaa.layout import DAGS
from simulator.__main__ import main as simulator
from simulator.bucket import upload
from tests.mwaa.service import Service, running_service, wait_until
from tests.parity.services import BUCKET, Cloud, running_cloud
from tests.services.postgres import running_postgres

PIPELINE = ("ingest_files", "ingest_apis", "transform")
END = date(2026, 3, 31)
BEGINNING = datetime(2026, 1, 1, tzinfo=UTC)


@contextmanager
def running_staging(
    folder: Path, airflow_version: str, fleet: tuple[str, ...], **service: Any
) -> Iterator[tuple[Cloud, Service]]:
    """Every DAG is parsed and paused; ``fleet`` are arguments of `simulator write`."""
    bundle = folder / "bundle"
    build_bundle(airflow_version, bundle)
    installation = install(bundle, airflow_version)
    options = service.pop("options", {})
    with running_cloud(folder) as cloud, running_postgres() as database:
        _deliver(folder, cloud, fleet)
        options = _options(cloud) | options
        containers = folder / "containers"
        with running_service(
            containers, bundle, installation, options, database, **service
        ) as running:
            delivered = dag_ids_in(bundle / DAGS)
            wait_until(lambda: running.api.parsed_since(BEGINNING) == delivered, "the DAGs")
            yield cloud, running


def _deliver(folder: Path, cloud: Cloud, fleet: tuple[str, ...]) -> None:
    sources = folder / "sources"
    arguments = ["write", "--out", sources, "--state", folder / "state.json", "--seed", 11]
    arguments += [*fleet, "--end-date", END]
    assert simulator([str(argument) for argument in arguments]) == 0
    upload(cloud.aws.client("s3"), sources, BUCKET, "raw-data")


def _options(cloud: Cloud) -> dict[str, str]:
    variables = dict(cloud.variables)
    return {
        "AIRFLOW__VENDING__ENV": variables.pop("VENDING_ENV"),
        "AIRFLOW__VENDING__COMPANY": variables.pop("VENDING_COMPANY"),
        "AIRFLOW_CONN_SNOWFLAKE_TRANSFORM": _transform_connection(cloud),
        **variables,
    }


def _transform_connection(cloud: Cloud) -> str:
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
