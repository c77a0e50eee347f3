"""The sink KV: a pair for each row of a mart, and a pointer that says which pairs belong together.

    <row key>@<digest>         a row as JSON; the row key is the mart's template, filled in
    <mart>/index/<digest>      a part of the index: row key -> digest of the row, as JSON
    <mart>/current             the pointer: version, the parts of its index, and the version before

Rows and parts are named by their content, so a pair never changes: a new version writes only the
pairs that no version had, then the pointer. KV is consistent within a minute and in no order, and
a pair that is not there yet cannot be taken for another: a reader who misses one reads the version
before, which the pointer holds too (worker/src/kv.ts). Pairs of older versions are deleted only
when they belong to neither of the two.

The first `prefix_length` characters of the MD5 of a row key, in hexadecimal, name its part.
"""

from __future__ import annotations

import hashlib
import json
import logging
import time
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

from pydantic import BaseModel, ConfigDict

from include.cloudflare.kv import KEY_BYTES, VALUE_BYTES, KvNamespace, Pair
from include.publish.d1_sql import edge_columns
from include.publish.marts import CHUNK_ROWS, MartReader, PublishError, identifier, text
from include.publish.outcome import Outcome
from include.publish.spec import KvSpec, PublishedMart, Sink
from include.publish.versions import PublishedVersions

log = logging.getLogger(__name__)

# Rows in one part of the index, about 30 KB of JSON.
PART_ROWS = 512
LONGEST_PREFIX = 3
# Of a row's time to live, after which it is written again though it has not changed.
REFRESH_SHARE = 0.5


class Version(BaseModel):
    """One version: the digest of each part of its index, by the prefix of the part."""

    model_config = ConfigDict(frozen=True)

    version: str
    rows: int
    prefix_length: int
    parts: dict[str, str]
    published_at: str


class Pointer(BaseModel):
    """What `<mart>/current` holds. ``rejected`` was rolled back and is not published again."""

    model_config = ConfigDict(frozen=True)

    current: Version
    previous: Version | None = None
    rejected: str | None = None


