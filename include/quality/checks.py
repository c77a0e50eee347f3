"""Reads what is measured of each table, and how much a finding matters (checks.yaml)."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict, TypeAdapter

from include.alerts.formatter import Severity

CHECKS_FILE = Path(__file__).with_name("checks.yaml")


class OnFinding(StrEnum):
    WARN = "warn"
    BLOCK = "block"


class Grain(StrEnum):
    """What a metric is taken over: each business day of a source, or the table as it is today."""

    DAY = "day"
    TABLE = "table"


class TableCheck(BaseModel):
    """What is measured of one table, and how much a finding matters."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    by: Grain = Grain.DAY

    severity: Severity
    on_finding: OnFinding
    sums: tuple[str, ...] = ()
    distinct: tuple[str, ...] = ()
    nulls: tuple[str, ...] = ()

    @property
    def metrics(self) -> tuple[str, ...]:
        """The names of its metrics, in the order in which they are measured."""
        return (
            "volume",
            *(f"sum:{column}" for column in self.sums),
            *(f"distinct:{column}" for column in self.distinct),
            *(f"nulls:{column}" for column in self.nulls),
        )


def load_checks(path: Path = CHECKS_FILE) -> dict[str, TableCheck]:
    """The checks by table, as in ``raw.sales``. Raises pydantic's ValidationError."""
    document = yaml.safe_load(path.read_text(encoding="utf-8"))
    return TypeAdapter(dict[str, TableCheck]).validate_python(document)
