"""Ingest, transform and publish whatever is new, without Airflow: ``python -m benchmarks.one_day``.

Over the data folder and the Cloudflare that the environment names. Prints the seconds of each part
as JSON on the last line. With --only-publish, for a warehouse that was put back.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from include.ingest import steps
from include.ingest.runs import IngestRun
from include.lake import open_lake
from include.publish.services import open_services
from include.publish.spec import Sink
from include.settings import Settings, current_settings
from include.transform.dbt_command import NO_UNIT_TESTS, run_dbt
from include.transform.project import DbtProject
from include.transform.snapshot import replace_snapshot

PUBLISH = "publish"


def main() -> None:
    parser = argparse.ArgumentParser(description="Ingest, transform and publish what is new.")
    parser.add_argument("--only-publish", action="store_true")
    options = parser.parse_args()
    # In this order: the reader of the marts opens what dbt leaves.
    parts: dict[str, Callable[[Settings], None]] = {"ingest": _ingest, "transform": _transform}
    chosen = {} if options.only_publish else parts
    print(json.dumps({name: _timed(work) for name, work in {**chosen, PUBLISH: _publish}.items()}))


def _timed(work: Callable[[Settings], None]) -> float:
    """CPU seconds, of all threads."""
    before = time.process_time()
    work(current_settings())
    return time.process_time() - before


def _ingest(settings: Settings) -> None:
    run = IngestRun(open_lake(settings.lake), "one_day", datetime.now(UTC).isoformat())
    for group in steps.discover_files(run, settings):
        steps.conform(run, settings, group)
    steps.load(run, settings)
    steps.verify_run(run, settings)


def _transform(settings: Settings) -> None:
    with tempfile.TemporaryDirectory() as target:
        result = run_dbt(
            DbtProject.of_settings(settings), "build", NO_UNIT_TESTS, target_path=Path(target)
        )
    failed = [each.node.name for each in result if each.status in ("error", "fail", "skipped")]
    if failed:
        raise SystemExit(f"These did not pass: {', '.join(failed)}.")


def _publish(settings: Settings) -> None:
    replace_snapshot(settings.warehouse.path, settings.warehouse.snapshot_path)
    with open_services(settings) as services:
        for mart in services.marts:
            if Sink.D1 in mart.sinks:
                services.d1_sink(mart).publish()
            if Sink.KV in mart.sinks:
                services.kv_sink(mart).publish()


if __name__ == "__main__":
    main()
