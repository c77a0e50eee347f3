"""A memory cgroup, in which processes have so much and no more: what a small machine would be."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

ROOT = Path("/sys/fs/cgroup")
SAMPLE_SECONDS = 0.5


@dataclass
class MemoryGroup:
    """Processes of the group and all that they start. ``peak`` is in bytes, sampled, of what they
    hold themselves: the file cache, which the kernel takes back, counts for the limit only.
    ``oom_kills`` are the processes that were ended for want of memory, known at the end.
    """

    folder: Path
    peak: int = 0
    oom_kills: int = 0
    _ended: threading.Event = field(default_factory=threading.Event)

    def add(self, pid: int) -> None:
        (self.folder / "cgroup.procs").write_text(str(pid), "ascii")

    def sample(self) -> None:
        """Watch until the group's end; for a thread of its own."""
        while not self._ended.wait(SAMPLE_SECONDS):
            held = _value(self.folder / "memory.stat", _files()["held"])
            self.peak = max(self.peak, held)

    def end(self) -> None:
        self._ended.set()
        self.oom_kills = _value(self.folder / _files()["events"], "oom_kill")


@contextmanager
def memory_group(limit: int) -> Iterator[MemoryGroup]:
    """A group with a limit in bytes. Skips the test where this user may make none."""
    parent = ROOT if _is_v2() else ROOT / "memory"
    folder = parent / f"vending-test-{os.getpid()}"
    try:
        folder.mkdir()
        (folder / _files()["limit"]).write_text(str(limit), "ascii")
    except OSError as error:
        pytest.skip(f"needs a writable memory cgroup: {error}")
    group = MemoryGroup(folder)
    sampler = threading.Thread(target=group.sample)
    sampler.start()
    try:
        yield group
    finally:
        group.end()
        sampler.join()
        folder.rmdir()


def _is_v2() -> bool:
    return (ROOT / "cgroup.controllers").exists()


def _files() -> dict[str, str]:
    if _is_v2():
        return {"limit": "memory.max", "events": "memory.events", "held": "anon"}
    return {"limit": "memory.limit_in_bytes", "events": "memory.oom_control", "held": "total_rss"}


def _value(path: Path, name: str) -> int:
    lines = (line.split() for line in path.read_text("ascii").splitlines())
    return next(int(value) for key, value in lines if key == name)