class KvSink:
    """Publishes one mart."""

    def __init__(
        self,
        reader: MartReader,
        mart: PublishedMart,
        spec: KvSpec,
        namespace: KvNamespace,
        versions: PublishedVersions,
    ) -> None:
        self._reader = reader
        self._mart = mart
        self._spec = spec
        self._namespace = namespace
        self._versions = versions
        self._relation = reader.relation(mart)

    def publish(self) -> Outcome:
        """Bring the namespace to the mart's rows.

        Raises PublishError for rows that KV cannot hold, CloudflareError if KV refuses.
        """
        wanted = self.make_pairs()
        pointer = read_pointer(self._namespace, self._mart.name)
        if pointer is not None and pointer.rejected == wanted.version:
            log.warning(
                "%s was rolled back and has not changed since, so it is not published again.",
                self._mart.name,
            )
            return self._outcome(pointer.current, "unchanged")
        if pointer is not None and pointer.current.version == wanted.version:
            return self._refresh(pointer)
        return self._move_on(wanted, pointer)

    # ---- pairs, as the table `pairs` of the reader's connection

    def make_pairs(self) -> Version:
        """Work out the mart's version and its pairs. Raises PublishError."""
        connection = self._reader.connection
        connection.execute(
            f"CREATE OR REPLACE TABLE rows_by_key AS SELECT row_key, value, "
            f"left(md5(value), 16) AS digest FROM (SELECT {self._row_key()} AS row_key, "
            f"{self._value()} AS value FROM {self._relation})"
        )
        row_count = self._check_rows()
        length = _prefix_length(row_count)
        connection.execute(
            "CREATE OR REPLACE TABLE parts AS SELECT prefix, value, left(md5(value), 16) AS digest "
            f"FROM (SELECT left(md5(row_key), {length}) AS prefix, "
            "'{' || string_agg(to_json(row_key) || ':\"' || digest || '\"', ',' ORDER BY row_key) "
            "|| '}' AS value FROM rows_by_key GROUP BY 1)"
        )
        connection.execute(
            "CREATE OR REPLACE TABLE pairs AS "
            "SELECT row_key || '@' || digest AS name, value, false AS is_part FROM rows_by_key "
            "UNION ALL "
            f"SELECT {text(f'{self._mart.name}/index/')} || digest, value, true FROM parts"
        )
        parts = dict(connection.execute("SELECT prefix, digest FROM parts ORDER BY 1").fetchall())
        content = json.dumps([length, parts], sort_keys=True)
        return Version(
            version=hashlib.sha256(content.encode()).hexdigest()[:16],
            rows=row_count,
            prefix_length=length,
            parts=parts,
            published_at=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        )

    def pair_names(self) -> Iterator[str]:
        """The names of the pairs that `make_pairs` has worked out."""
        return (name for (name,) in self._stream("SELECT name FROM pairs"))

    def _row_key(self) -> str:
        """DuckDB SQL: the template, each column in its place and percent-encoded."""
        by_name = {column.name: column.value for column in edge_columns(self._mart)}
        result = text(self._spec.key)
        for name in self._spec.key_columns:
            value = f"url_encode(CAST({by_name[name]} AS VARCHAR))"
            result = f"replace({result}, {text('{' + name + '}')}, {value})"
        return result

    def _value(self) -> str:
        """DuckDB SQL: the row as a JSON object."""
        values = {
            column.name: identifier(column.name) if kind == "boolean" else column.value
            for column, kind in zip(
                edge_columns(self._mart), (c.data_type for c in self._mart.columns), strict=True
            )
        }
        fields = ", ".join(f"{text(name)}, {value}" for name, value in values.items())
        return f"CAST(json_object({fields}) AS VARCHAR)"

    def _check_rows(self) -> int:
        """The number of rows. Raises PublishError unless each has a key of its own, and fits."""
        name = self._mart.name
        for column in edge_columns(self._mart):
            if column.unsafe is None:
                continue
            found = self._one(
                f"SELECT {identifier(column.name)} FROM {self._relation} "
                f"WHERE {column.unsafe} LIMIT 1"
            )
            if found is not None:
                raise PublishError(
                    f"{name}.{column.name} is {found[0]}, which a reader at the edge would not "
                    "get exactly; cast the column to text in the mart."
                )
        # The digest, the @ and TTL leave this much of a key.
        too_long = f"row_key IS NULL OR strlen(row_key) > {KEY_BYTES - 17}"
        wrong = self._one(f"SELECT row_key FROM rows_by_key WHERE {too_long} LIMIT 1")
        if wrong is not None:
            raise PublishError(
                f"{name} has a row whose KV key is {'null' if wrong[0] is None else 'too long'}; "
                "name columns in meta.publish.kv.key that are short and never null."
            )
        repeated = self._one(
            "SELECT row_key FROM rows_by_key GROUP BY 1 HAVING count(*) > 1 LIMIT 1"
        )
        if repeated is not None:
            raise PublishError(
                f"{name} has two rows of the KV key {repeated[0]!r}; "
                "name columns in meta.publish.kv.key that tell its rows apart."
            )
        rows, largest = self._one("SELECT count(*), max(strlen(value)) FROM rows_by_key") or (0, 0)
        if largest is not None and largest > VALUE_BYTES:
            raise PublishError(f"{name} has a row of {largest} bytes and KV takes {VALUE_BYTES}.")
        return rows

    # ---- publishing

    def _move_on(self, wanted: Version, pointer: Pointer | None) -> Outcome:
        self._find_written(_versions_of(pointer))
        self._versions.keep(wanted.version, self._version_file())
        rows = self._namespace.put_all(self._unwritten("NOT is_part"))
        parts = self._namespace.put_all(self._unwritten("is_part"))
        previous = pointer.current if pointer else None
        write_pointer(self._namespace, self._mart.name, Pointer(current=wanted, previous=previous))
        deleted = self._delete_older({wanted.version} | ({previous.version} if previous else set()))
        how = "replaced" if previous is None else "changed"
        return self._outcome(wanted, how, rows, deleted, rows + parts + 1)

    def _refresh(self, pointer: Pointer) -> Outcome:
        """Write again what would expire before it is published next."""
        keep = _versions_of(pointer)
        written = 0
        if self._spec.ttl_seconds is not None:
            self._find_written(keep)
            written = self._namespace.put_all(self._unwritten("true"))
        if written:
            self._versions.keep(pointer.current.version, self._version_file())
        self._delete_older(keep)
        return self._outcome(pointer.current, "unchanged", written, 0, written)

    def _find_written(self, versions: set[str]) -> None:
        """Make the table `written`: what these versions have written, unless it expires soon."""
        keys = [self._versions.key(version) for version in versions if self._versions.has(version)]
        connection = self._reader.connection
        connection.execute("CREATE OR REPLACE TABLE written (name VARCHAR, written_at DOUBLE)")
        with self._versions.lake.local_paths(keys) as paths:
            for path in paths:
                connection.execute(f"INSERT INTO written SELECT * FROM {text(str(path))}")
        if self._spec.ttl_seconds is not None:
            due = time.time() - self._spec.ttl_seconds * REFRESH_SHARE
            connection.execute(f"DELETE FROM written WHERE written_at <= {due}")

    def _version_file(self) -> Path:
        path = self._reader.scratch / f"{uuid4().hex}.parquet"
        # A name that both versions hold was written when the newer one says.
        self._reader.connection.execute(
            "COPY (SELECT p.name, coalesce(max(w.written_at), "
            f"{time.time()}) AS written_at FROM pairs p LEFT JOIN written w USING (name) "
            f"GROUP BY p.name) TO {text(str(path))} (FORMAT parquet, COMPRESSION zstd)"
        )
        return path

    def _delete_older(self, keep: set[str]) -> int:
        """Delete pairs of no version that readers may see, killed publishers' among them."""
        older = [version for version in self._versions.all() if version not in keep]
        if not older:
            return 0
        with ExitStack() as stack:
            lake, key = self._versions.lake, self._versions.key
            kept = [key(version) for version in keep if self._versions.has(version)]
            old = stack.enter_context(lake.local_paths([key(version) for version in older]))
            new = stack.enter_context(lake.local_paths(kept))
            sql = f"SELECT DISTINCT name FROM read_parquet({_list(old)})"
            if new:
                sql += f" EXCEPT SELECT name FROM read_parquet({_list(new)})"
            deleted = self._namespace.delete_all(name for (name,) in self._stream(sql))
        self._versions.drop_all_but(keep)
        return deleted

    def _unwritten(self, condition: str) -> Iterator[Pair]:
        ttl = self._spec.ttl_seconds
        found = self._stream(
            f"SELECT name, value FROM pairs WHERE {condition} AND "
            "name NOT IN (SELECT name FROM written)"
        )
        return (Pair(name, value, ttl) for name, value in found)

    def _stream(self, sql: str) -> Iterator[tuple[str, ...]]:
        with self._reader.connection.cursor() as cursor:
            cursor.execute(sql)
            while rows := cursor.fetchmany(CHUNK_ROWS):
                yield from rows

    def _one(self, sql: str) -> tuple | None:
        return self._reader.connection.execute(sql).fetchone()

    def _outcome(
        self, version: Version, how: str, upserted: int = 0, deleted: int = 0, written: int = 0
    ) -> Outcome:
        return Outcome(
            self._mart.name,
            Sink.KV,
            version.version,
            version.rows,
            how=how,
            upserted=upserted,
            deleted=deleted,
            written=written,
        )


