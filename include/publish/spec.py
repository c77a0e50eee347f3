"""What a mart's YAML says about where it is published, read from the dbt manifest.

config:
  meta:
    publish:
      d1:
        key: [source, machine_id]
        indexes: [[machine_id, business_date]]
      kv:
        key: "stock/{source}/{machine_id}/{slot_number}"
        ttl_seconds: 604800
      iceberg:
        key: [source, machine_id, business_date]
        partition: {business_date: month}
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from include.publish.sinks import PublishSpecError, Sink
from include.transform.manifest import Manifest

# Columns of the pipeline itself, such as _load_id, begin like this and are not published.
INTERNAL = "_"

Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
_FIELD = re.compile(r"{([^{}]*)}")


class _Spec(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)


class D1Spec(_Spec):
    """A D1 table: the columns of its primary key, and those of each further index."""

    key: tuple[Name, ...] = Field(min_length=1)
    indexes: tuple[Annotated[tuple[Name, ...], Field(min_length=1)], ...] = ()


class KvSpec(_Spec):
    """A KV pair for each row. ``key`` is a template with columns in braces.

    With ``ttl_seconds`` rows vanish if publishing stops for that long.
    """

    key: str = Field(min_length=1)
    ttl_seconds: int | None = Field(default=None, ge=3_600)

    @property
    def key_columns(self) -> tuple[str, ...]:
        return tuple(_FIELD.findall(self.key))


class Transform(StrEnum):
    """How a column's values make partitions of an Iceberg table."""

    IDENTITY = "identity"
    YEAR = "year"
    MONTH = "month"
    DAY = "day"


class IcebergSpec(_Spec):
    """An Iceberg table: the columns that tell its rows apart, and those that part its files."""

    key: tuple[Name, ...] = Field(min_length=1)
    partition: dict[Name, Transform] = Field(default_factory=dict)


class PublishSpec(_Spec):
    d1: D1Spec | None = None
    kv: KvSpec | None = None
    iceberg: IcebergSpec | None = None


@dataclass(frozen=True, slots=True)
class Column:
    """A column as the mart's contract has it; ``data_type`` in lower case."""

    name: str
    data_type: str


@dataclass(frozen=True, slots=True)
class PublishedMart:
    """A mart with somewhere to go. ``columns`` are those that are published.

    ``table`` is its name in the warehouse, where that is another one. ``rows`` is a condition in
    SQL for those that are published, which names the table as ``{table}``, its schema as
    ``{schema}``.
    """

    name: str
    schema: str
    columns: tuple[Column, ...]
    spec: PublishSpec
    table: str | None = None
    rows: str | None = None

    def selected(self, schema: str) -> str:
        """The rows in SQL, for a FROM and what follows; the schema is as the warehouse names it."""
        table = f"{schema}.{self.table or self.name}"
        condition = "" if self.rows is None else self.rows.format(table=table, schema=schema)
        return f"{table} WHERE {condition}" if condition else table

    @property
    def sinks(self) -> tuple[Sink, ...]:
        return tuple(sink for sink in Sink if getattr(self.spec, sink.value) is not None)


def published_marts(manifest: Manifest) -> tuple[PublishedMart, ...]:
    """The marts with `meta.publish`, by name. Raises PublishSpecError."""
    nodes = (manifest.content["nodes"][mart.unique_id] for mart in manifest.marts)
    return tuple(_mart(node) for node in nodes if "publish" in node["config"].get("meta", {}))


def _mart(node: dict[str, Any]) -> PublishedMart:
    name = node["name"]
    try:
        spec = PublishSpec.model_validate(node["config"]["meta"]["publish"])
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise PublishSpecError(
            f"meta.publish of {name} is wrong at {where} ({first['msg']}); mend the mart's YAML."
        ) from None
    columns = tuple(
        Column(column["name"], (column["data_type"] or "").lower())
        for column in node["columns"].values()
        if not column["name"].startswith(INTERNAL)
    )
    _require_columns(name, _named(spec), {column.name for column in columns})
    return PublishedMart(name=name, schema=node["schema"], columns=columns, spec=spec)


def _named(spec: PublishSpec) -> Iterable[str]:
    if spec.d1 is not None:
        yield from spec.d1.key
        for index in spec.d1.indexes:
            yield from index
    if spec.kv is not None:
        yield from spec.kv.key_columns
    if spec.iceberg is not None:
        yield from spec.iceberg.key
        yield from spec.iceberg.partition


def _require_columns(mart: str, named: Iterable[str], columns: set[str]) -> None:
    for column in named:
        if column not in columns:
            raise PublishSpecError(
                f"meta.publish of {mart} names the column {column!r}, which its contract does not "
                "have; mend the mart's YAML."
            )
