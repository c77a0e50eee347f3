"""A large mart as an Iceberg table on the local R2: ``python -m benchmarks.iceberg [--rows N]``.

Each step runs in a process of its own, so that its memory is its own: everything is published, then
1 % of the rows of the last month, then nothing, and the table is held to the mart. R2 is workerd's,
over S3; the catalog answers from this process. Exits 1 above 512 MB resident.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import duckdb

from benchmarks.memory import peak_megabytes
from benchmarks.processes import answer_of
from benchmarks.results import Result, alone, show
from deploy.cloudflare.local_catalog import running_catalog
from deploy.cloudflare.local_cloudflare import running_cloudflare
from include.cloudflare.access import CloudflareAccess, IcebergAccess
from include.cloudflare.iceberg import IcebergCatalog, open_catalog
from include.lake import DiskLake
from include.publish.iceberg import IcebergSink
from include.publish.marts import MartReader, open_file
from include.publish.spec import Column, IcebergSpec, PublishedMart, PublishSpec, Sink, Transform
from include.publish.verify_iceberg import verify_iceberg_table
from include.publish.versions import PublishedVersions

ROWS = 5_000_000
MOST_MEGABYTES = 512
_COLUMNS = {
    "sale_key": "varchar",
    "source": "varchar",
    "machine_id": "varchar",
    "product_id": "varchar",
    "business_date": "date",
    "sold_at": "timestamp",
    "slot_number": "integer",
    "quantity": "integer",
    "amount": "decimal(18,2)",
    "currency": "varchar",
    "payment_method_code": "varchar",
}
_SPEC = IcebergSpec(key=("sale_key",), partition={"business_date": Transform.MONTH})
_MART = PublishedMart(
    "fct_sales",
    "marts",
    tuple(Column(*column) for column in _COLUMNS.items()),
    PublishSpec(iceberg=_SPEC),
)


@dataclass(frozen=True)
class Measure:
    """One step, and what it did: ``sent`` counts rows."""

    seconds: float
    megabytes: int
    how: str
    sent: int = 0


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="A large mart to Iceberg on R2.")
    parser.add_argument("--rows", type=int, default=ROWS)
    parser.add_argument("--step", choices=STEPS, help="(used by itself) take it once, print JSON")
    parser.add_argument("--folder", type=Path, help="(used by itself) of the mart")
    given = parser.parse_args(arguments)
    if given.step is None:
        return show(measure(given.rows))
    print(json.dumps(asdict(STEPS[given.step](given.folder))))
    return 0


def measure(rows: int = ROWS) -> list[Result]:
    with tempfile.TemporaryDirectory(prefix="benchmark-iceberg-") as name:
        folder = Path(name)
        _write_mart(folder, rows)
        with running_cloudflare(folder / "cloudflare") as cloudflare:
            store = {
                "s3.endpoint": cloudflare.s3,
                "s3.access-key-id": "local",
                "s3.secret-access-key": cloudflare.s3_secret,
                "s3.region": "auto",
            }
            place = "s3://lake/gold"
            with running_catalog(folder / "catalog", location=place, store=store) as catalog:
                (folder / "access.json").write_text(catalog.access.model_dump_json())
                first = _in_own_process("publish", folder)
                changed_rows = _change_rows(folder)
                changed = _in_own_process("publish", folder)
                unchanged = _in_own_process("publish", folder)
                verified = _in_own_process("verify", folder)
    assert (first.how, first.sent) == ("replaced", rows)
    assert (changed.how, changed.sent) == ("changed", changed_rows)
    assert (unchanged.how, unchanged.sent) == ("unchanged", 0)
    return [
        alone("iceberg_first_load", "rows/s", [rows / first.seconds], None),
        alone("iceberg_first_load_resident", "MB", [first.megabytes], MOST_MEGABYTES),
        alone("iceberg_change", "s", [changed.seconds], None),
        alone("iceberg_change_resident", "MB", [changed.megabytes], MOST_MEGABYTES),
        alone("iceberg_unchanged", "s", [unchanged.seconds], None),
        alone("iceberg_unchanged_resident", "MB", [unchanged.megabytes], MOST_MEGABYTES),
        alone("iceberg_verification", "s", [verified.seconds], None),
        alone("iceberg_verification_resident", "MB", [verified.megabytes], MOST_MEGABYTES),
    ]


def publish(folder: Path) -> Measure:
    """Publish the mart of a folder, in this process."""
    lake = DiskLake(folder / "lake")
    started = time.perf_counter()
    with _opened(folder, lake) as (reader, catalog):
        versions = PublishedVersions(lake, Sink.ICEBERG, catalog.target, _MART.name)
        outcome = IcebergSink(reader, _MART, _SPEC, catalog, versions).publish()
    seconds = time.perf_counter() - started
    return Measure(seconds, peak_megabytes(), outcome.how, outcome.upserted)


def verify(folder: Path) -> Measure:
    """Hold the table to the mart of a folder, in this process. Raises PublishError."""
    started = time.perf_counter()
    with _opened(folder, DiskLake(folder / "lake")) as (reader, catalog):
        table = catalog.load(_MART.name)
        assert table is not None
        verify_iceberg_table(reader, _MART, table)
    return Measure(time.perf_counter() - started, peak_megabytes(), "verified")


STEPS: Mapping[str, Callable[[Path], Measure]] = {"publish": publish, "verify": verify}


@contextmanager
def _opened(folder: Path, lake: DiskLake) -> Iterator[tuple[MartReader, IcebergCatalog]]:
    iceberg = IcebergAccess.model_validate_json((folder / "access.json").read_text())
    access = CloudflareAccess(account_id="local", token="local", iceberg=iceberg)
    with lake.scratch() as scratch, open_file(folder / "snapshot.duckdb", scratch) as reader:
        yield reader, open_catalog(access)


def _in_own_process(step: str, folder: Path) -> Measure:
    return Measure(**answer_of("benchmarks.iceberg", "--step", step, "--folder", folder))


def _write_mart(folder: Path, rows: int) -> None:
    """Sales of a year, in the order of time."""
    with duckdb.connect(str(folder / "snapshot.duckdb")) as connection:
        connection.execute("SET memory_limit = '1GB'")
        connection.execute("CREATE SCHEMA marts")
        connection.execute(
            f"""
            CREATE TABLE marts.fct_sales AS
            SELECT
                md5(i::VARCHAR) AS sale_key,
                'fleet' AS source,
                format('VM{{:04d}}', i % 500) AS machine_id,
                format('P{{:04d}}', i % 40) AS product_id,
                DATE '2025-01-01' + CAST(i * 365 // {rows} AS INTEGER) AS business_date,
                TIMESTAMP '2025-01-01' + to_seconds(i * 31536000 // {rows}) AS sold_at,
                (i % 24)::INTEGER AS slot_number,
                1 AS quantity,
                (100 + i % 10 * 10)::DECIMAL(18, 2) AS amount,
                'JPY' AS currency,
                ['cash', 'ic', 'qr'][i % 3 + 1] AS payment_method_code
            FROM range({rows}) t(i)
            """
        )


def _change_rows(folder: Path) -> int:
    with duckdb.connect(str(folder / "snapshot.duckdb")) as connection:
        return connection.execute(
            "UPDATE marts.fct_sales SET amount = amount + 1 "
            "WHERE business_date >= DATE '2025-12-01' AND hash(sale_key) % 100 = 0"
        ).fetchall()[0][0]


if __name__ == "__main__":
    sys.exit(main())
