"""Which columns each column of a dbt model is made of, as `make lineage` has found out."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

COLUMNS_FILE = Path(__file__).with_name("columns.json")

# By column the columns that it is made of, each with its relation: ``raw.sales.amount``.
ColumnParents = dict[str, list[str]]


@cache
def columns_of_models() -> dict[str, ColumnParents]:
    """By relation, as in ``marts.fct_sales``, the columns that are made of others."""
    found: dict[str, ColumnParents] = json.loads(COLUMNS_FILE.read_text(encoding="utf-8"))
    return found
