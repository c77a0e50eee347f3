"""Waits for the DuckDB file, which one process at a time may have open."""

from __future__ import annotations

from include.settings import DuckDBSettings, Settings

# Longer than any load or build holds the file; a task's own time-out ends the wait before.
WAIT_SECONDS = 1800.0


def wait_for_warehouse(settings: Settings) -> None:
    """Return when no other process has the warehouse's file open; at once on Snowflake.

    dbt waits too (`connect_attempts` in profiles.yml), but doubles its sleep at each attempt, so
    it would go on sleeping for minutes over a file that is free.
    """
    if isinstance(settings.warehouse, DuckDBSettings):
        # Imported here: DuckDB is needed in tasks only.
        from include.warehouse.duckdb_file import connect

        connect(settings.warehouse.path, WAIT_SECONDS).close()
