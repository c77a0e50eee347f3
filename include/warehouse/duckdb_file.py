"""Opens the DuckDB file, and says in one sentence why it cannot be used."""

from __future__ import annotations

import logging
import re
from pathlib import Path

import duckdb
from tenacity import RetryCallState, Retrying, retry_if_exception, stop_after_delay
from tenacity.wait import wait_random_exponential

from include.warehouse.base import WarehouseError

log = logging.getLogger(__name__)


class WarehouseInUse(WarehouseError):
    """Another process has the file open."""


_CONFIG = {
    # Nothing is fetched from the network: JSON and Parquet are built in.
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
}


def connect(path: Path, wait_seconds: float) -> duckdb.DuckDBPyConnection:
    """The file, made if it is missing; waits while another process has it.

    Raises WarehouseError if it is still in use after ``wait_seconds``, damaged or out of reach.
    """
    retrying = Retrying(
        retry=retry_if_exception(_is_in_use),
        wait=wait_random_exponential(multiplier=0.05, max=1),
        stop=stop_after_delay(wait_seconds),
        before_sleep=lambda state: _say_waiting(path, state),
        reraise=True,
    )
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return retrying(duckdb.connect, str(path), config=_CONFIG)
    except duckdb.Error as error:
        kind = WarehouseInUse if _is_in_use(error) else WarehouseError
        raise kind(_unopened(path, error)) from error
    except OSError as error:
        raise WarehouseError(
            f"The folder of the warehouse {path} cannot be made ({error.strerror}); "
            "make it writable or set VENDING_DATA_DIR to another."
        ) from error


def _say_waiting(path: Path, state: RetryCallState) -> None:
    if state.attempt_number == 1:
        log.info("Waiting for the warehouse %s, which another process has open.", path)


def _is_in_use(error: BaseException) -> bool:
    return isinstance(error, duckdb.IOException) and "Could not set lock" in str(error)


def _unopened(path: Path, error: duckdb.Error) -> str:
    if _is_in_use(error):
        holder = re.search(r"PID (\d+)", str(error))
        process = f"process {holder[1]}" if holder else "another process"
        return f"The warehouse {path} is in use by {process}; close it there or wait for it."
    if "newer version" in str(error) or "storage version" in str(error):
        return (
            f"The warehouse {path} was written by another version of DuckDB; "
            "open it with that version, or make it again from raw with make rebuild."
        )
    if "Permission denied" in str(error):
        return f"The warehouse {path} may not be opened; give the user that runs Airflow access."
    return (
        f"The warehouse {path} is damaged ({_first_line(error)}); make it again from raw with "
        "make rebuild."
    )


def explain_failure(path: Path, doing: str, error: duckdb.Error) -> str:
    # The second where a quota ends before the disk does.
    if "No space left" in str(error) or "File too large" in str(error):
        remedy = "free space on the disk and run the task again"
    elif ".parquet" in str(error):
        remedy = "clear the conform task of the batch, which writes its Parquet again"
    elif _shows_damage(error):
        remedy = "its file is damaged: make it again from raw with make rebuild"
    elif isinstance(error, duckdb.OutOfMemoryException):
        remedy = "give the task more memory or lower VENDING_BATCH_BYTES, and run it again"
    else:
        remedy = "nothing of it was kept; mend the cause and run the task again"
    return f"The warehouse {path} failed while {doing} ({_first_line(error)}); {remedy}."


def _shows_damage(error: duckdb.Error) -> bool:
    """Damage behind the header is found by whoever first reads that part of the file."""
    kinds = duckdb.InternalException | duckdb.FatalException | duckdb.SerializationException
    texts = ("Could not read enough bytes", "Corrupt", "checksum")
    return isinstance(error, kinds) or any(text in str(error) for text in texts)


def _first_line(error: duckdb.Error) -> str:
    return str(error).splitlines()[0].rstrip(".")
