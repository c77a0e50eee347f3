"""Opens what the tasks of publishing work with: marts, Cloudflare, and a sink for a mart."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from include.cloudflare.access import CloudflareAccess, cloudflare_access
from include.cloudflare.cache import ZoneCache
from include.cloudflare.client import open_cloudflare
from include.cloudflare.d1 import D1Database
from include.cloudflare.errors import CloudflareError
from include.cloudflare.kv import KvNamespace
from include.cloudflare.wrangler import Wrangler
from include.lake import Lake, open_lake
from include.publish.d1 import D1Sink
from include.publish.kv import KvSink
from include.publish.marts import MartReader, PublishError, open_marts
from include.publish.pages import PagesSink
from include.publish.pipeline_tables import published_tables
from include.publish.sites import load_sites
from include.publish.spec import PublishedMart, PublishSpecError, Sink
from include.publish.versions import PublishedVersions
from include.settings import Settings
from include.transform.manifest import Manifest, load_manifest

if TYPE_CHECKING:
    from cloudflare import Cloudflare
    from pyiceberg.table import Table

    from include.cloudflare.iceberg import IcebergCatalog
    from include.publish.iceberg import IcebergSink


@dataclass(frozen=True)
class Services:
    """Everything a task needs, open for as long as `open_services` lasts."""

    access: CloudflareAccess
    client: Cloudflare
    reader: MartReader
    lake: Lake
    manifest: Manifest

    @property
    def marts(self) -> tuple[PublishedMart, ...]:
        return published_tables(self.manifest)

    def mart(self, name: str) -> PublishedMart:
        """Raises PublishSpecError if it is published no more."""
        for mart in self.marts:
            if mart.name == name:
                return mart
        raise PublishSpecError(f"The mart {name} has no meta.publish; start a new run of the DAG.")

    def d1(self) -> D1Database:
        return D1Database(self.client, self.access.account_id, self.target(Sink.D1))

    def kv(self) -> KvNamespace:
        return KvNamespace(self.client, self.access.account_id, self.target(Sink.KV))

    def d1_sink(self, mart: PublishedMart) -> D1Sink:
        assert mart.spec.d1 is not None
        versions, limit = self.versions(Sink.D1, mart.name), self.access.d1_database_bytes
        return D1Sink(self.reader, mart, mart.spec.d1, self.d1(), versions, size_limit=limit)

    def kv_sink(self, mart: PublishedMart) -> KvSink:
        assert mart.spec.kv is not None
        versions = self.versions(Sink.KV, mart.name)
        return KvSink(self.reader, mart, mart.spec.kv, self.kv(), versions)

    @cached_property
    def iceberg(self) -> IcebergCatalog:
        # Imported here: pyiceberg costs half a second, and most tasks need none.
        from include.cloudflare.iceberg import open_catalog

        return open_catalog(self.access)

    def iceberg_sink(self, mart: PublishedMart) -> IcebergSink:
        from include.publish.iceberg import IcebergSink

        assert mart.spec.iceberg is not None
        versions = self.versions(Sink.ICEBERG, mart.name)
        return IcebergSink(self.reader, mart, mart.spec.iceberg, self.iceberg, versions)

    def iceberg_table(self, mart: PublishedMart) -> Table:
        """The mart's table. Raises PublishError before its first publication."""
        table = self.iceberg.load(mart.name)
        if table is None:
            raise PublishError(
                f"{mart.name} has never been published to Iceberg; run publish_cloudflare."
            )
        return table

    def versions(self, sink: Sink, mart: str) -> PublishedVersions:
        return PublishedVersions(self.lake, sink, self.target(sink), mart)

    def target(self, sink: Sink) -> str:
        """The database, namespace or catalog that a sink writes to, as one name."""
        if sink is Sink.ICEBERG:
            return self.iceberg.target
        field = {Sink.D1: "d1_database_id", Sink.KV: "kv_namespace_id"}[sink]
        value = getattr(self.access, field)
        if value is None:
            raise CloudflareError(
                f"The Cloudflare connection has no {field}; "
                "set it as docs/cloudflare.md says, or take the sink out of the marts' YAML."
            )
        return value


@contextmanager
def open_services(settings: Settings) -> Iterator[Services]:
    """Open all of it for one task. Raises CloudflareError, PublishError or ManifestError."""
    access = _access(settings)
    manifest = load_manifest(settings.dbt_manifest_path)
    lake = open_lake(settings.lake)
    with (
        lake.scratch() as scratch,
        open_marts(settings, scratch) as reader,
        open_cloudflare(access) as client,
    ):
        yield Services(access, client, reader, lake, manifest)


@contextmanager
def open_pages_sink(settings: Settings, project: str) -> Iterator[PagesSink]:
    """Open what deploys one site; no mart is read. Raises CloudflareError or PublishSpecError."""
    access = _access(settings)
    site = load_sites().get(project)
    if site is None:
        raise PublishSpecError(
            f"{project} is no longer in include/publish/sites.yaml; start a new run of the DAG."
        )
    lake = open_lake(settings.lake)
    with lake.scratch() as scratch, open_cloudflare(access) as client:
        cache = None if access.zone_id is None else ZoneCache(client, access.zone_id)
        wrangler = Wrangler(settings.wrangler_command, access, home=scratch)
        yield PagesSink(project, site, lake, wrangler, cache, scratch)


def _access(settings: Settings) -> CloudflareAccess:
    if settings.cloudflare_connection_id is None:
        raise CloudflareError(
            "Nothing says where to publish; set VENDING_CLOUDFLARE_CONNECTION to the Airflow "
            "connection of Cloudflare (docs/cloudflare.md)."
        )
    return cloudflare_access(settings.cloudflare_connection_id)
