"""What publishing one mart did."""

from __future__ import annotations

from dataclasses import dataclass

from include.publish.spec import Sink


@dataclass(frozen=True, slots=True)
class Outcome:
    """``how`` is unchanged, changed or replaced.

    ``rows`` are those of the mart; ``upserted`` and ``deleted`` those that were sent; ``written``
    is what the service counted, in its own units (index entries of D1, pairs of KV).
    """

    mart: str
    sink: Sink
    version: str
    rows: int
    how: str
    upserted: int = 0
    deleted: int = 0
    written: int = 0

    def __str__(self) -> str:
        return (
            f"{self.mart} on {self.sink.value} is {self.how}: {self.rows} rows, "
            f"{self.upserted} sent, {self.deleted} deleted, {self.written} writes; "
            f"version {self.version}."
        )
