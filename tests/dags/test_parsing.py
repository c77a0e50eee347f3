"""What a DAG file touches and costs while it is parsed, and its schedule in each environment."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from typing import Any

import pytest

from include.settings import CODE_ROOT, Environment
from include.transform.manifest import build_manifest
from include.transform.project import DbtProject

# Of the processor, so a busy machine does not fail it. The first parse imports Cosmos and what it
# brings, the second is what a dag-processor pays each time.
FIRST_PARSE_CPU_SECONDS = 1.5
PARSE_CPU_SECONDS = 0.6

VARIABLES = {
    Environment.DEV: {},
    Environment.STAGING: {"VENDING_COMPANY": "acme"},
    Environment.PROD: {
        "VENDING_COMPANY": "acme",
        "VENDING_KMS_KEY_ID": "arn:aws:kms:ap-northeast-1:111122223333:key/example",
        "VENDING_CLOUDFLARE_CONNECTION": "cloudflare",
    },
}
# In every environment by hand; the one with a cron at midnight has its end date in the past. Alerts
# are delivered alike everywhere.
BY_HAND = {
    "deliver_alerts": "*/10 * * * *",
    "replay_quarantine": None,
    "reprocess_day": "0 0 * * *",
    "publish_cloudflare": None,
    "maintain_cloudflare": None,
    "check_deployment": None,
    "copy_lake": None,
    "export_anonymised": None,
    "report_compliance": None,
}
CRON = {
    Environment.DEV: BY_HAND | {"ingest_files": None, "ingest_apis": None, "transform": None},
    Environment.STAGING: BY_HAND
    | {
        "ingest_files": "0 1 * * *",
        "ingest_apis": "0 1 * * *",
        "transform": "0 3 * * *",
    },
    Environment.PROD: BY_HAND
    | {
        "ingest_files": "0 2 * * *",
        "ingest_apis": "0 2 * * *",
        "transform": "0 4 * * *",
        "maintain_cloudflare": "30 9 * * *",
        "export_anonymised": "30 6 * * *",
        "report_compliance": "0 8 1 * *",
    },
}
RETRIES = {Environment.DEV: 2, Environment.STAGING: 3, Environment.PROD: 3}
RAW_ASSETS = [
    "raw.machine_telemetry",
    "raw.payment_methods",
    "raw.product_categories",
    "raw.products",
    "raw.replenishment",
    "raw.sales",
    "raw.staff",
    "raw.vending_machines",
    "raw.weather",
]


@dataclass(frozen=True)
class Parsed:
    """The report of tests/dags/parse_audit.py for one environment."""

    environment: Environment
    report: dict[str, Any]


@pytest.fixture(scope="module", params=list(Environment))
def parsed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Parsed:
    environment: Environment = request.param
    build_manifest(DbtProject.of_target(environment.value))
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("VENDING_", "AIRFLOW"))
    }
    process = subprocess.run(
        [sys.executable, "-m", "tests.dags.parse_audit"],
        cwd=CODE_ROOT,
        env={
            **inherited,
            **VARIABLES[environment],
            "VENDING_ENV": environment.value,
            "AIRFLOW_HOME": str(tmp_path_factory.mktemp("airflow")),
            "AIRFLOW__COSMOS__ENABLE_TELEMETRY": "False",
        },
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert process.returncode == 0, process.stderr[-2000:]
    return Parsed(environment, json.loads(process.stdout.splitlines()[-1]))


def test_every_environment_has_the_same_dags(parsed: Parsed) -> None:
    assert parsed.report["import_errors"] == {}
    assert set(parsed.report["dags"]) == set(CRON[parsed.environment])


def test_parsing_reads_nothing_from_the_environment_and_the_network(parsed: Parsed) -> None:
    """Nor a Connection or a Variable. The environment is settings.py's to read."""
    assert parsed.report["touched"] == []


def test_schedules_are_those_of_the_environment(parsed: Parsed) -> None:
    found = {dag_id: dag["cron"] for dag_id, dag in parsed.report["dags"].items()}
    assert found == CRON[parsed.environment]


@pytest.mark.parametrize("dag_id", ["ingest_files", "ingest_apis", "transform"])
def test_where_code_is_deployed_a_run_begins_by_looking_whether_all_of_it_has_arrived(
    parsed: Parsed, dag_id: str
) -> None:
    first = parsed.report["dags"][dag_id]["first_tasks"]
    if parsed.environment is Environment.DEV:
        assert "wait_for_deployment" not in first
    else:
        assert first == ["wait_for_deployment"]


def test_in_dev_transform_waits_for_every_raw_table(parsed: Parsed) -> None:
    transform = parsed.report["dags"]["transform"]
    is_dev = parsed.environment is Environment.DEV
    assert transform["assets"] == (RAW_ASSETS if is_dev else [])
    assert transform["needs_every_asset"] is is_dev


def test_marts_are_published_when_all_of_them_are_new_and_only_where_a_connection_is_named(
    parsed: Parsed,
) -> None:
    publish = parsed.report["dags"]["publish_cloudflare"]
    assert publish["needs_every_asset"] is (parsed.environment is Environment.PROD)
    assert ("marts.fct_daily_machine_sales" in publish["assets"]) is publish["needs_every_asset"]
    assert "marts.fct_stockouts" not in publish["assets"]


def test_every_task_retries_as_the_environment_says(parsed: Parsed) -> None:
    delay = 5.0 if parsed.environment is Environment.DEV else 300.0
    for dag in parsed.report["dags"].values():
        assert dag["retries"] == [RETRIES[parsed.environment]]
        assert dag["retry_delay"] == [delay]


def test_parsing_stays_within_its_budget(parsed: Parsed) -> None:
    first, again = parsed.report["cpu_seconds"]
    assert first < FIRST_PARSE_CPU_SECONDS
    assert again < PARSE_CPU_SECONDS
