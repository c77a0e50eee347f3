"""Reads many files at once with DuckDB, and keeps only what is proved to be right.

A file is accepted if as many rows came out as it has lines, its delimiters are exactly those that
so many rows need, every row keeps every rule and no key occurs twice. Any other file is read
exactly; of a large one only the lines in doubt are.
"""

from __future__ import annotations

import logging
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa

from include.ingest.expressions import LOAD_ID, literal
from include.ingest.fast_files import Candidate, FastFiles, Layout, fast_files
from include.ingest.originals import note_originals
from include.ingest.records import LineChoice
from include.ingest.workspace import RawFile, Workspace, id_list

log = logging.getLogger(__name__)

# Below this a file is read exactly as a whole; above, looking for the lines in doubt pays.
_LARGE_BYTES = 1 << 20
_MOST_LINES_IN_DOUBT = 100_000
# Writing values as numbers of a dictionary pays for the few words of a column of kinds. DuckDB
# would try it with up to a fifth of all rows, each time in vain for a column of identifiers.
_MOST_DICTIONARY_WORDS = 10_000
# Hashes that are sorted in memory (8 bytes each); more are counted by DuckDB, which can spill.
_MOST_HASHES_IN_MEMORY = 4_000_000


@dataclass(frozen=True, slots=True)
class PartlyRead:
    """A file whose lines are accepted but for those of ``choice``, which are to be read exactly.

    The proof is that ``accepted_rows`` and the chosen lines make ``rows``.
    """

    file: RawFile
    choice: LineChoice
    accepted_rows: int
    rows: int
    has_repeated_keys: bool


@dataclass(slots=True)
class FastResult:
    """``parquets`` hold the rows that keep every rule, ``written`` in number, of every file that
    was tried. `accepted_rows` is the query over those that count.

    ``rows`` has the accepted files with their rows, ``headers`` the columns of each delimited file
    that was tried, as it writes them.
    """

    parquets: list[Path] = field(default_factory=list)
    written: int = 0
    rows: dict[int, int] = field(default_factory=dict)
    partly: list[PartlyRead] = field(default_factory=list)
    exact: list[RawFile] = field(default_factory=list)
    headers: dict[int, tuple[str, ...]] = field(default_factory=dict)


class _SetAside:
    """The rows that break a rule, as DuckDB calls `note` with each while it writes the others.

    Writing them among the others and taking them out afterwards would write every row twice.
    """

    function = "set_aside"

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self.rows: Counter[int] = Counter()
        self.lines: dict[int, set[str]] = defaultdict(set)
        connection.create_function(
            self.function,
            self.note,
            ["BIGINT", "VARCHAR"],
            "BOOLEAN",
            null_handling="special",
            # Also keeps DuckDB from evaluating every value twice: a filter on a column that has
            # effects is not pushed below the projection that makes it.
            side_effects=True,
        )

    def note(self, load_id: int, line: str | None) -> bool:
        """Whether the row is to be written: never."""
        self.rows[load_id] += 1
        lines = self.lines[load_id]
        if line is not None and len(lines) <= _MOST_LINES_IN_DOUBT:
            lines.add(line)
        return False


def read_fast(work: Workspace, files: Sequence[RawFile]) -> FastResult:
    """Read what can be read fast. Raises OSError, and duckdb.Error for want of memory or disk."""
    result = FastResult()
    fast = fast_files(work, _LARGE_BYTES)
    if fast is None:
        result.exact.extend(files)
        return result
    layouts: dict[Layout, list[Candidate]] = defaultdict(list)
    for candidate, file in zip(fast.candidates(files), files, strict=True):
        if candidate is None:
            result.exact.append(file)
        else:
            layouts[candidate.layout].append(candidate)
            if candidate.header.written:
                result.headers[file.load_id] = candidate.header.written
    aside = _SetAside(work.connection)
    for candidates in layouts.values():
        _read_layout(work, fast, candidates, aside, result)
    return result


