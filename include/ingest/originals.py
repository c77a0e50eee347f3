"""Collects what stands behind the tokens of a batch, for the vault.

A relation of values is read a second time for it, but only of contracts that make tokens. Originals
of rejected rows are kept too: a replay may accept the row, and its token is then in the vault.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from cryptography.fernet import MultiFernet

from include.ingest.workspace import Workspace
from include.privacy.vault import seal_values

_FETCHED_AT_ONCE = 10_000


def note_originals(work: Workspace, typed: str) -> None:
    """Remember the originals of a relation of `ConformExpressions.typed`, in the batch's DuckDB."""
    for token, value in work.expressions.tokens():
        work.connection.execute("CREATE TABLE IF NOT EXISTS originals (token TEXT, original TEXT)")
        # Each value once: hashing is most of the price.
        distinct = f"SELECT DISTINCT {value} FROM ({typed}) WHERE {value} IS NOT NULL"
        work.connection.execute(f"INSERT INTO originals SELECT {token}, {value} FROM ({distinct})")


def seal_originals(work: Workspace, keys: MultiFernet | None) -> Path | None:
    """Write the vault's file of the batch to scratch; None if it made no token."""
    if keys is None or not work.rows("FROM duckdb_tables() WHERE table_name = 'originals'"):
        return None
    path = work.scratch / "vault.parquet"
    seal_values(path, keys, _originals(work))
    return path


def _originals(work: Workspace) -> Iterator[tuple[str, str]]:
    found = work.connection.execute("SELECT DISTINCT token, original FROM originals")
    while rows := found.fetchmany(_FETCHED_AT_ONCE):
        yield from rows
