"""The files of one conform task and the DuckDB that works on them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb

from include.contracts import SourceContract
from include.ingest.expressions import ConformExpressions
from include.ingest.plan import LandedFile
from include.settings import ConformLimits


@dataclass(frozen=True, slots=True)
class RawFile:
    """A landed file version and where it can be read on this machine."""

    landed: LandedFile
    path: Path

    @property
    def load_id(self) -> int:
        return self.landed.load_id


@dataclass(frozen=True, slots=True)
class Workspace:
    """What the ways of reading share. ``scratch`` is an empty folder on a disk with room."""

    contract: SourceContract
    expressions: ConformExpressions
    connection: duckdb.DuckDBPyConnection
    scratch: Path
    threads: int

    def rows(self, sql: str) -> list[tuple]:
        """The rows of a small result."""
        return self.connection.execute(sql).fetchall()


def open_connection(scratch: Path, limits: ConformLimits) -> duckdb.DuckDBPyConnection:
    """A DuckDB in the scratch folder, within the limits.

    Its tables are on disk and what does not fit into memory goes there too, so that memory does
    not depend on the size of a file.
    """
    return duckdb.connect(
        str(scratch / "work.duckdb"),
        config={
            "memory_limit": f"{limits.memory_mb}MB",
            "threads": limits.threads,
            # Order costs memory; the exact way keeps line numbers instead.
            "preserve_insertion_order": False,
            "temp_directory": str(scratch / "spill"),
            "autoinstall_known_extensions": False,
        },
    )


def id_list(load_ids: Sequence[int]) -> str:
    """Load ids as a SQL list for IN; never empty, because SQL has no empty list."""
    return f"({', '.join(str(load_id) for load_id in load_ids) or 'NULL'})"
