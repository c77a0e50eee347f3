"""Small files as one, because opening thousands of them costs DuckDB more than reading them.

Each line stands behind the load_id of its file, so that a row still knows where it came from.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable
from pathlib import Path

_BUFFERED_BYTES = 8 << 20


class MergedFiles:
    """One file in ``folder`` for each group of files; ``path`` is complete after ``flush``."""

    def __init__(self, folder: Path, separator: bytes) -> None:
        self._folder = folder
        self._separator = separator
        self._numbers: dict[Hashable, int] = {}
        self._waiting: dict[Hashable, list[bytes]] = defaultdict(list)
        self._bytes = 0

    def path(self, group: Hashable) -> Path:
        """Where the lines of a group lie."""
        return self._folder / f"merged-{self._numbers.setdefault(group, len(self._numbers))}"

    def add(self, group: Hashable, load_id: int, lines: bytes) -> None:
        """Add the lines of one file: one or more, and of the last one the end may be missing."""
        prefix = b"%d%s" % (load_id, self._separator)
        end = b"\r\n" if b"\r\n" in lines else b"\n"
        whole = lines.removesuffix(end)
        self._waiting[group] += (prefix, whole.replace(b"\n", b"\n" + prefix), end)
        self._bytes += len(lines)
        if self._bytes > _BUFFERED_BYTES:
            self.flush()

    def flush(self) -> None:
        """Write what waits. Raises OSError."""
        for group, pieces in self._waiting.items():
            with self.path(group).open("ab") as stream:
                stream.writelines(pieces)
        self._waiting.clear()
        self._bytes = 0
