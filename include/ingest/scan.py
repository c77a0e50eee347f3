"""One pass over a file's bytes, which tells whether a CSV reader can be trusted with it.

DuckDB loses, merges or invents rows without a word where quotes do not close, line ends are mixed
or a line has a delimiter too many. What is counted here proves afterwards that it did not: if as
many rows came out as there are lines, and the delimiters outside quotes are exactly those that so
many rows need, then every line is one row and every value stands in its own column.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import BinaryIO

import numpy as np

# Fits the cache of a core: each chunk is passed over several times.
_CHUNK_BYTES = 512 << 10
# A line longer than this is no record; without a bound, a file without line ends would fill memory.
_LONGEST_LINE = 16 << 20
_SMALL_BLOCK = 1 << 16
_NEWLINE = ord("\n")
_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class FileScan:
    """What the bytes of one delimited file say, header line and blank lines included.

    ``header`` is the first line without its end and without a byte order mark. ``delimiters``
    counts those outside quotes. ``is_regular`` says that the bytes are UTF-8 without NUL, with one
    kind of line end, none of them inside quotes, and with every quote closed and around a whole
    value.
    """

    header: bytes
    lines: int
    delimiters: int
    quotes: int
    ends_with_crlf: bool
    is_regular: bool

    @property
    def has_quotes(self) -> bool:
        return self.quotes > 0


def scan_file(path: Path, delimiter: str, quote: str, threads: int = 1) -> FileScan:
    """Scan a file of any size in chunks, in as many parts at once. Raises OSError."""
    parts = list(pairwise(_cuts(path, threads)))

    def scanned(part: tuple[int, int]) -> _Scanner:
        return _scanned(_chunks_between(path, *part), delimiter, quote)

    with ThreadPoolExecutor(len(parts)) as pool:
        first, *others = pool.map(scanned, parts)
    for other in others:
        first.add_counts_of(other)
    return first.result()


def chunks_of(stream: BinaryIO) -> Iterator[bytes]:
    """The rest of a stream in chunks of half a megabyte."""
    return iter(lambda: stream.read(_CHUNK_BYTES), b"")


def scan_bytes(chunks: Iterable[bytes], delimiter: str, quote: str) -> FileScan:
    """Scan bytes that arrive in chunks of any size."""
    return _scanned(chunks, delimiter, quote).result()


def _scanned(chunks: Iterable[bytes], delimiter: str, quote: str) -> _Scanner:
    scanner = _Scanner(delimiter, quote)
    for block in whole_lines(chunks):
        scanner.add(block)
    return scanner


def _cuts(path: Path, parts: int) -> list[int]:
    """Positions, each behind a line end, between which a file has parts of about one size.

    In a line of more than 16 MB the cut may fall anywhere; its pieces count as lines, so that the
    file is not taken for regular, or the number of its lines for that of its rows.
    """
    size = path.stat().st_size
    cuts = [0]
    with path.open("rb") as stream:
        for number in range(1, parts):
            stream.seek(size * number // parts)
            stream.readline(_LONGEST_LINE)
            if cuts[-1] < stream.tell() < size:
                cuts.append(stream.tell())
    return [*cuts, size]


def _chunks_between(path: Path, start: int, end: int) -> Iterator[bytes]:
    with path.open("rb") as stream:
        stream.seek(start)
        while start < end:
            chunk = stream.read(min(_CHUNK_BYTES, end - start))
            if not chunk:
                return
            start += len(chunk)
            yield chunk


def whole_lines(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """The same bytes, cut behind line ends, so that no line and no character is divided.

    Only a line of more than 16 MB is.
    """
    rest = b""
    for chunk in chunks:
        cut = chunk.rfind(b"\n") + 1
        if cut:
            yield rest + chunk[:cut]
            rest = chunk[cut:]
        else:
            rest += chunk
        if len(rest) > _LONGEST_LINE:
            yield rest
            rest = b""
    if rest:
        yield rest


class _Scanner:
    """Adds up what blocks of whole lines say."""

    def __init__(self, delimiter: str, quote: str) -> None:
        self._delimiter = ord(delimiter)
        self._quote = quote.encode("ascii")
        self._header: bytes | None = None
        self._lines = 0
        self._crlf = 0
        self._newlines = 0
        self._delimiters = 0
        self._quotes = 0
        self._is_regular = True

    def add(self, block: bytes) -> None:
        if self._header is None:
            self._header = block.split(b"\n", 1)[0].removesuffix(b"\r").removeprefix(_BOM)
        newlines = _count(block, _NEWLINE)
        self._newlines += newlines
        self._lines += newlines + (not block.endswith(b"\n"))
        self._is_regular &= len(block) <= _LONGEST_LINE and _is_text(block)
        self._count_carriage_returns(block)
        if self._quote in block:
            self._count_outside_quotes(np.frombuffer(block, dtype=np.uint8))
        else:
            self._delimiters += _count(block, self._delimiter)

    def add_counts_of(self, later: _Scanner) -> None:
        """Add what another found in a later part of the same file."""
        self._lines += later._lines
        self._crlf += later._crlf
        self._newlines += later._newlines
        self._delimiters += later._delimiters
        self._quotes += later._quotes
        self._is_regular &= later._is_regular

    def result(self) -> FileScan:
        one_line_end = self._crlf in (0, self._newlines)
        return FileScan(
            header=self._header or b"",
            lines=self._lines,
            delimiters=self._delimiters,
            quotes=self._quotes,
            ends_with_crlf=self._crlf > 0,
            is_regular=self._is_regular and one_line_end,
        )

    def _count_carriage_returns(self, block: bytes) -> None:
        if b"\r" not in block:
            return
        pairs = block.count(b"\r\n")
        self._crlf += pairs
        self._is_regular &= pairs == block.count(b"\r")

    def _count_outside_quotes(self, values: np.ndarray) -> None:
        """Count delimiters where the number of quotes before is even: a doubled quote is two."""
        quotes = values == self._quote[0]
        inside = np.bitwise_xor.accumulate(quotes)
        self._quotes += int(np.count_nonzero(quotes))
        self._delimiters += int(np.count_nonzero((values == self._delimiter) & ~inside))
        # Blocks end with lines, so an open quote at the end is a line end inside quotes as well.
        self._is_regular &= not bool(inside[-1])
        self._is_regular &= not bool(np.any((values == _NEWLINE) & inside))
        self._is_regular &= self._quotes_touch_values(values, quotes, inside)

    def _quotes_touch_values(
        self, values: np.ndarray, quotes: np.ndarray, inside: np.ndarray
    ) -> bool:
        """Whether every quote begins or ends a whole value, or is one of a doubled pair.

        DuckDB takes blanks between a quote and the delimiter, and leaves them out.
        """
        lined = np.concatenate(([_NEWLINE], values, [_NEWLINE]))
        before, after = lined[:-2], lined[2:]
        borders = [self._quote[0], self._delimiter, _NEWLINE]
        opens_well = np.isin(before[quotes & inside], borders)
        closes_well = np.isin(after[quotes & ~inside], [*borders, ord("\r")])
        return bool(opens_well.all() and closes_well.all())


def _count(block: bytes, byte: int) -> int:
    # numpy is several times faster where there is much to count, and slow to begin.
    if len(block) < _SMALL_BLOCK:
        return block.count(byte)
    return int(np.count_nonzero(np.frombuffer(block, dtype=np.uint8) == byte))


def _is_text(block: bytes) -> bool:
    if b"\0" in block:
        return False
    if block.isascii():
        return True
    try:
        block.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
