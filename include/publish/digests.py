"""A version of a mart as a file: a digest of every row under its key.

Two such files say which rows were added, changed and removed. Everything is computed in DuckDB, so
memory is bounded by its setting and not by the mart.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from include.publish.marts import MartReader, PublishError, identifier, text

# Rows that are joined at once.
PART_ROWS = 250_000


@dataclass(frozen=True, slots=True)
class RowDigests:
    """Digests of the rows of a relation.

    ``key`` and ``row`` are SQL: a text that tells a row from all others (null where the row has no
    key), and one that changes with any of its values. ``kept`` are expressions, by name, that a
    version file holds beside them.
    """

    reader: MartReader
    relation: str
    key: str
    row: str
    kept: tuple[tuple[str, str], ...] = ()

    def write(self, path: Path) -> None:
        """Write the version file: key, digest in two numbers, the row's size in bytes, and kept."""
        kept = "".join(f", {sql} AS {identifier(name)}" for name, sql in self.kept)
        names = "".join(f", {identifier(name)}" for name, _ in self.kept)
        self.reader.connection.execute(
            f"COPY (SELECT key, {digest_columns('row_text')}, strlen(row_text) AS size{names} "
            f"FROM (SELECT {self.key} AS key, {self.row} AS row_text{kept} FROM {self.relation})) "
            f"TO {text(str(path))} (FORMAT parquet, COMPRESSION zstd)"
        )

    def require_keys(self, path: Path, mart: str, sink: str, key: Collection[str]) -> int:
        """The number of rows. Raises PublishError unless each has a key of its own."""
        connection, file = self.reader.connection, text(str(path))
        rows, unkeyed = connection.execute(
            f"SELECT count(*), count(*) FILTER (key IS NULL) FROM {file}"
        ).fetchall()[0]
        repeated = None
        for part in parts(rows):
            repeated = (
                repeated
                or connection.execute(
                    f"SELECT key FROM {file} WHERE {part} GROUP BY key HAVING count(*) > 1 LIMIT 1"
                ).fetchone()
            )
        if unkeyed or repeated:
            raise PublishError(
                f"{mart} has two rows of the key ({', '.join(key)}) "
                f"{repeated[0] if repeated else ''}; "
                f"name columns in meta.publish.{sink}.key that tell its rows apart."
            )
        return rows

    def version(self, path: Path, layout: str) -> str:
        """A digest of layout and rows, whatever their order: the rows differ by their key."""
        found = self.reader.connection.execute(
            f"SELECT count(*), bit_xor(digest), bit_xor(more) FROM {text(str(path))}"
        ).fetchone()
        return short_digest(f"{layout} {found}")

    def compare(self, old: Path, new: Path) -> None:
        """Make the tables `upserts` and `gone` of keys, and `stale`: the rows of ``old`` to leave.

        Stale are rows that changed or are gone.
        """
        connection, before, after = self.reader.connection, text(str(old)), text(str(new))
        differs = "o.digest IS DISTINCT FROM n.digest OR o.more IS DISTINCT FROM n.more"
        found = {
            "upserts": f"SELECT n.key FROM n LEFT JOIN o USING (key) WHERE {differs}",
            "gone": "SELECT o.key FROM o ANTI JOIN n USING (key)",
            "stale": "SELECT o.* EXCLUDE (digest, more, size) FROM o LEFT JOIN n USING (key) "
            f"WHERE {differs}",
        }
        rows = connection.execute(
            f"SELECT greatest((SELECT count(*) FROM {before}), (SELECT count(*) FROM {after}))"
        ).fetchall()[0][0]
        for number, part in enumerate(parts(rows)):
            sides = (
                f"WITH o AS (SELECT * FROM {before} WHERE {part}), "
                f"n AS (SELECT * FROM {after} WHERE {part})"
            )
            for table, query in found.items():
                make = f"INSERT INTO {table}" if number else f"CREATE OR REPLACE TABLE {table} AS"
                connection.execute(f"{make} {sides} {query}")

    def counted(self, table: str) -> int:
        """The rows of one of the tables of `compare`."""
        return self.reader.connection.execute(f"SELECT count(*) FROM {table}").fetchall()[0][0]


def parts(rows: int) -> list[str]:
    """Conditions on the key that part so many rows, for joins that must fit into memory.

    DuckDB's joins of texts spill only in part: a million rows do not fit into 128 MB.
    """
    number = max(1, -(-rows // PART_ROWS))
    return [f"hash(key) % {number} = {part}" for part in range(number)]


def digest(value: str) -> str:
    """DuckDB SQL for half of the MD5 of a text, as a number."""
    # md5_number_lower is the same, and takes five times as long.
    return f"(md5_number({value}) >> 64)::UBIGINT"


def digest_columns(row_text: str) -> str:
    """DuckDB SQL for the columns `digest` and `more`: one MD5, of which Parquet has no type."""
    return f"{digest(row_text)} AS digest, (md5_number({row_text}) & {2**64 - 1})::UBIGINT AS more"


def short_digest(content: str) -> str:
    return hashlib.sha256(content.encode()).hexdigest()[:16]