def roll_back(namespace: KvNamespace, mart: str) -> Version:
    """Let readers see the version before; returns it.

    The version that is left is not published again until the mart's rows change. Raises
    PublishError if there is no version before.
    """
    pointer = read_pointer(namespace, mart)
    if pointer is None or pointer.previous is None:
        raise PublishError(f"KV holds no version of {mart} before the one that readers see.")
    back = Pointer(current=pointer.previous, rejected=pointer.current.version)
    write_pointer(namespace, mart, back)
    return pointer.previous


def read_pointer(namespace: KvNamespace, mart: str) -> Pointer | None:
    content = namespace.read(_pointer_key(mart))
    return None if content is None else Pointer.model_validate_json(content)


def write_pointer(namespace: KvNamespace, mart: str, pointer: Pointer) -> None:
    namespace.put_all([Pair(_pointer_key(mart), pointer.model_dump_json())])


def _pointer_key(mart: str) -> str:
    return f"{mart}/current"


def _versions_of(pointer: Pointer | None) -> set[str]:
    if pointer is None:
        return set()
    return {v.version for v in (pointer.current, pointer.previous) if v is not None}


def _prefix_length(rows: int) -> int:
    length = 0
    while rows > PART_ROWS * 16**length and length < LONGEST_PREFIX:
        length += 1
    return length


def _list(paths: tuple[Path, ...]) -> str:
    return "[" + ", ".join(text(str(path)) for path in paths) + "]"
