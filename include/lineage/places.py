"""Where data lies, in the names that OpenLineage's specification gives such places."""

from __future__ import annotations

from dataclasses import dataclass

from include.lake import Zone
from include.lake.layout import bucket_key
from include.publish.spec import PublishedMart, Sink
from include.settings import DiskLakeSettings, DuckDBSettings, LakeSettings, Settings
from include.transform.project import warehouse_database

RAW_SCHEMA = "raw"


@dataclass(frozen=True, slots=True)
class Place:
    """A dataset's namespace and its name in it."""

    namespace: str
    name: str


@dataclass(frozen=True, slots=True)
class Places:
    """The places of one environment.

    ``warehouse`` is its namespace; names in it begin with ``database``. ``load_schema`` holds the
    raw tables.
    """

    lake: LakeSettings
    warehouse: str
    database: str
    load_schema: str

    def files(self, source_contract: str) -> Place:
        """All files or pages of a source contract: what has one set of columns is one dataset."""
        return self.object(f"{Zone.RAW}/{source_contract}")

    def conformed(self, dataset: str) -> Place:
        return self.object(f"{Zone.PROCESSED}/{dataset}")

    def quarantine(self, dataset: str) -> Place:
        return self.object(f"{Zone.QUARANTINE}/{dataset}")

    def object(self, key: str) -> Place:
        """A key of the lake."""
        if isinstance(self.lake, DiskLakeSettings):
            return Place("file", (self.lake.root / key).as_posix())
        return Place(f"s3://{self.lake.bucket}", bucket_key(key))

    def raw_table(self, dataset: str) -> Place:
        return self.table(self.load_schema, dataset)

    def mart(self, mart: PublishedMart) -> Place:
        """A mart in the warehouse; the readers' copy, from which it is published, is the same."""
        return self.table(mart.schema, mart.table or mart.name)

    def table(self, schema: str, name: str) -> Place:
        return Place(self.warehouse, f"{self.database}.{schema}.{name}")


def published(mart: PublishedMart, sink: Sink, target: str) -> Place:
    """A mart at the edge; ``target`` is the database, namespace or catalog that it is in."""
    return Place(f"{sink.value}://{target}", mart.name)


def places_of(settings: Settings) -> Places:
    """For tasks: Snowflake's connection is asked for its account. Raises WarehouseError."""
    warehouse = settings.warehouse
    database = warehouse_database(warehouse)
    if isinstance(warehouse, DuckDBSettings):
        return Places(settings.lake, f"duckdb://{warehouse.path}", database, RAW_SCHEMA)
    # Imported here: a laptop needs no connector.
    from openlineage.common.provider.snowflake import fix_account_name

    from include.warehouse.snowflake_session import connection_parameters

    parameters = connection_parameters(warehouse, warehouse.transform_connection_id)
    account = fix_account_name(parameters["account"])
    return Places(settings.lake, f"snowflake://{account}", database, warehouse.load_schema)
