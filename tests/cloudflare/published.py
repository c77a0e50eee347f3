"""A mart in a DuckDB file, and what publishing it over and over needs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import httpx

from deploy.cloudflare.local_catalog import LocalCatalog
from deploy.cloudflare.local_cloudflare import LocalCloudflare
from include.cloudflare.access import CloudflareAccess
from include.cloudflare.client import open_cloudflare
from include.cloudflare.d1 import D1Database, Statement
from include.cloudflare.iceberg import IcebergCatalog, open_catalog
from include.cloudflare.kv import KvNamespace
from include.lake import DiskLake
from include.publish.d1 import D1Sink
from include.publish.iceberg import IcebergSink
from include.publish.kv import KvSink
from include.publish.marts import MartReader, open_file
from include.publish.outcome import Outcome
from include.publish.spec import (
    Column,
    D1Spec,
    IcebergSpec,
    KvSpec,
    PublishedMart,
    PublishSpec,
    Sink,
)
from include.publish.versions import PublishedVersions

CONTRACT = {
    "source": "varchar",
    "machine_id": "varchar",
    "business_date": "date",
    "units": "bigint",
    "amount": "decimal(18,2)",
    "is_open": "boolean",
    "seen_at": "timestamp",
    "note": "varchar",
}
KEY = ("source", "machine_id")


@dataclass(frozen=True)
class Warehouse:
    """A readers' copy with one mart of CONTRACT's columns, and the lake beside it."""

    folder: Path
    mart: PublishedMart

    @property
    def file(self) -> Path:
        return self.folder / "snapshot.duckdb"

    @property
    def lake(self) -> DiskLake:
        return DiskLake(self.folder / "lake")

    def execute(self, *statements: str) -> None:
        with duckdb.connect(str(self.file)) as connection:
            for statement in statements:
                connection.execute(statement.replace("MART", f"marts.{self.mart.name}"))

    @contextmanager
    def reader(self) -> Iterator[MartReader]:
        scratch = self.folder / "scratch"
        scratch.mkdir(exist_ok=True)
        with open_file(self.file, scratch) as reader:
            yield reader

    def versions(self, sink: Sink) -> PublishedVersions:
        return PublishedVersions(self.lake, sink, "marts", self.mart.name)


def open_warehouse(
    folder: Path, name: str, spec: PublishSpec, contract: Mapping[str, str] = CONTRACT
) -> Warehouse:
    """The mart of a folder, made without rows if it is not there."""
    columns = tuple(Column(*column) for column in contract.items())
    made = Warehouse(folder, PublishedMart(name, "marts", columns, spec))
    definition = ", ".join(f'"{column.name}" {column.data_type}' for column in columns)
    made.execute(
        "CREATE SCHEMA IF NOT EXISTS marts", f"CREATE TABLE IF NOT EXISTS MART ({definition})"
    )
    return made


def warehouse(
    folder: Path,
    name: str,
    rows: int,
    *,
    contract: dict[str, str] | None = None,
    d1: D1Spec | None = None,
    kv: KvSpec | None = None,
    iceberg: IcebergSpec | None = None,
) -> Warehouse:
    """A mart of so many rows whose key is (source, machine_id)."""
    spec = PublishSpec(
        d1=d1 or D1Spec(key=KEY, indexes=(("business_date",),)), kv=kv, iceberg=iceberg
    )
    made = open_warehouse(folder, name, spec, contract or CONTRACT)
    if contract is None:
        made.execute(
            "INSERT INTO MART SELECT 'fleet', format('M{:06d}', i), DATE '2026-01-01', i, "
            "i * 1.5, i % 2 = 0, TIMESTAMP '2026-01-01 09:00:00', "
            f"CASE WHEN i % 7 > 0 THEN 'it''s; ' || i END FROM range({rows}) t(i)"
        )
    return made


def publish_d1(
    made: Warehouse, cloudflare: LocalCloudflare, *, size_limit: int = 10_000_000_000
) -> Outcome:
    spec = made.mart.spec.d1
    assert spec is not None
    with open_cloudflare(cloudflare.access) as client, made.reader() as reader:
        database = D1Database(client, "local", "marts")
        versions = made.versions(Sink.D1)
        sink = D1Sink(reader, made.mart, spec, database, versions, size_limit=size_limit)
        return sink.publish()


def publish_kv(made: Warehouse, cloudflare: LocalCloudflare) -> Outcome:
    spec = made.mart.spec.kv
    assert spec is not None
    with namespace(cloudflare) as kv, made.reader() as reader:
        return KvSink(reader, made.mart, spec, kv, made.versions(Sink.KV)).publish()


def open_local(catalog: LocalCatalog) -> IcebergCatalog:
    access = CloudflareAccess(account_id="local", token="local", iceberg=catalog.access)
    return open_catalog(access)


def publish_iceberg(made: Warehouse, catalog: LocalCatalog) -> Outcome:
    spec = made.mart.spec.iceberg
    assert spec is not None
    with made.reader() as reader:
        opened, versions = open_local(catalog), made.versions(Sink.ICEBERG)
        return IcebergSink(reader, made.mart, spec, opened, versions).publish()


def query_d1(cloudflare: LocalCloudflare, sql: str, *parameters: Any) -> list[dict[str, Any]]:
    with open_cloudflare(cloudflare.access) as client:
        database = D1Database(client, "local", "marts")
        return list(database.run([Statement(sql, parameters)]).rows)


@contextmanager
def namespace(cloudflare: LocalCloudflare) -> Iterator[KvNamespace]:
    with open_cloudflare(cloudflare.access) as client:
        yield KvNamespace(client, "local", "marts")


def journal(cloudflare: LocalCloudflare) -> list[str]:
    """Every call of the REST API so far, as method and the end of its path."""
    calls = httpx.get(f"{cloudflare.api}/__local/journal").json()
    return [f"{call['method']} {'/'.join(call['path'].split('/')[5:])}" for call in calls]


def answer_next_with(cloudflare: LocalCloudflare, *faults: dict[str, Any]) -> None:
    """Let the next calls of the REST API fail: status, code, message, headers."""
    httpx.post(f"{cloudflare.api}/__local/faults", json=list(faults)).raise_for_status()
