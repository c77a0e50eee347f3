"""Makes the DuckDB warehouse again from raw: ``python -m include.rebuild``.

For a file that is damaged or lost. Everything is made beside it and put in its place at the end, so
a rebuild that fails or is killed leaves what was there. What was there before stays until the next
rebuild, under the name that is printed.
"""

from __future__ import annotations

import logging
import shutil
import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime
from multiprocessing import get_context
from pathlib import Path

from include.ingest import steps
from include.ingest.plan import RunSummary
from include.ingest.runs import IngestRun
from include.ingest.steps import Discover, IngestError
from include.ingest.verify import VerificationError
from include.lake import LakeError, open_lake
from include.settings import DuckDBSettings, Settings, current_settings
from include.transform.dbt_command import DbtError, build_all
from include.transform.manifest import build_manifest
from include.transform.project import DbtProject
from include.transform.snapshot import replace_snapshot
from include.warehouse import WarehouseError
from include.warehouse.duckdb_file import WarehouseInUse, connect

log = logging.getLogger(__name__)

FOLDER = ".rebuilding"
BEFORE = "before-rebuild"


class RebuildError(RuntimeError):
    """The warehouse cannot be made again; one sentence with the remedy."""


def rebuild(settings: Settings) -> list[str]:
    """Make the warehouse of the settings again; returns the dbt nodes that did not pass.

    Raises RebuildError, or what a step of ingest or dbt raises; the warehouse is as before then.
    """
    place = _duckdb(settings)
    _refuse_if_in_use(place.path)
    beside = _beside(settings, place)
    for summary in rebuild_raw(beside):
        log.info("%d files, %d rows conformed.", summary.files, summary.rows_conformed)
    failed = _in_another_process(_build, beside)
    _refuse_if_in_use(place.path)
    _swap(_duckdb(beside).path, place.path)
    replace_snapshot(place.path, place.snapshot_path)
    return failed


def rebuild_raw(settings: Settings) -> list[RunSummary]:
    """Load every file version and every API page of raw into a warehouse that has none of them."""
    lake = open_lake(settings.lake)
    started = datetime.now(UTC).isoformat()
    return [
        _ingest(IngestRun(lake, "rebuild_files", started), settings, steps.discover_raw),
        _ingest(IngestRun(lake, "rebuild_pages", started), settings, steps.discover_pages),
    ]


def _ingest(run: IngestRun, settings: Settings, discover: Discover) -> RunSummary:
    # The Parquet that the warehouse of before names is not swept before it is replaced.
    summary = steps.ingest(run, settings, discover, sweeps=False)
    if summary is None:
        raise RebuildError(f"The run {run.run_id} has no summary; run make rebuild again.")
    return summary


def _duckdb(settings: Settings) -> DuckDBSettings:
    if not isinstance(settings.warehouse, DuckDBSettings):
        raise RebuildError("Only a DuckDB warehouse is rebuilt; run with VENDING_ENV=dev.")
    return settings.warehouse


def _refuse_if_in_use(path: Path) -> None:
    if not path.exists():
        return
    try:
        connect(path, 0).close()
    except WarehouseInUse as error:
        raise RebuildError(f"{error} A rebuild needs it: stop Airflow with make down.") from error
    except WarehouseError:
        # Damaged, or of another version: what a rebuild is for.
        return


def _beside(settings: Settings, place: DuckDBSettings) -> Settings:
    """The same settings with an empty warehouse of the same name in another folder."""
    folder = place.path.parent / FOLDER
    shutil.rmtree(folder, ignore_errors=True)
    # The file keeps its name: it is the name of the database in every statement of dbt.
    warehouse = place._replace(path=folder / place.path.name)
    return settings._replace(warehouse=warehouse)


def _in_another_process(work: Callable[[Settings], list[str]], settings: Settings) -> list[str]:
    """dbt keeps its connection to the file for as long as its process lives."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(work, settings).result()


def _build(settings: Settings) -> list[str]:
    build_manifest(DbtProject.of_target(settings.dbt_target))
    return build_all(DbtProject.of_settings(settings))


def _swap(made: Path, place: Path) -> None:
    """Put the file in its place; the one that was there keeps its log beside it."""
    with connect(made, 0) as connection:
        connection.execute("CHECKPOINT")
    for suffix in ("", ".wal"):
        before = place.with_name(place.name + suffix)
        if before.exists():
            before.replace(place.with_name(f"{place.name}.{BEFORE}{suffix}"))
    made.replace(place)
    made.parent.rmdir()


def main() -> int:
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    for name in ("sqlfluff", "dbt"):
        logging.getLogger(name).setLevel(logging.WARNING)
    settings = current_settings()
    mistakes = (DbtError, IngestError, LakeError, RebuildError, VerificationError, WarehouseError)
    try:
        failed = rebuild(settings)
        path = _duckdb(settings).path
    except mistakes as error:
        print(error, file=sys.stderr)
        return 1
    print(f"{path} is made again; what was there before is {path.name}.{BEFORE}.")
    if failed:
        print(f"These dbt nodes did not pass: {', '.join(failed)}.", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
