"""A memory cgroup, in which processes have so much and no more: what a small machine would be."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path("/sys/fs/cgroup")
SAMPLE_SECONDS = 0.5
LEAVE_SECONDS = 10.0


@dataclass
class MemoryGroup:
    """Processes of the group and all that they start. ``peak`` is in bytes, sampled, of what they
    hold themselves: the file cache, which the kernel takes back, counts for the limit only.
    """

    folder: Path
    peak: int = 0
    _ended: threading.Event = field(default_factory=threading.Event)

    def add(self, pid: int) -> None:
        (self.folder / "cgroup.procs").write_text(str(pid), "ascii")

    @property
    def oom_kills(self) -> int:
        """The processes that were ended for want of memory, until now."""
        return _value(self.folder / _files()["events"], "oom_kill")

    def sample(self) -> None:
        """Watch until the group's end; for a thread of its own."""
        while not self._ended.wait(SAMPLE_SECONDS):
            held = _value(self.folder / "memory.stat", _files()["held"])
            self.peak = max(self.peak, held)

    def end(self) -> None:
        self._ended.set()


@contextmanager
def memory_group(limit: int) -> Iterator[MemoryGroup]:
    """A group with a limit in bytes. Raises OSError where this user may make none."""
    parent = ROOT if _is_v2() else ROOT / "memory"
    folder = parent / f"vending-{os.getpid()}"
    folder.mkdir()
    try:
        (folder / _files()["limit"]).write_text(str(limit), "ascii")
        group = MemoryGroup(folder)
        sampler = threading.Thread(target=group.sample)
        sampler.start()
        try:
            yield group
        finally:
            group.end()
            sampler.join()
    finally:
        _remove(folder)


def _remove(folder: Path) -> None:
    """A process that has just ended is still in its group for a moment."""
    until = time.monotonic() + LEAVE_SECONDS
    while True:
        try:
            folder.rmdir()
        except OSError:
            if time.monotonic() > until:
                raise
            time.sleep(SAMPLE_SECONDS)
        else:
            return


def _is_v2() -> bool:
    return (ROOT / "cgroup.controllers").exists()


def _files() -> dict[str, str]:
    if _is_v2():
        return {"limit": "memory.max", "events": "memory.events", "held": "anon"}
    return {"limit": "memory.limit_in_bytes", "events": "memory.oom_control", "held": "total_rss"}


def _value(path: Path, name: str) -> int:
    lines = (line.split() for line in path.read_text("ascii").splitlines())
    return next(int(value) for key, value in lines if key == name)
