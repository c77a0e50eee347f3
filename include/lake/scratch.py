"""Folders for files at work: gone with their block, or soon after the process killed in it.

What lies there may be a vendor's text as it came, personal data included.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

# Between a folder's making and its lock: no longer than this.
_SETTLING_SECONDS = 60


@contextmanager
def scratch_folder(parent: Path) -> Iterator[Path]:
    """An empty folder below ``parent``. What killed processes left beside it is removed first.

    Raises OSError where nothing can be made there.
    """
    parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    _remove_left(parent)
    folder = parent / uuid4().hex
    folder.mkdir(mode=0o700)
    lock = os.open(folder, os.O_RDONLY)
    try:
        # The kernel lets go of it when the process and all that it has started are gone.
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)


def _remove_left(parent: Path) -> None:
    for folder in parent.iterdir():
        with suppress(OSError):
            if time.time() - folder.stat().st_mtime > _SETTLING_SECONDS and _is_left(folder):
                shutil.rmtree(folder, ignore_errors=True)


def _is_left(folder: Path) -> bool:
    lock = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(lock)
    return True
