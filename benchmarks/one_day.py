"""Ingest, transform and publish whatever is new, without Airflow: ``python -m benchmarks.one_day``.

Over the data folder and the Cloudflare that the environment names. Prints the seconds of each part
as JSON on the last line. With names of parts (``python -m benchmarks.one_day ingest``), only those.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime

from include.ingest import steps
from include.ingest.runs import IngestRun
from include.lake import open_lake
from include.publish.services import open_services
from include.publish.spec import Sink, published_marts
from include.settings import Settings, current_settings
from include.transform.dbt_command import build_all
from include.transform.project import DbtProject
from include.transform.snapshot import replace_snapshot


def main() -> None:
    parser = argparse.ArgumentParser(description="Ingest, transform and publish what is new.")
    parser.add_argument("parts", nargs="*", metavar="part", help=", ".join(PARTS), default=PARTS)
    chosen = parser.parse_args().parts
    print(json.dumps({part: _timed(_WORK[part]) for part in PARTS if part in chosen}))


def _timed(work: Callable[[Settings], None]) -> float:
    """CPU seconds, of all threads."""
    before = time.process_time()
    work(current_settings())
    return time.process_time() - before


def _ingest(settings: Settings) -> None:
    run = IngestRun(open_lake(settings.lake), "one_day", datetime.now(UTC).isoformat())
    steps.ingest(run, settings, steps.discover_files)


def _transform(settings: Settings) -> None:
    if failed := build_all(DbtProject.of_settings(settings)):
        raise SystemExit(f"These did not pass: {', '.join(failed)}.")


def _snapshot(settings: Settings) -> None:
    replace_snapshot(settings.warehouse.path, settings.warehouse.snapshot_path)


def _publish(settings: Settings) -> None:
    with open_services(settings) as services:
        for mart in published_marts(services.manifest):
            if Sink.D1 in mart.sinks:
                services.d1_sink(mart).publish()
            if Sink.KV in mart.sinks:
                services.kv_sink(mart).publish()


# In the order in which they are done: each opens what the one before leaves.
_WORK: Mapping[str, Callable[[Settings], None]] = {
    "ingest": _ingest,
    "transform": _transform,
    "snapshot": _snapshot,
    "publish": _publish,
}
PARTS = tuple(_WORK)


if __name__ == "__main__":
    main()
