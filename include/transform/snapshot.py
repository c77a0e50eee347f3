"""The readers' copy of the DuckDB warehouse.

DuckDB lets one process at a time open a file that somebody writes to, so nobody outside the
pipeline reads the warehouse itself: they read this copy, which is replaced after each transform.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from uuid import uuid4

from include.warehouse.duckdb_file import connect

WAIT_SECONDS = 600.0


def replace_snapshot(warehouse: Path, snapshot: Path) -> None:
    """Copy the warehouse's file and put the copy in place of the last one, atomically.

    Whoever has the last copy open goes on reading it. Raises WarehouseError if the file cannot be
    opened, OSError if there is no room for the copy; the last copy stays in both cases.
    """
    snapshot.parent.mkdir(parents=True, exist_ok=True)
    copy = snapshot.with_name(f".{uuid4().hex}.duckdb")
    try:
        # While this process holds the file nobody else writes to it, and after the checkpoint
        # nothing is left in the log beside it, so a copy of the file is the whole database.
        with connect(warehouse, WAIT_SECONDS) as connection:
            connection.execute("CHECKPOINT")
            shutil.copyfile(warehouse, copy)
        copy.replace(snapshot)
    finally:
        copy.unlink(missing_ok=True)
