"""Opt-in: the loader and dbt against a real account, in a rehearsal database that nobody reads.

    VENDING_PARITY_ACCOUNT=1 VENDING_ENV=staging VENDING_COMPANY=acme \\
    VENDING_SNOWFLAKE_DATABASE=VENDING_DATA_STG_REHEARSAL \\
    AIRFLOW_CONN_SNOWFLAKE=… AIRFLOW_CONN_SNOWFLAKE_TRANSFORM=… AIRFLOW_CONN_LAKE=… make parity

It has never been run by the project's own checks, which have no account.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from include.contracts import load_catalog
from include.lake import Lake, open_lake
from include.settings import Settings, load_settings
from include.transform.dbt_command import run_dbt
from include.transform.project import DbtProject
from include.warehouse import Warehouse, open_warehouse
from include.warehouse.snowflake_session import session
from tests.include.warehouse.batches import BatchMaker, Version
from tests.parity.report import ACCOUNT_VARIABLE

pytestmark = pytest.mark.skipif(
    os.environ.get(ACCOUNT_VARIABLE) != "1", reason=f"{ACCOUNT_VARIABLE} is not 1"
)

SALES = load_catalog().dataset("sales")


@pytest.fixture(scope="module")
def account() -> Settings:
    settings = load_settings()
    assert settings.warehouse.database.endswith("_REHEARSAL"), (
        "set VENDING_SNOWFLAKE_DATABASE to the rehearsal clone: this suite writes to it"
    )
    return settings


@pytest.fixture(scope="module")
def account_lake(account: Settings) -> Lake:
    return open_lake(account.lake)


@pytest.fixture(scope="module")
def loader(account: Settings, account_lake: Lake) -> Iterator[Warehouse]:
    with open_warehouse(account.warehouse, account_lake) as warehouse:
        warehouse.ensure_schema(load_catalog().datasets)
        yield warehouse


def test_the_session_has_its_tag_and_its_time_out(account: Settings) -> None:
    with session(account.warehouse) as connection, connection.cursor() as cursor:
        rows = cursor.execute("SHOW PARAMETERS IN SESSION").fetchall()
    parameters = {row[0]: row[1] for row in rows}

    assert json.loads(parameters["QUERY_TAG"])["environment"] == account.environment
    assert parameters["STATEMENT_TIMEOUT_IN_SECONDS"] == str(account.warehouse.statement_seconds)


def test_a_file_is_loaded_corrected_and_loaded_again(loader: Warehouse, account_lake: Lake) -> None:
    batch = BatchMaker(account_lake)
    first = Version("account/sales.csv", "first", rows=3, rejected=1)
    corrected = Version(
        "account/sales.csv", "corrected", rows=2, generation=1, replaces=first.load_id
    )
    other = Version("account/other.csv", "other", rows=1)

    loader.load(batch(first, batch_id="account-1"), SALES, "account")
    loaded = loader.load(batch(corrected, batch_id="account-2"), SALES, "account")
    part = loader.load(batch(corrected, other, batch_id="account-3"), SALES, "account")

    assert (loaded.rows_loaded, loaded.rows_retired) in {(2, 3), (0, 0)}
    assert part.files_known >= 1
    assert loader.check("sales", [corrected.load_id, other.load_id], "account") == []


def test_dbt_builds_and_tests_everything_twice(account: Settings, tmp_path: Path) -> None:
    project = DbtProject.of_settings(account)
    for _ in range(2):
        result = run_dbt(project, "build", ("--quiet",), target_path=tmp_path)
        failed = [r.node.unique_id for r in result.results if r.status in ("error", "fail")]
        assert failed == []
