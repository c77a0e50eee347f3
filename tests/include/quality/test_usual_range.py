"""Ten kinds of faults are found on their day, and days without one are left in peace.

Tuned on seed 7 of the simulator; judged here on others, and on a real retail year.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.alerts.formatter import Severity
from include.quality.checks import Grain, OnFinding, TableCheck, load_checks
from include.quality.findings import judge_last_days, last_days
from include.quality.judge import LEAST_DAYS, usual_range
from include.quality.metrics import History, Series, measure
from include.quality.store import DuckDBStore
from include.settings import CODE_ROOT
from tests.include.quality.sales_history import SalesHistory, fleet, retail_year

SEEDS = (11, 23)
WARM_UP_DAYS = 60
ALARMS_PER_MONTH = 1.0
MONDAY = date(2026, 1, 5)

ON_THE_DAY = "WHERE business_date = DATE '{day}'"
FAULTS = {
    "half of the files are missing": f"DELETE FROM raw.sales {ON_THE_DAY} "
    "AND right(machine_id, 1) IN ('1', '3', '5', '7', '9')",
    "the day is missing": f"DELETE FROM raw.sales {ON_THE_DAY}",
    "every row came twice": f"INSERT INTO raw.sales SELECT * FROM raw.sales {ON_THE_DAY}",
    "amounts in hundredths": f"UPDATE raw.sales SET amount = amount * 100 {ON_THE_DAY}",
    "amounts are zero": f"UPDATE raw.sales SET amount = 0 {ON_THE_DAY}",
    "quantities times ten": f"UPDATE raw.sales SET quantity = quantity * 10 {ON_THE_DAY}",
    "one product for all": f"UPDATE raw.sales SET product_id = 'P001' {ON_THE_DAY}",
    "one machine for all": f"UPDATE raw.sales SET machine_id = 'VM0001' {ON_THE_DAY}",
    "another currency": f"UPDATE raw.sales SET currency = 'EUR' {ON_THE_DAY} "
    "AND right(machine_id, 1) = '1'",
    "payment methods are empty": "UPDATE raw.sales SET payment_method_code = NULL "
    f"{ON_THE_DAY} AND product_id < 'P010'",
    "half the rows carry the day before": "UPDATE raw.sales SET business_date = business_date - 1 "
    f"{ON_THE_DAY} AND product_id < 'P010'",
}


# The retail year names no payment methods; the other ten kinds can happen to it.
RETAIL_FAULTS = [fault for fault in FAULTS if fault != "payment methods are empty"]
ORDINARY_DAY = date(2017, 7, 20)


@pytest.fixture(scope="module", params=SEEDS)
def history(request: pytest.FixtureRequest, tmp_path_factory) -> Iterator[SalesHistory]:
    history = fleet(tmp_path_factory.mktemp("fleet"), request.param)
    yield history
    history.connection.close()


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_found_on_its_day(history: SalesHistory, fault: str) -> None:
    ((last_day,),) = history.connection.execute(
        "SELECT max(business_date) FROM raw.sales"
    ).fetchall()
    with history.spoilt(FAULTS[fault].format(day=last_day)):
        assert history.findings(history.measured(), last_day)


def test_days_without_faults_are_left_in_peace(history: SalesHistory) -> None:
    assert alarms_per_month(history) < ALARMS_PER_MONTH


@pytest.fixture(scope="module")
def retail(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SalesHistory]:
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr("include.quality.metrics.MEASURED_DAYS", 400)
        yield retail_year(tmp_path_factory.mktemp("retail"))


def test_a_real_year_with_its_holidays_is_left_in_peace(retail: SalesHistory) -> None:
    assert 0 < alarms_per_month(retail) < ALARMS_PER_MONTH


@pytest.mark.parametrize("fault", RETAIL_FAULTS)
def test_a_fault_in_a_real_year_is_found_on_its_day(retail: SalesHistory, fault: str) -> None:
    assert len(RETAIL_FAULTS) == 10
    with retail.spoilt(FAULTS[fault].format(day=ORDINARY_DAY)):
        assert retail.findings(retail.measured(), ORDINARY_DAY)


def alarms_per_month(history: SalesHistory) -> float:
    measured = history.measured()
    days = sorted({day for values in measured.values() for day in values})[WARM_UP_DAYS:]
    alarms = [day for day in days if history.findings(measured, day)]
    return len(alarms) * 30 / len(days)


def week(weekday: float, weekend: float, days: int) -> dict[date, float]:
    dates = (MONDAY + timedelta(days=number) for number in range(days))
    return {day: weekend if day.weekday() >= 5 else weekday for day in dates}


def test_a_quiet_weekend_is_usual_and_a_quiet_monday_is_not() -> None:
    history = week(1_000, 200, 56)
    saturday, monday = MONDAY + timedelta(days=61), MONDAY + timedelta(days=56)
    assert usual_range("volume", history, saturday).holds(200)
    assert not usual_range("volume", history, monday).holds(200)


@given(st.sets(st.integers(0, 55), max_size=3), st.sampled_from([0.0, 1e9]))
def test_outliers_in_the_history_do_not_hide_a_fault(where: set[int], outlier: float) -> None:
    history = week(1_000, 1_000, 56)
    spoilt = history | {MONDAY + timedelta(days=number): outlier for number in where}
    usual = usual_range("volume", spoilt, MONDAY + timedelta(days=56))
    assert usual is not None
    assert usual.holds(1_000)
    assert not usual.holds(100)
    assert not usual.holds(10_000)


def test_with_little_history_nothing_is_claimed() -> None:
    history = week(1_000, 1_000, LEAST_DAYS - 1)
    assert usual_range("volume", history, MONDAY + timedelta(days=LEAST_DAYS - 1)) is None


def test_a_few_rows_of_the_future_do_not_make_the_day_before_look_complete() -> None:
    sales = Series("raw.sales", "fleet", "volume")
    history: History = {sales: week(1_000, 1_000, 30) | {date(2026, 3, 1): 3.0}}
    assert last_days(history, date(2026, 6, 1)) == {"fleet": MONDAY + timedelta(days=29)}


@pytest.mark.parametrize(("on_finding", "is_blocking"), [("warn", False), ("block", True)])
def test_warn_or_block_is_the_tables_choice(on_finding: str, is_blocking: bool) -> None:
    sales = Series("raw.sales", "fleet", "volume")
    last_day = MONDAY + timedelta(days=56)
    history: History = {
        sales: week(1_000, 1_000, 56),
        Series("raw.replenishment", "fleet", "volume"): week(50, 50, 57),
    }
    check = TableCheck(severity=Severity.ERROR, on_finding=OnFinding(on_finding))
    (finding,) = judge_last_days(history, {"raw.sales": check}, last_day + timedelta(days=1))
    assert finding.is_blocking is is_blocking
    assert str(finding) == (
        f"raw.sales of fleet: the number of rows of {last_day} is 0, usual is 779 to 1,284"
    )


def test_every_raw_table_and_mart_is_measured() -> None:
    raw = {f"raw.{path.stem}" for path in (CODE_ROOT / "include/contracts/datasets").glob("*.yaml")}
    marts = {f"marts.{path.stem}" for path in (CODE_ROOT / "dbt/models/marts").glob("*.sql")}
    assert set(load_checks()) == raw | marts


def test_a_master_that_lost_half_of_its_rows_is_found_although_it_has_no_days() -> None:
    today = date(2026, 11, 21)
    check = TableCheck(by=Grain.TABLE, severity=Severity.WARNING, on_finding=OnFinding.WARN)
    with duckdb.connect() as connection:
        connection.execute("CREATE SCHEMA raw; CREATE TABLE raw.products AS FROM range(20)")
        measured = measure(DuckDBStore(connection), {"raw.products": check}, today)
    (series,) = measured
    assert series == Series("raw.products", "", "volume")
    before = {today - timedelta(days=back): 40.0 for back in range(2, 40)}
    history = {series: before | measured[series]}
    (finding,) = judge_last_days(history, {"raw.products": check}, today)
    assert str(finding).startswith("raw.products: the number of rows of 2026-11-20 is 20")
    assert judge_last_days({series: before}, {"raw.products": check}, today - timedelta(1)) == []
