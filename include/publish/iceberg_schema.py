"""From a mart to an Iceberg table: types, key, partitions, and SQL for its rows.

| contract | Iceberg |
| --- | --- |
| varchar | string |
| tinyint, smallint, integer | int |
| bigint | long |
| hugeint | decimal(38, 0) |
| decimal(p, s) | decimal(p, s) |
| float, double | float, double |
| boolean, date | boolean, date |
| timestamp (UTC) | timestamp, in microseconds |

Columns of the key are required, all others may be null.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pyiceberg.expressions.literals import literal
from pyiceberg.partitioning import PartitionFieldValue, PartitionKey, PartitionSpec
from pyiceberg.schema import Schema
from pyiceberg.table.metadata import TableMetadata
from pyiceberg.transforms import parse_transform
from pyiceberg.types import (
    BooleanType,
    DateType,
    DecimalType,
    DoubleType,
    FloatType,
    IcebergType,
    IntegerType,
    LongType,
    NestedField,
    StringType,
    TimestampType,
)

from include.publish.marts import identifier
from include.publish.spec import IcebergSpec, PublishedMart, PublishSpecError, Transform

_TYPES: Mapping[str, tuple[IcebergType, str]] = {
    **dict.fromkeys(("varchar", "text", "string"), (StringType(), "VARCHAR")),
    **dict.fromkeys(("tinyint", "smallint", "integer", "int"), (IntegerType(), "INTEGER")),
    "bigint": (LongType(), "BIGINT"),
    "hugeint": (DecimalType(38, 0), "DECIMAL(38, 0)"),
    "double": (DoubleType(), "DOUBLE"),
    **dict.fromkeys(("float", "real"), (FloatType(), "FLOAT")),
    "boolean": (BooleanType(), "BOOLEAN"),
    "date": (DateType(), "DATE"),
    **dict.fromkeys(("timestamp", "timestamp_ntz"), (TimestampType(), "TIMESTAMP")),
}
_DECIMAL = re.compile(r"^(?:decimal|numeric)\((\d+),\s*(\d+)\)$")


@dataclass(frozen=True, slots=True)
class IcebergColumn:
    """A column of the table. ``duckdb_type`` is what DuckDB hands over for it."""

    name: str
    iceberg_type: IcebergType
    duckdb_type: str


@dataclass(frozen=True, slots=True)
class IcebergTable:
    """A mart's table in Iceberg. ``partition`` holds columns with their transforms."""

    name: str
    columns: tuple[IcebergColumn, ...]
    key: tuple[str, ...]
    partition: tuple[tuple[str, Transform], ...]

    @property
    def schema(self) -> Schema:
        """A schema as for a new table; a table that exists has field ids of its own."""
        fields = [
            NestedField(number, column.name, column.iceberg_type, required=column.name in self.key)
            for number, column in enumerate(self.columns, start=1)
        ]
        key = [field.field_id for field in fields if field.name in self.key]
        return Schema(*fields, identifier_field_ids=key)

    @property
    def layout(self) -> str:
        """Everything but the rows, as text: if it changes all of them are written again."""
        return f"{self.schema} {self.partition}"

    @property
    def select_list(self) -> str:
        """DuckDB SQL for the columns of the mart as the table's types."""
        return ", ".join(
            f"CAST({identifier(column.name)} AS {column.duckdb_type}) AS {identifier(column.name)}"
            for column in self.columns
        )

    @property
    def row(self) -> str:
        """DuckDB SQL for a text that changes with any value of a row, read from either side."""
        values = (f"CAST({identifier(column.name)} AS VARCHAR)" for column in self.columns)
        # With its length, so that no value runs into the next.
        return " || ".join(f"coalesce(strlen({v}) || ':' || {v}, '-')" for v in values)

    @property
    def row_key(self) -> str:
        """DuckDB SQL for a text that is the row's own; null where a part of the key is."""
        values = [f"CAST({identifier(name)} AS VARCHAR)" for name in self.key]
        return " || ".join(f"strlen({v}) || ':' || {v}" for v in values)

    @property
    def partition_values(self) -> tuple[tuple[str, str], ...]:
        """Names and DuckDB SQL of one value of each partition column that stands for its partition.

        The first day of a month, for instance, which Iceberg puts into the month's partition.
        """
        types = {column.name: column.duckdb_type for column in self.columns}
        return tuple(
            (f"partition_{number}", _representative(column, types[column], transform))
            for number, (column, transform) in enumerate(self.partition)
        )

    def partition_key(self, metadata: TableMetadata, values: Sequence[Any]) -> PartitionKey | None:
        """The partition of these values (of `partition_values`); None without partitions."""
        spec, schema = metadata.spec(), metadata.schema()
        if spec.is_unpartitioned():
            return None
        fields = []
        for field, value in zip(spec.fields, values, strict=True):
            source = schema.find_type(field.source_id)
            plain = None if value is None else literal(value).to(source).value
            fields.append(PartitionFieldValue(field, field.transform.transform(source)(plain)))
        return PartitionKey(fields, spec, schema)

    def has_partitions_of(self, spec: PartitionSpec, schema: Schema) -> bool:
        """Whether a table that exists is parted as this one is to be."""
        existing = [
            (schema.find_column_name(field.source_id), str(field.transform))
            for field in spec.fields
        ]
        return existing == [(column, transform.value) for column, transform in self.partition]


def iceberg_table(mart: PublishedMart, spec: IcebergSpec) -> IcebergTable:
    """The table of a mart. Raises PublishSpecError for what Iceberg has no type for."""
    columns = tuple(_column(mart.name, column.name, column.data_type) for column in mart.columns)
    types = {column.name: column.iceberg_type for column in columns}
    for name, transform in spec.partition.items():
        if not parse_transform(transform.value).can_transform(types[name]):
            raise PublishSpecError(
                f"meta.publish.iceberg of {mart.name} parts by the {transform.value} of {name}, "
                f"which is a {types[name]}; name a date or a timestamp."
            )
    return IcebergTable(mart.name, columns, spec.key, tuple(spec.partition.items()))


def _column(mart: str, name: str, data_type: str) -> IcebergColumn:
    if decimal := _DECIMAL.match(data_type):
        precision, scale = int(decimal[1]), int(decimal[2])
        return IcebergColumn(name, DecimalType(precision, scale), f"DECIMAL({precision}, {scale})")
    if data_type not in _TYPES:
        raise PublishSpecError(
            f"Iceberg has no type for {mart}.{name} ({data_type or 'no data_type'}); "
            "cast it in the mart."
        )
    return IcebergColumn(name, *_TYPES[data_type])


def _representative(column: str, duckdb_type: str, transform: Transform) -> str:
    if transform is Transform.IDENTITY:
        return identifier(column)
    return f"CAST(date_trunc('{transform.value}', {identifier(column)}) AS {duckdb_type})"
