"""The sink D1: a mart as a table of a D1 database, in which readers see one whole version.

Everything about a version is worked out in DuckDB from the rows' text in SQL. The table
`publications` of the database says which version readers see, and changes in the transaction that
changes the rows:

- **Nothing has changed**: the version is the published one, so nothing is written.
- **First time, or another layout**: the rows go by import into a table beside the old one, which
  then takes its place in one transaction.
- **Afterwards**: the rows that differ from the version file (see versions.py) are upserted and
  deleted in one transaction. It begins with a check that the version they were compared with is
  still the published one, and fails as a whole if not. What is too large for one request is first
  imported into tables of its own.

Killed anywhere, the next run ends in the same state: a transaction has happened or not, what lies
beside the table is dropped, and the version says from where to go on.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from uuid import uuid4

from include.cloudflare.d1 import PARAMETERS, ROW_BYTES, D1Database, Statement
from include.cloudflare.errors import CloudflareError
from include.publish.d1_sql import (
    CREATE_PUBLICATIONS,
    PUBLICATIONS,
    d1_table,
    names,
)
from include.publish.digests import RowDigests, digest, short_digest
from include.publish.marts import CHUNK_ROWS, MartReader, PublishError, identifier, text
from include.publish.outcome import Outcome
from include.publish.spec import D1Spec, PublishedMart, Sink
from include.publish.statements import Around, delete_from, insert_into, joined, widest_row
from include.publish.versions import PublishedVersions

log = logging.getLogger(__name__)

# A change of up to this goes as one request; D1 gives a batch 30 seconds.
REQUEST_BYTES = 1_000_000
# Of the database's size, from which growth is warned of.
WARN_SHARE = 0.8


@dataclass(frozen=True, slots=True)
class Publication:
    """A row of `publications`: which version of a mart readers see."""

    version: str
    layout: str
    row_count: int


class D1Sink:
    """Publishes one mart. ``size_limit`` is the database's, in bytes."""

    def __init__(
        self,
        reader: MartReader,
        mart: PublishedMart,
        spec: D1Spec,
        database: D1Database,
        versions: PublishedVersions,
        *,
        size_limit: int,
    ) -> None:
        self._reader = reader
        self._mart = mart
        self._table = d1_table(mart, spec)
        self._layout = short_digest(self._table.layout)
        self._database = database
        self._versions = versions
        self._size_limit = size_limit
        self._relation = reader.relation(mart)
        # Where a row is in the indexes, beside its digest.
        self._place = digest(self._table.row_indexed)
        self._digests = RowDigests(
            reader,
            self._relation,
            self._table.row_key,
            self._table.row,
            (("place", self._place),),
        )
        # In bytes, known once the rows have been read.
        self._largest_row = ROW_BYTES

    def publish(self) -> Outcome:
        """Bring the table to the mart's rows.

        Raises PublishError for rows that D1 cannot hold, CloudflareError if D1 refuses.
        """
        published = published_version(self._database, self._mart.name)
        follows = published if published and self._can_follow(published) else None
        if follows is None:
            self._write_rows_once()
        path = self._reader.scratch / f"{uuid4().hex}.parquet"
        self._digests.write(path)
        row_count = self._digests.require_keys(path, self._mart.name, Sink.D1, self._table.key)
        self._check_sizes(path)
        version = self._digests.version(path, self._layout)
        if published is not None and published.version == version:
            if not self._versions.has(version):
                self._versions.keep(version, path)
            self._versions.drop_all_but({version})
            return Outcome(self._mart.name, Sink.D1, version, row_count, how="unchanged")
        self._check_values()
        outcome = self._bring(Publication(version, self._layout, row_count), follows, path)
        self._versions.drop_all_but({version})
        return outcome

    def _bring(self, wanted: Publication, follows: Publication | None, path: Path) -> Outcome:
        if follows is None:
            self._keep(wanted, path)
            return self._replace(wanted)
        self._compare(follows.version, path)
        self._keep(wanted, path)
        return self._apply(wanted, follows)

    def _keep(self, wanted: Publication, path: Path) -> None:
        # Before D1 knows of the version, so that whatever version D1 has, its file is there.
        self._versions.keep(wanted.version, path)

    def _can_follow(self, published: Publication) -> bool:
        return published.layout == self._layout and self._versions.has(published.version)

    # ---- the version

    def _write_rows_once(self) -> None:
        """Make the table `literals` of the rows that will all be sent, as SQLite writes them."""
        self._reader.connection.execute(
            f"CREATE OR REPLACE TABLE literals AS SELECT {self._table.row_key} AS key, "
            f"{self._table.row} AS row_text, {self._place} AS place FROM {self._relation}"
        )
        self._digests = RowDigests(
            self._reader, "literals", "key", "row_text", (("place", "place"),)
        )

    def _check_sizes(self, path: Path) -> None:
        largest = self._reader.connection.execute(
            f"SELECT max(size) FROM {text(str(path))}"
        ).fetchall()[0][0]
        if largest is not None and largest > ROW_BYTES:
            raise PublishError(
                f"{self._mart.name} has a row of {largest} bytes and D1 takes {ROW_BYTES}; "
                "publish less of it."
            )
        self._largest_row = largest or 0

    def _check_values(self) -> None:
        for column in self._table.columns:
            if column.name in self._table.key:
                self._refuse_any(
                    column.name,
                    f"{identifier(column.name)} IS NULL",
                    "is part of the key; name columns in meta.publish.d1.key that are never null",
                )
            if column.unsafe is not None:
                self._refuse_any(
                    column.name,
                    column.unsafe,
                    "a reader at the edge would not get exactly; cast the column to text in the "
                    "mart, or publish a mart without it",
                )

    def _refuse_any(self, column: str, condition: str, why: str) -> None:
        found = self._reader.connection.execute(
            f"SELECT {self._table.row_key}, {identifier(column)} FROM {self._relation} "
            f"WHERE {condition} LIMIT 1"
        ).fetchone()
        if found is not None:
            value = "null" if found[1] is None else found[1]
            raise PublishError(
                f"{self._mart.name}.{column} is {value} in the row {found[0]}, which {why}."
            )

    # ---- the first time

    def _replace(self, wanted: Publication) -> Outcome:
        # Of this attempt alone: the table in use may be one of the same version, and names of
        # indexes are unique in a database.
        beside = f"{self._mart.name}__{wanted.version}__{uuid4().hex[:8]}"
        insert = insert_into(beside, self._table.column_names)
        short = f"strlen(row_text) <= {widest_row(insert)}"
        written = self._import(
            self._drop_what_lies_beside(),
            [self._table.create(beside)],
            joined(self._rows("row_text", "literals", short), insert),
            self._table.create_indexes(beside),
        )
        wide = self._bound_rows(insert, f"NOT ({self._short(insert)})")
        for batch in _requests(wide):
            written += self._database.run(batch).rows_written
        self._require_count(beside, wanted.row_count)
        result = self._commit(
            wanted,
            [
                Statement(f"DROP TABLE IF EXISTS {identifier(self._mart.name)}"),
                Statement(
                    f"ALTER TABLE {identifier(beside)} RENAME TO {identifier(self._mart.name)}"
                ),
                _record(self._mart.name, wanted),
            ],
        )
        return self._outcome(wanted, "replaced", wanted.row_count, 0, written + result)

    def _require_count(self, table: str, expected: int) -> None:
        found = self._database.run([Statement(f"SELECT count(*) AS n FROM {identifier(table)}")])
        if found.rows[0]["n"] != expected:
            raise CloudflareError(
                f"D1 holds {found.rows[0]['n']} rows of {self._mart.name} after the import of "
                f"{expected}; readers see what they saw before: run the task again."
            )

    # ---- afterwards

    def _compare(self, published: str, path: Path) -> None:
        """Make the tables `upserts` and `gone` of keys, and `stale`, which has places too."""
        with self._versions.lake.local_paths([self._versions.key(published)]) as (old,):
            self._digests.compare(old, path)

    def _apply(self, wanted: Publication, published: Publication) -> Outcome:
        guard = _move_on(self._mart.name, published.version, wanted)
        small = self._small_change()
        if small is not None:
            written = self._commit(wanted, [guard, *small])
        else:
            written = self._apply_staged(wanted, guard)
        upserts, gone = self._digests.counted("upserts"), self._digests.counted("gone")
        return self._outcome(wanted, "changed", upserts, gone, written)

    def _small_change(self) -> list[Statement] | None:
        """The statements of a change that fits into one request, else None."""
        statements: list[Statement] = []
        room = REQUEST_BYTES
        for statement in self._change_statements():
            room -= _size(statement)
            if room < 0:
                return None
            statements.append(statement)
        return statements

    def _change_statements(self) -> Iterator[Statement]:
        name, table = self._mart.name, self._table
        for sql in joined(self._rows("key", "gone", "true"), delete_from(name, names(table.key))):
            yield Statement(sql)
        for moves in (True, False):
            upsert = insert_into(name, table.column_names, table.on_conflict(moves=moves))
            for sql in self._literal_upserts(upsert, moves):
                yield Statement(sql)
            yield from self._bound_upserts(upsert, moves)

    def _literal_upserts(self, around: Around, moves: bool) -> Iterator[str]:
        condition = f"{self._is_upserted(moves)} AND {self._short(around)}"
        return joined(self._rows(self._table.row, self._relation, condition), around)

    def _bound_upserts(self, around: Around, moves: bool) -> Iterator[Statement]:
        return self._bound_rows(
            around, f"{self._is_upserted(moves)} AND NOT ({self._short(around)})"
        )

    def _is_upserted(self, moves: bool) -> str:
        """A condition for the rows to write: those that move in an index, or the others."""
        key = self._table.row_key
        stays = f"({key}, {self._place}) IN (SELECT (key, place) FROM stale)"
        return f"{key} IN (SELECT key FROM upserts) AND NOT {stays}" if moves else stays

    def _apply_staged(self, wanted: Publication, guard: Statement) -> int:
        name, table = self._mart.name, self._table
        columns, key = table.column_names, names(table.key)
        gone = f"{name}__{wanted.version}__gone"
        # By whether their rows move in an index.
        fresh = {
            True: f"{name}__{wanted.version}__moved",
            False: f"{name}__{wanted.version}__kept",
        }
        insert = {moves: insert_into(fresh[moves], columns) for moves in fresh}
        written = self._import(
            self._drop_what_lies_beside(),
            [table.create(fresh[moves]) for moves in fresh],
            [f"CREATE TABLE {identifier(gone)} AS SELECT {key} FROM {identifier(fresh[True])}"],
            joined(self._rows("key", "gone", "true"), insert_into(gone, key)),
            *(self._literal_upserts(insert[moves], moves) for moves in fresh),
        )
        for moves in fresh:
            for batch in _requests(self._bound_upserts(insert[moves], moves)):
                written += self._database.run(batch).rows_written
        return written + self._commit(
            wanted,
            [
                guard,
                Statement(
                    f"DELETE FROM {identifier(name)} WHERE ({key}) IN "
                    f"(SELECT {key} FROM {identifier(gone)})"
                ),
                *(
                    # SQLite needs a WHERE to tell the upsert's ON from a join's.
                    Statement(
                        f"INSERT INTO {identifier(name)} ({columns}) SELECT {columns} "
                        f"FROM {identifier(fresh[moves])} WHERE true "
                        f"{table.on_conflict(moves=moves)}"
                    )
                    for moves in fresh
                ),
                *(Statement(f"DROP TABLE {identifier(each)}") for each in (gone, *fresh.values())),
            ],
        )

    # ---- both

    def _rows(
        self, expression: str, relation: str, condition: str
    ) -> Iterator[list[tuple[str, int]]]:
        """Chunks of a text for each row, and its size in bytes."""
        # A cursor of its own: results are read while other statements of the reader run.
        with self._reader.connection.cursor() as cursor:
            cursor.execute(
                "SELECT row_text, strlen(row_text) "
                f"FROM (SELECT {expression} AS row_text FROM {relation} WHERE {condition})"
            )
            while rows := cursor.fetchmany(CHUNK_ROWS):
                yield rows

    def _short(self, around: Around) -> str:
        """A condition for rows that fit into a statement as literals; the others are bound."""
        room = widest_row(around)
        # Mostly all of them do, and the length of a row costs as much as the row.
        return "true" if self._largest_row <= room else f"strlen({self._table.row}) <= {room}"

    def _bound_rows(self, around: Around, condition: str) -> Iterator[Statement]:
        """A statement with bound values for each row of a condition."""
        columns = self._table.columns
        marks = ", ".join("?" * len(columns))
        assert len(columns) <= PARAMETERS
        values = ", ".join(f"{column.value}" for column in columns)
        with self._reader.connection.cursor() as cursor:
            cursor.execute(f"SELECT {values} FROM {self._relation} WHERE {condition}")
            while row := cursor.fetchone():
                yield Statement(f"{around.before}({marks}){around.after}", row)

    def _import(self, *parts: Iterable[str]) -> int:
        path = self._reader.scratch / f"{uuid4().hex}.sql"
        with path.open("w", encoding="utf-8", newline="\n") as file:
            # D1 knows an import by its content, and this one is to run whatever ran before.
            file.write(f"-- {uuid4().hex}\n")
            for statement in chain.from_iterable(parts):
                file.write(f"{statement};\n")
        try:
            return self._database.import_file(path)
        finally:
            path.unlink()

    def _drop_what_lies_beside(self) -> list[str]:
        """What killed publishers left: tables named after this mart and a version."""
        left = tables_beside(self._database, self._mart.name)
        return [f"DROP TABLE IF EXISTS {identifier(name)}" for name in left]

    def _commit(self, wanted: Publication, statements: list[Statement]) -> int:
        try:
            result = self._database.run(statements)
        except CloudflareError:
            # An answer may have been lost, and the transaction repeated on what it had done.
            now = published_version(self._database, self._mart.name)
            if now is None or now.version != wanted.version:
                raise
            return 0
        self._warn_of_growth(result.size_bytes)
        return result.rows_written

    def _warn_of_growth(self, size: int) -> None:
        if size > WARN_SHARE * self._size_limit:
            log.warning(
                "The D1 database holds %.0f MB, %.0f %% of what it may; publish less, or move "
                "marts to another database.",
                size / 1e6,
                100 * size / self._size_limit,
            )

    def _outcome(
        self, wanted: Publication, how: str, upserted: int, deleted: int, written: int
    ) -> Outcome:
        return Outcome(
            self._mart.name,
            Sink.D1,
            wanted.version,
            wanted.row_count,
            how=how,
            upserted=upserted,
            deleted=deleted,
            written=written,
        )


