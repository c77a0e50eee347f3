"""All that Airflow and the platform keep, as bytes in which something can be looked for."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import duckdb

from deploy.local.layout import Layout


def everything_kept(layout: Layout, *folders: Path) -> dict[str, bytes]:
    """By name, the bytes of what lies there and in ``folders``, less what vendors sent.

    Databases and Parquet are read value by value: their files are compressed.
    """
    searched = (path for folder in (layout.airflow_home, *folders) for path in _files(folder))
    kept = {str(path): path.read_bytes() for path in (*searched, *_documents(layout))}
    kept |= _sqlite_tables(layout.metadata_database)
    for path in _files(layout.data, ".duckdb"):
        kept |= _duckdb_tables(path)
    return kept | _parquet_files(layout.data)


def _documents(layout: Layout) -> Iterator[Path]:
    as_they_came = (layout.sources, layout.data / "raw")
    for path in _files(layout.data):
        if not any(path.is_relative_to(folder) for folder in as_they_came):
            yield path


def _files(folder: Path, suffix: str = "") -> list[Path]:
    return [path for path in folder.rglob(f"*{suffix}") if path.is_file()]


def _sqlite_tables(path: Path) -> dict[str, bytes]:
    with closing(sqlite3.connect(path)) as database:
        names = database.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        return {
            f"{path} {name}": _content(database.execute(f'SELECT * FROM "{name}"'))
            for (name,) in names
        }


def _duckdb_tables(path: Path) -> dict[str, bytes]:
    with duckdb.connect(str(path), read_only=True) as connection:
        names = connection.execute(
            "SELECT table_schema || '.' || table_name FROM information_schema.tables "
            "WHERE table_type = 'BASE TABLE'"
        ).fetchall()
        return {f"{path} {name}": _content(connection.execute(f"FROM {name}")) for (name,) in names}


def _parquet_files(folder: Path) -> dict[str, bytes]:
    with duckdb.connect() as connection:
        return {
            f"{path} rows": _content(
                connection.execute("FROM read_parquet($path)", {"path": str(path)})
            )
            for path in _files(folder, ".parquet")
        }


def _content(rows: Any) -> bytes:
    """The values of a cursor as text; bytes as they are, since repr would escape them."""
    return b"\n".join(
        value if isinstance(value, bytes) else str(value).encode()
        for row in rows.fetchall()
        for value in row
    )
