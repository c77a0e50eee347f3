"""What publishing one mart did."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

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

    def fields(self) -> dict[str, Any]:
        """As one task hands it to another: text and numbers."""
        return asdict(self) | {"sink": self.sink.value}

    def __str__(self) -> str:
        return (
            f"{self.mart} on {self.sink.value} is {self.how}: {self.rows} rows, "
            f"{self.upserted} sent, {self.deleted} deleted, {self.written} writes; "
            f"version {self.version}."
        )
