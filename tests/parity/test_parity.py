"""Staging, from files in a bucket to marts in Snowflake, holds what dev holds in DuckDB.

Real dbt-snowflake and the real connector against the emulator, COPY from the bucket, two days. The
emulator is DuckDB inside: equal marts show that the loader, the models and the incremental logic
do the same on both paths, not that Snowflake takes every function; see test_snowflake_dialect.py.
"""

from __future__ import annotations

import json
import os
import re
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from unittest import mock

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from include.ingest import settle
from include.lake import open_lake
from include.settings import Settings, load_settings
from tests.parity.comparison import Verdict, as_table, compare
from tests.parity.deliveries import Vendors
from tests.parity.engines import DuckDB, Ingest, SnowflakeMarts
from tests.parity.services import Cloud, running_cloud

LEAST_SALES = 10_000
GRANT = re.compile(r"on\s+(\S+)\s+to REPORTER")


@dataclass
class ParityRun:
    """Both warehouses after two days, and what was found after each."""

    duckdb: DuckDB
    snowflake: SnowflakeMarts
    cloud: Cloud
    settings: Settings
    verdicts: dict[str, list[Verdict]] = field(default_factory=dict)
    sales: int = 0

    def compare_marts(self, day: str) -> None:
        self.verdicts[day] = [
            compare(mart, self.snowflake.mart(mart), self.duckdb.mart(mart))
            for mart in self.mart_names
        ]

    @property
    def mart_names(self) -> list[str]:
        """The models of the marts layer, from the folder."""
        folder = self.settings.dbt_project_path / "models" / "marts"
        return sorted(path.stem for path in folder.glob("*.sql"))


