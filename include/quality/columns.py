"""Schema snapshots: which columns of which tables came, went or changed their type."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from include.quality.store import QualityStore, Row
from include.quality.tables import TABLE_COLUMNS
from include.transform.documentation import RelationColumn
from include.warehouse.schema import RAW_SCHEMA

# Data type by table and column.
Columns = dict[tuple[str, str], str]

_PRESENT = """
SELECT
    LOWER(table_schema) || '.' || LOWER(table_name), LOWER(column_name), data_type,
    ordinal_position
FROM information_schema.columns
WHERE LOWER(table_schema) IN (?, 'intermediate', 'marts')
ORDER BY table_schema, table_name, ordinal_position
"""
_KNOWN = """
SELECT table_name, column_name, data_type FROM ops.table_columns
QUALIFY ROW_NUMBER() OVER (PARTITION BY table_name, column_name ORDER BY recorded_at DESC) = 1
"""


def present_columns(store: QualityStore) -> tuple[RelationColumn, ...]:
    """Every column of the raw tables, intermediate and marts as the warehouse has it now."""
    rows = store.fetch(_PRESENT, store.raw_schema)
    return tuple(RelationColumn(_relation(store, name), *rest) for name, *rest in rows)


def _relation(store: QualityStore, name: str) -> str:
    """The relation as the project names it: Snowflake loads into a schema of another name."""
    schema, _, table = name.partition(".")
    return f"{RAW_SCHEMA}.{table}" if schema == store.raw_schema else name


def record_changes(
    store: QualityStore, present_now: Iterable[RelationColumn], run_id: str, now: datetime
) -> list[str]:
    """Keep what changed since the last snapshot and say it, a phrase a change.

    The first snapshot says nothing. ``now`` is in UTC, without zone.
    """
    present: Columns = {(each.relation, each.name): each.data_type for each in present_now}
    known = {(t, c): kind for t, c, kind in store.fetch(_KNOWN)}
    changed = {key: present.get(key) for key in present.keys() | known.keys()}
    changed = {key: kind for key, kind in changed.items() if kind != known.get(key)}
    rows: list[Row] = [
        {
            "table_name": table,
            "column_name": column,
            "data_type": kind,
            "run_id": run_id,
            "recorded_at": now,
        }
        for (table, column), kind in sorted(changed.items())
    ]
    store.append(TABLE_COLUMNS, rows)
    if not known:
        return []
    return [_phrase(key, kind, known.get(key)) for key, kind in sorted(changed.items())]


def _phrase(key: tuple[str, str], kind: str | None, before: str | None) -> str:
    name = ".".join(key)
    if kind is None:
        return f"{name} has gone"
    return f"{name} is new" if before is None else f"{name} was {before} and is {kind}"