def drop_partly_read(result: FastResult, partly: PartlyRead) -> None:
    """Take back a file whose proof failed, or that is refused: none of its rows counts."""
    result.partly.remove(partly)
    result.exact.append(partly.file)


def accepted_rows(work: Workspace, result: FastResult) -> str | None:
    """The query over all accepted rows, or None if there are none."""
    if not result.parquets or not (result.rows or result.partly):
        return None
    doubtful = {partly.file.load_id for partly in result.partly if partly.has_repeated_keys}
    sure = {*result.rows, *(partly.file.load_id for partly in result.partly)} - doubtful
    query = f"SELECT * FROM {_scan_of(result.parquets)} WHERE _load_id IN {id_list(sorted(sure))}"
    if not doubtful:
        return query
    return f"{query} OR (_load_id IN {id_list(sorted(doubtful))} AND {_has_key_of_its_own(work)})"


def is_complete(result: FastResult) -> bool:
    """Whether one Parquet file holds all that was accepted: no row of it has to go."""
    accepted = sum(result.rows.values()) + sum(partly.accepted_rows for partly in result.partly)
    return len(result.parquets) == 1 and 0 < result.written == accepted


def _read_layout(
    work: Workspace,
    fast: FastFiles,
    candidates: Sequence[Candidate],
    aside: _SetAside,
    result: FastResult,
) -> None:
    parquet = work.scratch / f"fast-{len(result.parquets)}.parquet"
    try:
        _copy(work, fast, candidates, parquet)
    except duckdb.InvalidInputException as error:
        # The reader gave up on a file; which one does not matter, each is proved alone.
        log.info("%d files are read exactly (%s).", len(candidates), type(error).__name__)
        result.exact.extend(candidate.file for candidate in candidates)
        return
    result.parquets.append(parquet)
    written = _written_rows(work, parquet)
    result.written += sum(written.values())
    repeated = _loads_with_repeated_keys(work, parquet, sum(written.values()))
    for candidate in candidates:
        load_id = candidate.file.load_id
        accepted = written.get(load_id, 0)
        is_proved = aside.rows[load_id] == 0 and candidate.is_proved_by(accepted)
        if is_proved and load_id not in repeated:
            result.rows[load_id] = accepted
        elif partly := _partly_read(
            work, fast, candidate, parquet, accepted, aside, load_id in repeated
        ):
            result.partly.append(partly)
        else:
            result.exact.append(candidate.file)


def _copy(work: Workspace, fast: FastFiles, candidates: Sequence[Candidate], parquet: Path) -> None:
    sql, layout = work.expressions, candidates[0].layout
    is_accepted = f"{sql.accepted()} AND {fast.is_plain(candidates[0])}"
    # Small files are read again as a whole, so that nobody asks for their lines.
    line = "NULL" if layout.is_merged else fast.line(layout)
    typed = sql.typed(fast.relation(candidates), fast.carried(layout))
    work.connection.execute(
        f"COPY (SELECT {sql.stored()} FROM (SELECT *, CASE WHEN {is_accepted} THEN TRUE "
        f"ELSE {_SetAside.function}({LOAD_ID}, {line}) END AS is_kept FROM ({typed})) "
        f"WHERE is_kept) TO {literal(str(parquet))} "
        f"(FORMAT parquet, DICTIONARY_SIZE_LIMIT {_MOST_DICTIONARY_WORDS})"
    )
    note_originals(work, typed)


def _scan_of(parquets: Sequence[Path]) -> str:
    return f"read_parquet([{', '.join(literal(str(parquet)) for parquet in parquets)}])"


def _written_rows(work: Workspace, parquet: Path) -> dict[int, int]:
    return dict(work.rows(f"SELECT _load_id, count(*) FROM {_scan_of([parquet])} GROUP BY 1"))


