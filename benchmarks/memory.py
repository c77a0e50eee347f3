"""The most memory that a process has had."""

from __future__ import annotations

import resource
import sys
from pathlib import Path


def peak_megabytes() -> int:
    """The most that this process has had resident.

    Linux hands getrusage's figure down from the parent that started the process, so the kernel's
    own count for this program comes first.
    """
    status = Path("/proc/self/status")
    if status.exists():
        peak = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(peak.split()[1]) // 1024
    divisor = 1 << 20 if sys.platform == "darwin" else 1 << 10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // divisor
