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
from pathlib import Path

import duckdb

from deploy.cloudflare.local_cloudflare import LocalCloudflare
from include.publish import d1 as d1_sink
from include.publish.spec import (
    Column,
    D1Spec,
    IcebergSpec,
    KvSpec,
    PublishedMart,
    PublishSpec,
    Sink,
    Transform,
)
from tests.cloudflare.published import CONTRACT, KEY, Warehouse, publish_d1, publish_kv

ROWS = 60
MART = "drill"


def open_drill(folder: Path) -> Warehouse:
    """The mart of the drill, made if it is not there."""
    columns = tuple(Column(*column) for column in CONTRACT.items())
    spec = PublishSpec(
        d1=D1Spec(key=KEY),
        kv=KvSpec(key="drill-row/{machine_id}"),
        iceberg=IcebergSpec(key=KEY, partition={"business_date": Transform.MONTH}),
    )
    made = Warehouse(folder, PublishedMart(MART, "marts", columns, spec))
    definition = ", ".join(f"{name} {data_type}" for name, data_type in CONTRACT.items())
    made.execute(
        "CREATE SCHEMA IF NOT EXISTS marts", f"CREATE TABLE IF NOT EXISTS MART ({definition})"
    )
    return made


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


def main(folder: Path, cloudflare: LocalCloudflare) -> None:
    # Forked from here, a publisher need not import the SDK, which takes longer than publishing.
    import cloudflare as _sdk

    assert _sdk.Cloudflare
    for _ in sys.stdin:
        pid = os.fork()
        if pid == 0:
            publish_for_ever(folder, cloudflare)
        print(f"pid {pid}", flush=True)
        os.waitpid(pid, 0)


if __name__ == "__main__":
    main(Path(sys.argv[1]), LocalCloudflare(**json.loads(sys.argv[2])))