def _loads_with_repeated_keys(work: Workspace, parquet: Path, rows: int) -> frozenset[int]:
    """The loads in which a key occurs twice; their hashes are added to the table ``repeated``."""
    work.connection.execute("CREATE TABLE IF NOT EXISTS repeated (h UBIGINT)")
    hashes = f"SELECT {work.expressions.key_hash()} AS h FROM {_scan_of([parquet])}"
    if rows > _MOST_HASHES_IN_MEMORY:
        found = work.connection.execute(
            f"INSERT INTO repeated SELECT h FROM ({hashes}) GROUP BY h HAVING count(*) > 1"
        ).fetchone()
        if not found or not found[0]:
            return frozenset()
    else:
        # Sorting takes half the time of grouping.
        values = np.sort(_numbers(work.connection.execute(hashes).to_arrow_table()["h"]))
        twice = np.unique(values[1:][values[1:] == values[:-1]])
        if not len(twice):
            return frozenset()
        work.connection.register("twice", pa.table({"h": twice}))
        work.connection.execute("INSERT INTO repeated SELECT h FROM twice")
        work.connection.unregister("twice")
    loads = work.rows(
        f"SELECT DISTINCT _load_id FROM {_scan_of([parquet])} "
        f"WHERE {work.expressions.key_hash()} IN (SELECT h FROM repeated)"
    )
    return frozenset(load_id for (load_id,) in loads)


def _numbers(column: pa.ChunkedArray) -> np.ndarray:
    """A column without nulls as numpy. Arrow's and DuckDB's own ways import pandas, which takes
    longer than all the rest of a small batch."""
    return np.concatenate([np.empty(0, np.uint64), *map(np.from_dlpack, column.chunks)])


def _partly_read(
    work: Workspace,
    fast: FastFiles,
    candidate: Candidate,
    parquet: Path,
    accepted: int,
    aside: _SetAside,
    has_repeated_keys: bool,
) -> PartlyRead | None:
    """The lines in doubt of a large file, or None if it is better read exactly as a whole.

    The text of a row leads back to its lines, because there are no quotes. Rules look at a line
    alone, so equal lines share their fate; rows of a repeated key are all read again.
    """
    file, scan = candidate.file, candidate.scan
    if candidate.layout.is_merged or scan is None or scan.has_quotes:
        return None
    rejected, doubtful = aside.rows[file.load_id], aside.lines[file.load_id]
    is_sound = candidate.is_proved_by(accepted + rejected)
    if has_repeated_keys:
        doubtful |= _lines_of_repeated_keys(work, fast, candidate)
        accepted = _rows_with_keys_of_their_own(work, parquet, file)
    if len(doubtful) > _MOST_LINES_IN_DOUBT:
        return None
    end = b"\r" if scan.ends_with_crlf else b""
    choice = LineChoice(
        texts=frozenset(line.encode() + end for line in doubtful),
        delimiter=fast.delimiter,
        delimiters=None if is_sound else candidate.delimiters_in_line,
    )
    return PartlyRead(file, choice, accepted, candidate.rows, has_repeated_keys)


def _has_key_of_its_own(work: Workspace) -> str:
    return f"{work.expressions.key_hash()} NOT IN (SELECT h FROM repeated)"


def _rows_with_keys_of_their_own(work: Workspace, parquet: Path, file: RawFile) -> int:
    rows = work.rows(
        f"SELECT count(*) FROM {_scan_of([parquet])} WHERE _load_id = {file.load_id} "
        f"AND {_has_key_of_its_own(work)}"
    )
    return rows[0][0]


def _lines_of_repeated_keys(work: Workspace, fast: FastFiles, candidate: Candidate) -> set[str]:
    sql, layout = work.expressions, candidate.layout
    typed = sql.typed(fast.relation([candidate]), fast.carried(layout))
    lines = work.rows(
        f"SELECT DISTINCT line FROM (SELECT {sql.stored()}, {fast.line(layout)} AS line "
        f"FROM ({typed})) WHERE {sql.key_hash()} IN (SELECT h FROM repeated) "
        f"LIMIT {_MOST_LINES_IN_DOUBT + 1}"
    )
    return {line for (line,) in lines}
