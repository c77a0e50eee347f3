"""The readers' copy of the DuckDB warehouse.

DuckDB lets one process at a time open a file that somebody writes to, so nobody outside the
pipeline reads the warehouse itself: they read this copy, which is replaced after each transform.
"""

from __future__ import annotations

import shutil
from collections.abc import Collection
from pathlib import Path
from uuid import uuid4

from include.warehouse.duckdb_file import connect

WAIT_SECONDS = 600.0


def replace_snapshot(warehouse: Path, snapshot: Path, held_back: Collection[str] = ()) -> None:
    """Copy the warehouse's file and put the copy in place of the last one, atomically.

    The marts ``held_back`` stay as they are in the last copy, or absent from both. Whoever has the
    last copy open goes on reading it. Raises WarehouseError if the file cannot be opened, OSError
    if there is no room for the copy; the last copy stays in both cases.
    """
    snapshot.parent.mkdir(parents=True, exist_ok=True)
    copy = snapshot.with_name(f".{uuid4().hex}.duckdb")
    try:
        # While this process holds the file nobody else writes to it, and after the checkpoint
        # nothing is left in the log beside it, so a copy of the file is the whole database.
        with connect(warehouse, WAIT_SECONDS) as connection:
            connection.execute("CHECKPOINT")
            shutil.copyfile(warehouse, copy)
        if held_back:
            _keep(held_back, snapshot, copy)
        copy.replace(snapshot)
    finally:
        copy.unlink(missing_ok=True)


def _keep(marts: Collection[str], last: Path, copy: Path) -> None:
    with connect(copy, WAIT_SECONDS) as connection:
        known: set[str] = set()
        if last.exists():
            place = str(last).replace("'", "''")
            connection.execute(f"ATTACH '{place}' AS last (READ_ONLY)")
            rows = connection.execute(
                "SELECT table_name FROM information_schema.tables"
                " WHERE table_catalog = 'last' AND table_schema = 'marts'"
            ).fetchall()
            known = {name for (name,) in rows}
        for mart in marts:
            connection.execute(f"DROP TABLE IF EXISTS marts.{mart}")
            if mart in known:
                connection.execute(f"CREATE TABLE marts.{mart} AS FROM last.marts.{mart}")
