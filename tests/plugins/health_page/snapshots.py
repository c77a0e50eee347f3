"""A healthy day and a bad one, as the pipeline writes them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

from include.quality.health import (
    Backlog,
    FailedTest,
    Health,
    MartHealth,
    ModelHistory,
    ModelRun,
    Point,
    RunState,
    SinkVersion,
    SourceHealth,
    Storage,
    iso,
)

LAST_DAY = date(2026, 11, 20)
# Data may not become markup: shown as it is, it must do nothing.
HOSTILE = "<img src=x onerror=\"document.title='forged'\">.csv"


def points(days: int, last: float) -> tuple[Point, ...]:
    values = [400 + 60 * ((LAST_DAY - timedelta(days=back)).weekday() >= 5) for back in range(days)]
    dated = [
        Point((LAST_DAY - timedelta(days=back)).isoformat(), value)
        for back, value in enumerate(values)
    ]
    return (*reversed(dated[1:]), Point(LAST_DAY.isoformat(), last))


def mart(name: str, owner: str, last: float = 400) -> MartHealth:
    return MartHealth(
        name=name,
        owner=owner,
        outcome="passed",
        is_held_back=False,
        built_at="2026-11-20T19:05:00Z",
        tests_passed=7,
        tests_failed=0,
        tests_never_run=0,
        volume=points(42, last),
        low=310.0,
        high=520.0,
    )


def source(dataset: str, file: str, *, rows: int) -> SourceHealth:
    return SourceHealth(
        source="fleet",
        dataset=dataset,
        last_file=file,
        last_landed_at="2026-11-20T18:02:11Z",
        last_business_date=LAST_DAY.isoformat(),
        files=50,
        rows=rows,
        quarantined={},
        drift=(),
        is_late=False,
    )


def healthy_day(now: datetime | None = None) -> Health:
    return Health(
        environment="dev",
        written_at=iso(now or datetime.now(UTC)) or "",
        run_id="scheduled__2026-11-20T19:00:00+00:00",
        run_passed=True,
        sources_at=iso(now or datetime.now(UTC)),
        loaded_at="2026-11-20T18:04:00Z",
        marts_at=iso(now or datetime.now(UTC)),
        runs=tuple(
            RunState(dag_id, "scheduled__2026-11-20", has_failed=False, at="2026-11-20T18:05:00Z")
            for dag_id in ("ingest_apis", "ingest_files", "transform")
        ),
        published_run_id="scheduled__2026-11-20T19:00:00+00:00",
        published_at="2026-11-20T19:06:30Z",
        sources=(
            source("sales", "fleet/2026-11-20/sales_VM0001_20261120.csv", rows=254_077),
            source(
                "machine_telemetry", "api/fleet/machine_telemetry/page-00000027.jsonl.gz", rows=9
            ),
        ),
        marts=(
            mart("fct_sales", "sales-operations"),
            mart("fct_machine_health", "field-operations"),
            replace(mart("dim_products", "merchandising"), volume=(), low=None, high=None),
        ),
        failed_tests=(),
        findings=(),
        schema_changes=(),
        models=(
            ModelHistory(
                "fct_daily_inventory",
                "model.vending.fct_daily_inventory",
                tuple(
                    ModelRun(f"2026-11-{day}T19:05:00Z", "passed", seconds, 840)
                    for day, seconds in ((17, 2.1), (18, 2.0), (19, 2.4), (20, 2.2))
                ),
            ),
        ),
        sinks=(SinkVersion("fct_machine_health", "d1", "8f3a2c", 1_200, "2026-11-20T19:10:00Z"),),
        backlog=Backlog(0, None, 0, 0, 0),
        storage=Storage(120_000_000, 34_000_000, 5_967),
    )


def bad_day(now: datetime | None = None) -> Health:
    good = healthy_day(now)
    sales, telemetry = good.sources
    fct_sales, machine_health, products = good.marts
    return replace(
        good,
        run_id="scheduled__2026-11-21T19:00:00+00:00",
        run_passed=False,
        runs=(
            RunState(
                "ingest_apis",
                "scheduled__2026-11-21",
                has_failed=True,
                at="2026-11-21T18:05:00Z",
                sentence="The API of fleet.machine_telemetry failed 5 times; ask the vendor.",
            ),
            *good.runs[1:],
        ),
        sources=(
            replace(
                sales,
                last_file=HOSTILE,
                quarantined={"invalid_value": 37, "malformed_row": 2},
                drift=("added channel (12)",),
            ),
            replace(telemetry, last_business_date="2026-11-17", is_late=True),
        ),
        marts=(
            replace(fct_sales, volume=points(42, 12), tests_failed=1, tests_passed=6),
            replace(machine_health, tests_never_run=4, tests_passed=3),
            replace(products, is_held_back=True),
        ),
        failed_tests=(
            FailedTest("holds_fct_sales_amount", "fct_sales", 37, "Got 37 results"),
            FailedTest("unique_fct_sales_sale_key", "fct_sales", None, "Database error"),
        ),
        findings=(
            "raw.sales of fleet: the number of rows of 2026-11-20 is 12, usual is 310 to 520",
        ),
        schema_changes=("raw.sales.channel is new",),
        backlog=Backlog(39, "2026-11-20T18:02:11Z", 3, 2, 1),
    )
