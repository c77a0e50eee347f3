"""A publisher of Iceberg that publishes one version of a mart after another until it is killed.

    python -m tests.cloudflare.drill_iceberg <folder> <the catalog's IcebergAccess, as JSON>

Each version that it published is printed. In version v every row has the amount v, and there are
ROWS + v % 7 of them; now and then the version file is lost, so that everything is written anew.
"""

from __future__ import annotations

import sys
from pathlib import Path

from include.cloudflare.access import CloudflareAccess, IcebergAccess
from include.cloudflare.iceberg import open_catalog
from include.publish.iceberg import IcebergSink
from include.publish.spec import Sink
from tests.cloudflare.drill_publisher import ROWS, fork_for_each_line, open_drill, version_of
from tests.cloudflare.published import Warehouse


def write_version(made: Warehouse, version: int) -> None:
    made.execute(
        "BEGIN",
        "DELETE FROM MART",
        "INSERT INTO MART SELECT 'fleet', 'M' || i, DATE '2026-01-01' + (i % 60)::INTEGER, i, "
        f"{version}, true, null, 'x' FROM range({ROWS + version % 7}) t(i)",
        "COMMIT",
    )


def publish_drill(made: Warehouse, access: IcebergAccess) -> None:
    spec = made.mart.spec.iceberg
    assert spec is not None
    catalog = open_catalog(CloudflareAccess(account_id="a", token="t", iceberg=access))
    with made.reader() as reader:
        versions = made.versions(Sink.ICEBERG)
        IcebergSink(reader, made.mart, spec, catalog, versions).publish()


def publish_for_ever(folder: Path, access: IcebergAccess) -> None:
    made = open_drill(folder)
    while True:
        version = version_of(made) + 1
        write_version(made, version)
        if version % 4 == 2:
            made.versions(Sink.ICEBERG).drop_all_but(())
        publish_drill(made, access)
        print(version, flush=True)


def main(folder: Path, access: IcebergAccess) -> None:
    fork_for_each_line(lambda: publish_for_ever(folder, access))


if __name__ == "__main__":
    main(Path(sys.argv[1]), IcebergAccess.model_validate_json(sys.argv[2]))
