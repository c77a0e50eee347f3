"""Forks publishers, each of which publishes one version of a mart after another until it is killed.

    python -m tests.cloudflare.drill_publisher <folder> <address and token of the API, as JSON>

A line on standard input starts one; its process id is printed, then each version it published.

In version v every row has the amount v, and there are ROWS + v % 50 of them. Versions take turns in
how they reach D1: as one request, by tables of their own, and as a load of everything.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

import duckdb

from deploy.cloudflare.local_cloudflare import LocalCloudflare
from include.publish import d1 as d1_sink
from include.publish.spec import D1Spec, IcebergSpec, KvSpec, PublishSpec, Sink, Transform
from tests.cloudflare.published import KEY, Warehouse, open_warehouse, publish_d1, publish_kv

ROWS = 60
MART = "drill"


def open_drill(folder: Path) -> Warehouse:
    """The mart of the drill, made if it is not there."""
    spec = PublishSpec(
        d1=D1Spec(key=KEY),
        kv=KvSpec(key="drill-row/{machine_id}"),
        iceberg=IcebergSpec(key=KEY, partition={"business_date": Transform.MONTH}),
    )
    return open_warehouse(folder, MART, spec)


def write_version(made: Warehouse, version: int) -> None:
    rows = ROWS + version % 50
    made.execute(
        "BEGIN",
        "DELETE FROM MART",
        "INSERT INTO MART SELECT 'fleet', 'M' || i, DATE '2026-01-01', i, "
        f"{version}, true, null, repeat('x', 100) FROM range({rows}) t(i)",
        "COMMIT",
    )


def version_of(made: Warehouse) -> int:
    with duckdb.connect(str(made.file)) as connection:
        found = connection.execute(f"SELECT max(amount)::INTEGER FROM marts.{MART}").fetchone()
    return found[0] or 0 if found else 0


def publish_for_ever(folder: Path, cloudflare: LocalCloudflare) -> None:
    made = open_drill(folder)
    while True:
        version = version_of(made) + 1
        write_version(made, version)
        # The rows are 10 KB and more: with less room for a request they go by tables of their own.
        d1_sink.REQUEST_BYTES = 5_000 if version % 3 == 1 else 1_000_000
        if version % 3 == 2:
            made.versions(Sink.D1).drop_all_but(())
        publish_d1(made, cloudflare)
        publish_kv(made, cloudflare)
        print(version, flush=True)


def fork_for_each_line(publish: Callable[[], None]) -> None:
    """Fork a publisher for each line on standard input, and print its process id.

    It need not import what this process has imported, which takes longer than publishing.
    """
    for _ in sys.stdin:
        pid = os.fork()
        if pid == 0:
            publish()
        print(f"pid {pid}", flush=True)
        os.waitpid(pid, 0)


def main(folder: Path, cloudflare: LocalCloudflare) -> None:
    import cloudflare as _sdk

    assert _sdk.Cloudflare
    fork_for_each_line(lambda: publish_for_ever(folder, cloudflare))


if __name__ == "__main__":
    main(Path(sys.argv[1]), LocalCloudflare(**json.loads(sys.argv[2])))
