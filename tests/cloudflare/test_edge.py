"""The edge Worker over what the publisher wrote, held to its OpenAPI document.

Its own tests, of each route and error, are in deploy/cloudflare/worker/test and run on workerd too.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import duckdb
import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis import Case
from schemathesis.specs.openapi.checks import ignored_auth

from deploy.cloudflare.local_cloudflare import HERE, NODE, LocalCloudflare
from include.publish.spec import published_marts
from include.settings import Environment
from include.transform.manifest import build_manifest, load_manifest
from include.transform.project import DbtProject
from tests.cloudflare.published import Warehouse, publish_d1

DOCUMENT = schemathesis.openapi.from_path(HERE / "worker" / "openapi.json")
ROWS = {
    "dim_machines": {"machine_id": "'VM0001'", "is_current": "true", "source": "'fleet'"},
    "fct_machine_health": {"machine_id": "'VM0001'", "health_status": "'warning'"},
    "fct_replenishment_plan": {"machine_id": "'VM0001'", "priority": "'none'"},
}


@pytest.fixture(scope="module")
def edge(
    cloudflare: LocalCloudflare, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[httpx.Client]:
    """A client of the edge Worker, over one row of each mart that it reads."""
    project = DbtProject.of_target(Environment.DEV)
    build_manifest(project)
    for mart in published_marts(load_manifest(project.manifest_path)):
        if mart.spec.d1 is None:
            continue
        made = Warehouse(tmp_path_factory.mktemp(mart.name), mart)
        make_one_row(made)
        publish_d1(made, cloudflare)
    headers = {"authorization": f"Bearer {cloudflare.edge_token}"}
    with httpx.Client(base_url=cloudflare.edge, headers=headers) as client:
        yield client


def make_one_row(made: Warehouse) -> None:
    examples = {"date": "DATE '2026-11-20'", "timestamp": "TIMESTAMP '2026-11-20 09:00:00'"}
    examples |= {"boolean": "false", "varchar": "'fleet'"}
    given = ROWS.get(made.mart.name, {})
    values = ", ".join(
        f"CAST({given.get(c.name, examples.get(c.data_type, '1'))} AS {c.data_type}) AS {c.name}"
        for c in made.mart.columns
    )
    with duckdb.connect(str(made.file)) as connection:
        connection.execute("CREATE SCHEMA marts")
        connection.execute(f"CREATE TABLE marts.{made.mart.name} AS SELECT {values}")


def test_what_was_published_is_answered_with_its_version(edge: httpx.Client) -> None:
    answer = edge.get("/v1/machines/VM0001")
    assert answer.status_code == 200
    assert answer.json()["health"]["health_status"] == "warning"
    again = edge.get("/v1/machines/VM0001", headers={"if-none-match": answer.headers["etag"]})
    assert again.status_code == 304
    assert edge.get("/v1/machines/VM0001/stock").json()["slots"][0]["priority"] == "none"
    assert edge.get("/v1/sales/daily").json()["items"][0]["business_date"] == "2026-11-20"


def test_the_document_that_is_served_is_the_one_that_is_tested(edge: httpx.Client) -> None:
    tested = json.loads((HERE / "worker" / "openapi.json").read_text("utf-8"))
    assert httpx.get(f"{edge.base_url}/openapi.json").json() == tested


@DOCUMENT.parametrize()
@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_every_answer_is_as_the_document_says(case: Case, edge: httpx.Client) -> None:
    case.call_and_validate(
        base_url=str(edge.base_url),
        headers={"authorization": edge.headers["authorization"]},
        excluded_checks=[ignored_auth],
    )


def test_the_workers_own_tests_and_types_pass(cloudflare: LocalCloudflare) -> None:
    # Through Python, so that one command runs every test.
    modules = HERE / "node_modules"
    commands = [
        [str(modules / "typescript" / "bin" / "tsc"), "--noEmit"],
        [str(modules / "vitest" / "vitest.mjs"), "run"],
    ]
    for command in commands:
        done = subprocess.run(
            [str(NODE), *command],
            cwd=HERE,
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-2000:]


def test_no_test_of_cloudflare_needs_an_account() -> None:
    sources = Path(__file__).parent.glob("*.py")
    host = ".".join(("api", "cloudflare", "com"))
    assert [source.name for source in sources if host in source.read_text("utf-8")] == []
