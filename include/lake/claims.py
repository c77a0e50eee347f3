"""Claims: objects whose existence says that a process is at work on something."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from include.lake.base import Lake, LakeError

LOOK_SECONDS = 0.05


@contextmanager
def claimed_at_once(lake: Lake, claim: str, seconds: float) -> Iterator[bool]:
    """Whether the claim is ours for the block; who holds it longer has died. Raises LakeError."""
    is_ours = _take(lake, claim, seconds)
    try:
        yield is_ours
    finally:
        if is_ours:
            lake.delete(claim)


@contextmanager
def claimed(lake: Lake, claim: str, seconds: float) -> Iterator[None]:
    """Wait for the claim, which others hold for so many seconds at most. Raises LakeError."""
    ends = time.monotonic() + seconds + 1
    while not _take(lake, claim, seconds):
        if time.monotonic() > ends:
            raise LakeError(f"{claim} is claimed by others for too long; run the task again.")
        time.sleep(LOOK_SECONDS)
    try:
        yield
    finally:
        lake.delete(claim)


def _take(lake: Lake, claim: str, seconds: float) -> bool:
    return lake.create_bytes(claim, b"") or _take_over(lake, claim, seconds)


def _take_over(lake: Lake, claim: str, seconds: float) -> bool:
    try:
        age = datetime.now(UTC) - lake.describe(claim).modified_at
    except LakeError:  # released meanwhile, and what was done with it is done
        return False
    if age.total_seconds() < seconds:
        return False
    lake.delete(claim)
    return lake.create_bytes(claim, b"")
