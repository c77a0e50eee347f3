"""The services that marts are published to; cheap, as each parse of a DAG file imports it."""

from __future__ import annotations

from enum import StrEnum


class PublishSpecError(ValueError):
    """`meta.publish` of a mart, or sites.yaml, is wrong; the message says where, and the remedy."""


class Sink(StrEnum):
    """The services that a mart can be published to, by their key below `meta.publish`."""

    D1 = "d1"
    KV = "kv"
    ICEBERG = "iceberg"
