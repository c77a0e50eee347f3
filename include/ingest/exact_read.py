"""Reads files record by record and rejects rows with every reason and their line number.

Python splits the records, DuckDB evaluates the contract's expressions over chunks of them.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass

import pyarrow as pa

from include.ingest.expressions import EXTRA, LOAD_ID, source_column
from include.ingest.originals import note_originals
from include.ingest.reasons import FileRejected, Reason, ReasonCode
from include.ingest.records import LineChoice, Record, RejectedRecord, read_records
from include.ingest.workspace import RawFile, Workspace

_CHUNK_ROWS = 50_000
# Python holds text at several times its size.
_CHUNK_CHARACTERS = 8 << 20

_LINE = "line_number"
_REJECTED = pa.schema(
    [
        ("load_id", pa.int64()),
        ("line_number", pa.int64()),
        ("reasons", pa.string()),
        ("first_reason", pa.string()),
        ("record", pa.string()),
    ]
)


@dataclass(frozen=True, slots=True)
class _Rejection:
    """A rejected row, or, without a line, a rejected file."""

    load_id: int
    line: int | None
    reasons: list[str]
    record: str | None


class ExactRead:
    """Collects the records of any number of files into two tables.

    ``exact_rows`` has the raw table's columns and ``line_number``; ``rejected`` has what
    quarantine needs of each rejected row.
    """

    def __init__(self, work: Workspace) -> None:
        self._work = work
        self._files: dict[int, tuple[RawFile, LineChoice | None]] = {}
        self._rows: Counter[int] = Counter()
        self._duplicates: Counter[int] = Counter()
        self._rejected_files: dict[int, int] = {}
        self._headers: dict[int, tuple[str, ...]] = {}
        self._chunk: list[tuple[int, Record]] = []
        self._characters = 0
        self._rejections: list[_Rejection] = []
        self._create_tables()

    @property
    def rows(self) -> dict[int, int]:
        """Rows read of each file; of a file rejected as a whole, the rows it may have held."""
        return dict(self._rows)

    @property
    def duplicates(self) -> dict[int, int]:
        """Rows of each file that equal an earlier one of it."""
        return dict(self._duplicates)

    @property
    def rejected_files(self) -> dict[int, int]:
        """The files rejected as a whole, with the rows that are in quarantine by that."""
        return dict(self._rejected_files)

    @property
    def headers(self) -> dict[int, tuple[str, ...]]:
        """The columns of each delimited file as it writes them."""
        return dict(self._headers)

    def reject_file(self, load_id: int, reason: Reason, rows: int) -> None:
        """Put a file of so many rows into quarantine whole, whatever was read of it."""
        self.forget(load_id)
        self._duplicates.pop(load_id, None)
        self._rows[load_id] = self._rejected_files[load_id] = rows
        self._reject(_Rejection(load_id, None, [reason.to_json()], None))
        self._flush_rejections()

    def add(self, file: RawFile, choice: LineChoice | None = None) -> int:
        """Read a file, or its chosen lines; returns the number of rows. Raises OSError."""
        load_id = file.load_id
        self._files[load_id] = (file, choice)
        try:
            for record in read_records(file.path, self._work.contract, choice, self._note(load_id)):
                self._rows[load_id] += 1
                self._add_record(load_id, record)
        except FileRejected as error:
            # What could be read before counts, though nothing of it is kept.
            self.reject_file(load_id, error.reason, max(error.rows, self._rows[load_id]))
        return self._rows[load_id]

    def forget(self, load_id: int) -> None:
        """Take back all rows of a file."""
        self._flush()
        for table, column in (("exact_rows", "_load_id"), ("rejected", "load_id")):
            self._work.connection.execute(f"DELETE FROM {table} WHERE {column} = {load_id}")
        self._rows.pop(load_id, None)

    def finish(self) -> None:
        """Decide on repeated keys: of equal rows the first stays and the others are skipped and
        counted; where rows of a key differ, nobody can say which is right and all are rejected."""
        self._flush()
        if self._find_repeated_keys():
            self._reject_conflicts()
            self._skip_duplicates()
            self._flush_rejections()

    def _note(self, load_id: int) -> Callable[[tuple[str, ...]], None]:
        return lambda columns: self._headers.__setitem__(load_id, columns)

    def _create_tables(self) -> None:
        columns = ", ".join(
            f"{column.name} {column.physical_type}"
            for column in self._work.contract.dataset.raw_columns
        )
        self._work.connection.execute(f"CREATE TABLE exact_rows ({columns}, {_LINE} BIGINT)")
        self._work.connection.execute(
            "CREATE TABLE rejected (load_id BIGINT, line_number BIGINT, reasons VARCHAR, "
            "first_reason VARCHAR, record VARCHAR)"
        )

    def _add_record(self, load_id: int, record: Record | RejectedRecord) -> None:
        if isinstance(record, RejectedRecord):
            self._reject(_Rejection(load_id, record.number, [record.reason.to_json()], None))
            return
        self._chunk.append((load_id, record))
        self._characters += sum(len(text) for text in record.texts if text)
        if len(self._chunk) >= _CHUNK_ROWS or self._characters >= _CHUNK_CHARACTERS:
            self._flush_chunk()

    def _reject(self, rejection: _Rejection) -> None:
        self._rejections.append(rejection)
        if len(self._rejections) >= _CHUNK_ROWS:
            self._flush_rejections()

    def _flush(self) -> None:
        self._flush_chunk()
        self._flush_rejections()

    def _flush_chunk(self) -> None:
        if not self._chunk:
            return
        sql, connection = self._work.expressions, self._work.connection
        connection.register("chunk", self._chunk_table())
        connection.execute(f"CREATE OR REPLACE TABLE typed AS {sql.typed('chunk', [_LINE])}")
        connection.unregister("chunk")
        connection.execute(
            f"INSERT INTO exact_rows SELECT {sql.stored()}, {_LINE} FROM typed "
            f"WHERE {sql.accepted()}"
        )
        note_originals(self._work, "FROM typed")
        rejected = self._work.rows(
            f"SELECT {LOAD_ID}, {_LINE}, {sql.reasons()} FROM typed WHERE NOT ({sql.accepted()})"
        )
        connection.execute("DROP TABLE typed")
        if rejected:
            records = {(load_id, record.number): record for load_id, record in self._chunk}
            for load_id, line, reasons in rejected:
                shown = records[load_id, line].shown()
                self._reject(_Rejection(load_id, line, reasons, shown))
        self._chunk.clear()
        self._characters = 0

    def _chunk_table(self) -> pa.Table:
        records = [record for _, record in self._chunk]
        columns = {
            LOAD_ID: pa.array([load_id for load_id, _ in self._chunk], pa.int64()),
            _LINE: pa.array([record.number for record in records], pa.int64()),
            EXTRA: pa.array([record.extra for record in records], pa.string()),
        }
        texts = zip(*(record.texts for record in records), strict=True)
        for index, column in enumerate(texts):
            columns[source_column(index)] = pa.array(column, pa.string())
        return pa.table(columns)

    def _flush_rejections(self) -> None:
        if not self._rejections:
            return
        rows = [
            {
                "load_id": rejection.load_id,
                "line_number": rejection.line,
                "reasons": f"[{', '.join(rejection.reasons)}]",
                "first_reason": json.loads(rejection.reasons[0])["code"],
                "record": rejection.record,
            }
            for rejection in self._rejections
        ]
        connection = self._work.connection
        connection.register("rejections", pa.Table.from_pylist(rows, schema=_REJECTED))
        connection.execute("INSERT INTO rejected SELECT * FROM rejections")
        connection.unregister("rejections")
        self._rejections.clear()

    def _find_repeated_keys(self) -> bool:
        """Judge the rows of each key that occurs more than once in a file, by line."""
        dataset = self._work.contract.dataset
        key = ", ".join(("_load_id", *dataset.key))
        content = ", ".join(column.name for column in dataset.raw_columns)
        same_key = " AND ".join(
            f"r.{name} IS NOT DISTINCT FROM k.{name}" for name in ("_load_id", *dataset.key)
        )
        self._work.connection.execute(
            f"CREATE TABLE repeated_keys AS SELECT {key} FROM exact_rows "
            "GROUP BY ALL HAVING count(*) > 1"
        )
        if not self._work.rows("SELECT 1 FROM repeated_keys LIMIT 1"):
            return False
        self._work.connection.execute(
            f"CREATE TABLE judged AS SELECT _load_id, {_LINE}, is_first, "
            f"bool_and(is_same) OVER (PARTITION BY {key}) AS is_agreed "
            f"FROM (SELECT {key}, {_LINE}, "
            f"{_LINE} = first_value({_LINE}) OVER same_key AS is_first, "
            "content IS NOT DISTINCT FROM first_value(content) OVER same_key AS is_same "
            f"FROM (SELECT {key}, {_LINE}, row({content}) AS content FROM exact_rows r "
            f"WHERE EXISTS (FROM repeated_keys k WHERE {same_key})) "
            f"WINDOW same_key AS (PARTITION BY {key} ORDER BY {_LINE}))"
        )
        return True

    def _reject_conflicts(self) -> None:
        conflicts: dict[int, set[int]] = defaultdict(set)
        for load_id, line in self._work.rows(
            f"SELECT _load_id, {_LINE} FROM judged WHERE NOT is_agreed"
        ):
            conflicts[load_id].add(line)
        key = ", ".join(self._work.contract.dataset.key)
        reason = Reason(
            ReasonCode.CONFLICTING_KEY,
            key,
            f"another line of the file has the same {key} and other values",
        )
        for load_id, lines in conflicts.items():
            file, choice = self._files[load_id]
            # The text is no longer at hand; few files have such rows, so they are read again.
            for record in read_records(file.path, self._work.contract, choice):
                if record.number in lines and isinstance(record, Record):
                    shown = record.shown()
                    self._reject(_Rejection(load_id, record.number, [reason.to_json()], shown))

    def _skip_duplicates(self) -> None:
        duplicates = self._work.rows(
            "SELECT _load_id, count(*) FROM judged WHERE is_agreed AND NOT is_first GROUP BY 1"
        )
        self._duplicates.update(dict(duplicates))
        self._work.connection.execute(
            f"DELETE FROM exact_rows USING judged j WHERE NOT (j.is_agreed AND j.is_first) "
            f"AND j._load_id = exact_rows._load_id AND j.{_LINE} = exact_rows.{_LINE}"
        )