def _key_in_base64() -> str:
    """A private key as the connection holds it: the PEM in base64."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"parity"),
    )
    return b64encode(pem).decode()


def _transform_connection(cloud: Cloud) -> str:
    connection = cloud.snowflake.connection
    extra = connection["extra"] | {"role": "TRANSFORMER", "private_key_content": _key_in_base64()}
    return json.dumps(
        connection | {"login": "TRANSFORMER_SERVICE", "password": "parity", "extra": extra}
    )


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ParityRun]:
    folder = tmp_path_factory.mktemp("parity")
    with running_cloud(folder) as cloud:
        variables = dict(cloud.variables)
        variables["AIRFLOW_CONN_SNOWFLAKE_TRANSFORM"] = _transform_connection(cloud)
        with (
            mock.patch.dict(os.environ, variables),
            mock.patch.object(settle, "PAUSE_SECONDS", 0.0),
        ):
            yield _two_days(folder, cloud)


def _two_days(folder: Path, cloud: Cloud) -> ParityRun:
    settings = load_settings()
    lake = open_lake(settings.lake)
    vendors = Vendors(folder / "vendors", lake)
    ingest = Ingest(settings, lake)
    run = ParityRun(
        DuckDB(folder / "dev.duckdb", lake, folder / "duckdb"),
        SnowflakeMarts(cloud.snowflake, settings),
        cloud,
        settings,
    )
    for day, deliver in (("day 1", vendors.first_day), ("day 2", vendors.second_day)):
        deliver()
        for summary, batches in ingest(day):
            run.duckdb.load(batches, day)
            run.sales += sum(
                file.rows_conformed
                for batch in batches
                if batch.dataset == "sales"
                for file in batch.files
            )
            assert summary.rows_read > 0 or day == "day 2"
        run.snowflake.build(folder / "snowflake")
        run.duckdb.build()
        run.compare_marts(day)
    return run


@pytest.mark.parametrize("day", ["day 1", "day 2"])
def test_every_mart_is_equal_column_by_column(run: ParityRun, day: str, show) -> None:
    verdicts = run.verdicts[day]
    show(f"Snowflake's marts against DuckDB's, {day}", as_table(verdicts))

    assert {v.mart: v.differences for v in verdicts if not v.is_equal} == {}


def test_the_comparison_is_about_something(run: ParityRun) -> None:
    verdicts = run.verdicts["day 2"]

    assert run.sales >= LEAST_SALES
    assert len(verdicts) == len(run.mart_names) > 10
    assert [verdict.mart for verdict in verdicts if verdict.rows == 0] == []


def test_the_second_day_changed_marts(run: ParityRun) -> None:
    before = {verdict.mart: verdict.rows for verdict in run.verdicts["day 1"]}
    after = {verdict.mart: verdict.rows for verdict in run.verdicts["day 2"]}

    assert before["fct_sales"] != after["fct_sales"]
    [(retired,)] = run.cloud.snowflake.fetch(
        "SELECT COUNT(*) FROM ops.load_history WHERE NOT is_current AND dataset = 'sales'"
    )
    assert retired > 0


@pytest.mark.parametrize(
    "tampering",
    [
        "UPDATE {mart} SET amount = amount + 0.01 WHERE {first}",
        "DELETE FROM {mart} WHERE {first}",
        "INSERT INTO {mart} SELECT * FROM {mart} LIMIT 1",
    ],
    ids=["a hundredth of a yen", "a row less", "a row twice"],
)
def test_a_mart_that_was_tampered_with_is_found(run: ParityRun, tampering: str) -> None:
    mart, first = "marts.fct_sales", "sale_key = (SELECT MIN(sale_key) FROM marts.fct_sales)"
    server = run.cloud.snowflake
    server.execute(f"CREATE TABLE marts.untouched AS SELECT * FROM {mart}")
    try:
        server.execute(tampering.format(mart=mart, first=first))
        found = run.snowflake.mart("fct_sales")
    finally:
        server.execute(
            f"DELETE FROM {mart}",
            f"INSERT INTO {mart} SELECT * FROM marts.untouched",
            "DROP TABLE marts.untouched",
        )

    assert not compare("fct_sales", found, run.duckdb.mart("fct_sales")).is_equal


def test_dbt_logged_in_with_its_key_and_its_role(run: ParityRun) -> None:
    logins = [
        record
        for record in run.cloud.snowflake.records()
        if record.get("login") == "TRANSFORMER_SERVICE"
    ]

    assert logins
    assert {login["authenticator"] for login in logins} == {"SNOWFLAKE_JWT"}
    assert {login["role"] for login in logins} == {"TRANSFORMER"}
    assert {login["warehouse"] for login in logins} == {"COMPUTE_WH_STG"}


def test_every_statement_of_the_platform_carried_a_query_tag(run: ParityRun) -> None:
    sent = [record for record in run.cloud.snowflake.records() if record.get("query_tag")]
    dbt = [record for record in sent if '"app": "dbt"' in record["sql"]]
    untagged = [
        record["sql"]
        for record in run.cloud.snowflake.records()
        if '"app": "dbt"' in record.get("sql", "") and not record["query_tag"]
    ]

    assert len(dbt) > 100
    assert untagged == []
    assert {json.loads(record["query_tag"])["environment"] for record in sent} == {"staging"}


def test_reporters_were_granted_every_mart_and_nothing_else(run: ParityRun) -> None:
    grants = [
        text for text in run.cloud.snowflake.statements() if text.lstrip().startswith("grant")
    ]
    granted = {match[1] for text in grants if (match := GRANT.search(text))}

    assert len(granted) == len(run.mart_names)
    assert {name.rpartition(".")[2] for name in granted} == set(run.mart_names)
    assert all("to REPORTER" in text for text in grants)


def test_staging_has_transient_tables_only_and_clusters_the_large_ones(run: ParityRun) -> None:
    created = [
        text
        for text in run.cloud.snowflake.statements()
        if re.search(r"create or replace\s+(transient\s+)?table", text) and "marts." in text
    ]
    clustered = [text for text in created if "cluster by" in text or "order by (" in text]

    assert created
    assert [text[:80] for text in created if "transient" not in text] == []
    assert any("fct_sales" in text for text in clustered)


def test_the_second_day_replaced_rows_instead_of_building_marts_again(run: ParityRun) -> None:
    sent = [text for text in run.cloud.snowflake.statements() if '"app": "dbt"' in text]
    sales = re.escape("VENDING_DATA_STG.marts.fct_sales")

    assert sum(bool(re.match(rf"create .* table {sales}\s", text)) for text in sent) == 1
    assert sum(bool(re.match(rf"delete from {sales}\s", text)) for text in sent) == 1
    assert any(re.match(r"\s*BEGIN\b", text, re.IGNORECASE) for text in sent)
