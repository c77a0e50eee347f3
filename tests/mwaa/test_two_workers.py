"""Ingest and transform run as on the service: by its scheduler, over workers that share no disk."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from deploy.mwaa.layout import AIRFLOW_VERSIONS
from tests.mwaa.service import WORKERS, Service
from tests.mwaa.staging import running_staging
from tests.parity.services import DATABASE, Cloud

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

FLEET = ("--machines", "3", "--days", "5")


@pytest.fixture(scope="module", params=AIRFLOW_VERSIONS)
def cloud_and_service(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Cloud, Service]]:
    folder = tmp_path_factory.mktemp("mwaa")
    with running_staging(folder, request.param, FLEET) as running:
        yield running


def test_ingest_and_transform_succeed_and_no_worker_needs_the_others_disk(
    cloud_and_service: tuple[Cloud, Service],
) -> None:
    cloud, service = cloud_and_service
    assert service.api.import_errors() == {}
    runs = [
        service.run_by_hand("check_deployment"),
        *service.runs_of_the_schedule("ingest_files", "ingest_apis"),
        *service.runs_of_the_schedule("transform"),
    ]
    for run in runs:
        assert service.failures(run) == {}, run.dag_id
        assert run.state == "success", run.dag_id
    sales = cloud.snowflake.fetch(f"SELECT count(*) FROM {DATABASE}.marts.fct_sales")
    assert sales[0][0] > 0
    assert [name for name in WORKERS if not service.logs(name)] == []