def published_version(database: D1Database, mart: str) -> Publication | None:
    """What readers see of a mart, None before its first publication."""
    query = Statement(
        f"SELECT version, layout, row_count FROM {PUBLICATIONS} WHERE mart = ?", (mart,)
    )
    try:
        rows = database.run([query]).rows
    except CloudflareError as error:
        if "no such table" not in str(error):
            raise
        database.run([Statement(CREATE_PUBLICATIONS)])
        return None
    return Publication(**rows[0]) if rows else None


def tables_beside(database: D1Database, mart: str) -> list[str]:
    """The tables of unfinished publications of a mart."""
    # In LIKE an underscore is any character; GLOB has none of that.
    query = Statement(
        "SELECT name FROM sqlite_master WHERE type = 'table' AND name GLOB ?", (f"{mart}__*",)
    )
    return [row["name"] for row in database.run([query]).rows]


def _record(mart: str, wanted: Publication) -> Statement:
    return Statement(
        f"INSERT INTO {PUBLICATIONS} (mart, version, layout, row_count, published_at) "
        "VALUES (?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET version = excluded.version, "
        "layout = excluded.layout, row_count = excluded.row_count, "
        "published_at = excluded.published_at",
        (mart, wanted.version, wanted.layout, wanted.row_count, _now()),
    )


def _move_on(mart: str, compared: str, wanted: Publication) -> Statement:
    """Move to a version, or fail by the NOT NULL of the column if another one is published."""
    return Statement(
        f"UPDATE {PUBLICATIONS} SET version = CASE WHEN version = ? THEN ? END, row_count = ?, "
        "published_at = ? WHERE mart = ?",
        (compared, wanted.version, wanted.row_count, _now(), mart),
    )


def _requests(statements: Iterable[Statement]) -> Iterator[list[Statement]]:
    batch: list[Statement] = []
    size = 0
    for statement in statements:
        if batch and size + _size(statement) > REQUEST_BYTES:
            yield batch
            batch, size = [], 0
        batch.append(statement)
        size += _size(statement)
    if batch:
        yield batch


def _size(statement: Statement) -> int:
    return len(json.dumps([statement.sql, statement.parameters]))


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
