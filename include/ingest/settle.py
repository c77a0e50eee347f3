"""Finds files that are still being written, by looking twice.

Discovery looked first. A file that was changed shortly before is looked at again after a second; if
it has changed, once more. Who writes with longer pauses has to say when a file is complete: with a
rename, or with the marker that a contract can name.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

from include.ingest.plan import Batch, Candidate, WaitingFile
from include.lake import Lake, LakeError, StoredObject

# Between two looks.
PAUSE_SECONDS = 1.0
# A file that was left alone for so long is not looked at again.
_YOUNG = timedelta(minutes=5)

STILL_WRITTEN = "It is still being written."


def settle(lake: Lake, batch: Batch) -> tuple[Batch, tuple[WaitingFile, ...]]:
    """The batch with the files as they are now, and those taken out that do not keep still."""
    young = [file for file in batch.candidates if _is_young(file, batch.planned_at)]
    if not young:
        return batch, ()
    _pause_since(batch.planned_at)
    changed = {
        file.object_key: seen
        for file in young
        if (seen := _look(lake, file)) and seen.etag != file.etag
    }
    if not changed:
        return batch, ()
    time.sleep(PAUSE_SECONDS)
    candidates: list[Candidate] = []
    waiting: list[WaitingFile] = []
    for file in batch.candidates:
        before = changed.get(file.object_key)
        now = _look(lake, file) if before else None
        if before and now and before.etag != now.etag:
            waiting.append(WaitingFile(object_key=file.object_key, reason=STILL_WRITTEN))
            continue
        if now:
            file = file.model_copy(update={"etag": now.etag, "size_bytes": now.size_bytes})
        candidates.append(file)
    return batch.model_copy(update={"candidates": tuple(candidates)}), tuple(waiting)


def _is_young(file: Candidate, planned_at: datetime | None) -> bool:
    if planned_at is None or file.modified_at is None or file.raw_location is not None:
        return False
    return planned_at - file.modified_at < _YOUNG


def _pause_since(planned_at: datetime | None) -> None:
    """Usually no pause: a task's start takes longer."""
    gone = (datetime.now(UTC) - planned_at).total_seconds() if planned_at else 0.0
    if 0 <= gone < PAUSE_SECONDS:
        time.sleep(PAUSE_SECONDS - gone)


def _look(lake: Lake, file: Candidate) -> StoredObject | None:
    """None for a file that is gone: landing says so."""
    try:
        return lake.describe(file.location)
    except LakeError:
        return None
