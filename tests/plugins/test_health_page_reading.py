"""The page's reader against S3, and the links that lead to its pages."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from include.lake import open_lake
from include.quality.health import update_health
from include.settings import ObjectLakeSettings
from include.transform.node_task import DbtNodeOperator
from tests.services.aws import Aws, running_aws

PLUGINS = Path(__file__).parents[2] / "plugins"
BUCKET = "acme-vending-data-staging"


@dataclass(frozen=True)
class TaskKey:
    task_id: str


@pytest.fixture
def plugins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(PLUGINS))


@pytest.fixture
def aws(plugins: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Aws]:
    """A bucket, which the page reads through a connection."""
    from health_page import places

    with running_aws() as server:
        server.make_bucket(BUCKET)
        monkeypatch.setenv("AIRFLOW_CONN_LAKE", json.dumps(server.connection))
        monkeypatch.setenv("AIRFLOW__VENDING__HEALTH_CONNECTION", "lake")
        for option, key in (
            ("HEALTH_SNAPSHOT", "monitoring/health.json"),
            ("DBT_DOCUMENTATION", "dbt-artifacts/documentation"),
        ):
            monkeypatch.setenv(f"AIRFLOW__VENDING__{option}", f"s3://{BUCKET}/{key}")
        monkeypatch.setattr(places, "KEPT_SECONDS", -1.0)
        yield server
        places._object.cache_clear()
        places._client.cache_clear()


def read() -> Any:
    from health_page.snapshot import read_snapshot

    return read_snapshot()


def test_what_the_pipeline_writes_to_s3_the_page_reads(aws: Aws) -> None:
    assert read().problem == "missing"
    settings = ObjectLakeSettings(bucket=BUCKET, connection_id="lake", encryption="AES256")
    update_health(open_lake(settings), "staging", {"run_id": "run-1"})
    assert (read().document["environment"], read().document["run_id"]) == ("staging", "run-1")


def test_a_bucket_that_cannot_be_read_is_said_and_raises_nothing(
    aws: Aws, caplog: pytest.LogCaptureFixture
) -> None:
    aws.client("s3").delete_bucket(Bucket=BUCKET)
    assert read().problem == "unreadable"
    assert "cannot be read (NoSuchBucket)" in caplog.text


def test_a_look_at_the_store_is_kept_for_some_seconds(
    aws: Aws, monkeypatch: pytest.MonkeyPatch
) -> None:
    from health_page import places

    monkeypatch.setattr(places, "KEPT_SECONDS", 60.0)
    s3 = aws.client("s3")
    s3.put_object(Bucket=BUCKET, Key="a", Body=b"1")
    assert places.read_place(f"s3://{BUCKET}/a") == b"1"
    s3.put_object(Bucket=BUCKET, Key="a", Body=b"2")
    assert places.read_place(f"s3://{BUCKET}/a") == b"1"


def test_dbts_documentation_comes_from_s3_with_a_policy_without_inline_scripts(aws: Aws) -> None:
    from health_page.documentation import answer

    assert answer("index.html").status_code == 404
    page = b"<script>let a = 1;</script>"
    folder = "dbt-artifacts/documentation"
    aws.client("s3").put_object(Bucket=BUCKET, Key=f"{folder}/index.html", Body=page)
    found = answer("index.html")
    policy = found.headers["Content-Security-Policy"]
    assert (found.status_code, found.body) == (200, page)
    (scripts,) = [each for each in policy.split("; ") if each.startswith("script-src")]
    assert scripts.startswith("script-src 'sha256-")
    assert "unsafe" not in scripts
    assert answer("../../monitoring/health.json").status_code == 404


@pytest.mark.parametrize(
    ("task_id", "model"),
    [
        ("models.marts.fct_sales.run", "fct_sales"),
        ("models.marts.fct_sales.test", "fct_sales"),
        ("models.marts.fct_prices_run", "fct_prices"),
        ("models.staging.raw_sales.test", None),
        ("gates.relationships_fct_sales_product_key", None),
        ("check_results", None),
    ],
)
def test_each_task_of_a_model_leads_to_the_model(
    plugins: None, task_id: str, model: str | None
) -> None:
    from health_page.links import ModelDocumentation, ModelHistory

    key = TaskKey(task_id)
    history = ModelHistory().get_link(None, ti_key=key)
    documentation = ModelDocumentation().get_link(None, ti_key=key)
    assert history == (f"/data-health/models/{model}" if model else "")
    page = f"#!/model/model.vending.{model}" if model else ""
    assert documentation == f"/data-health/dbt/{page}"


def test_the_links_are_those_of_the_operator_of_dbt_nodes(plugins: None) -> None:
    from health_page.links import ModelDocumentation, ModelHistory

    for link in (ModelDocumentation, ModelHistory):
        (operator,) = link.operators
        named = (operator.__name__, operator.__module__)
        assert named == (DbtNodeOperator.__name__, DbtNodeOperator.__module__)
