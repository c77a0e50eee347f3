"""The warehouse made again from raw: the same rows, and nothing lost when it goes wrong."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from include import rebuild
from include.contracts import load_catalog
from include.ingest import settle
from include.ingest.api import ApiAccess, fetch_pages
from include.lake import DiskLake
from include.rebuild import RebuildError, rebuild_raw
from include.settings import Settings, load_settings
from tests.include.ingest.running import Ingest, products, sales
from tests.include.ingest.vendor import TOKEN, page, serving

FIRST, SECOND = "sales_VM001_20260101.csv", "east/sales_VM002_20260102.csv"
# What differs between two loads of the same bytes: the moment, what discovery compares, and which
# of several later versions took over, for here they all come at once; so a note tells of fewer
# references that no master knew yet.
LEDGER = (
    "SELECT * EXCLUDE (run_id, loaded_at, retired_at, etag, parquet_location, loaded_seq, "
    "retired_seq, replaced_by, missing_since, note) FROM ops.load_history "
    "ORDER BY object_key, generation"
)
QUARANTINE = (
    "SELECT * EXCLUDE (run_id, quarantined_at, resolved_run_id, resolved_at, resolved_by) "
    "FROM ops.quarantine ORDER BY ALL"
)


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setattr(settle, "PAUSE_SECONDS", 0.0)
    return load_settings({"VENDING_DATA_DIR": str(tmp_path / "data")})


@pytest.fixture
def history(settings: Settings) -> Ingest:
    """Files that were corrected, came back to what they were, were copied and removed."""
    ingest = Ingest(DiskLake(settings.lake.root), settings)
    for first in (sales("VM001", 120, "cheap"), sales("VM001", 130), sales("VM001", 120, "cheap")):
        ingest.deliver(FIRST, first)
        ingest.deliver(SECOND, sales("VM002", 500, 500))
        ingest()
    for names in (("Cola",), ("Cola", "Tea")):
        ingest.deliver("products.csv", products(*names))
        ingest.deliver(f"copy/{FIRST}", sales("VM001", 120, "cheap"))
        ingest()
    ingest.lake.delete(f"sources/{SECOND}")
    return ingest


def contents(path: Path) -> dict[str, list[tuple]]:
    with duckdb.connect(str(path), read_only=True) as connection:
        tables = connection.execute(
            "SELECT table_name FROM information_schema.tables WHERE table_schema = 'raw'"
        ).fetchall()
        statements = {f"raw.{name}": f"FROM raw.{name} ORDER BY ALL" for (name,) in tables}
        statements |= {"ledger": LEDGER, "quarantine": QUARANTINE}
        return {name: connection.execute(sql).fetchall() for name, sql in statements.items()}


def test_raw_is_enough_to_make_the_same_warehouse_again(history, settings):
    beside = rebuild._beside(settings, settings.warehouse)

    summaries = rebuild_raw(beside)

    made, before = contents(beside.warehouse.path), contents(settings.warehouse.path)
    assert before["ledger"]
    assert before["quarantine"]
    assert made == before
    assert sum(summary.files for summary in summaries) == len(before["ledger"])


def test_api_pages_are_loaded_again_too(settings):
    telemetry = load_catalog().source("fleet.machine_telemetry")
    item = '{"event_id":"e1","machine_id":"VM001","measured_at":"2026-01-01T10:00:00+09:00"}'
    with serving() as vendor:
        vendor.pages = {None: page(item, next_cursor="c1", has_more=False)}
        fetch_pages(DiskLake(settings.lake.root), telemetry, ApiAccess(vendor.base_url, TOKEN))

    rebuild_raw(settings)

    assert len(contents(settings.warehouse.path)["raw.machine_telemetry"]) == 1


def test_the_next_run_after_a_rebuild_loads_nothing_again(history, settings):
    path = settings.warehouse.path
    beside = rebuild._beside(settings, settings.warehouse)
    rebuild_raw(beside)
    rebuild._swap(beside.warehouse.path, path)

    assert path.with_name("dbt_dev.duckdb.before-rebuild").exists()
    assert history().files == 0


def test_a_warehouse_that_is_in_use_is_not_rebuilt(history, settings):
    with (
        duckdb.connect(str(settings.warehouse.path)),
        pytest.raises(RebuildError, match=r"is in use by .* stop Airflow with make down"),
    ):
        # In one process DuckDB would share the connection, so the question is asked in another.
        _ask_elsewhere(settings.warehouse.path)


def _ask_elsewhere(path: Path) -> None:
    import subprocess
    import sys

    script = (
        "import sys; from pathlib import Path; from include import rebuild\n"
        "try: rebuild._refuse_if_in_use(Path(sys.argv[1]))\n"
        "except rebuild.RebuildError as error: print(error)"
    )
    asked = subprocess.run(
        [sys.executable, "-c", script, str(path)], capture_output=True, text=True, timeout=60,
        check=True, cwd=Path(rebuild.__file__).parents[1],
    )  # fmt: skip
    if asked.stdout:
        raise RebuildError(asked.stdout)


@pytest.mark.parametrize("content", [b"", b"not a database", b"x" * 20_000])
def test_a_damaged_warehouse_is_what_a_rebuild_is_for(tmp_path, content):
    path = tmp_path / "dbt_dev.duckdb"
    path.write_bytes(content)

    rebuild._refuse_if_in_use(path)
