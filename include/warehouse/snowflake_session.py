"""Opens a session in Snowflake, and says in one sentence why it cannot be used."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from snowflake.connector import errors

from include.settings import SnowflakeSettings
from include.warehouse.base import WarehouseError
from include.warehouse.query_tag import query_tag

if TYPE_CHECKING:
    from snowflake.connector import SnowflakeConnection

LOGIN_SECONDS = 60
# Above a statement's own time-out: the connector repeats a request that the network lost, for ever
# unless it is bounded.
NETWORK_MARGIN_SECONDS = 120
# How long a load waits for the lock row that another load holds.
LOCK_SECONDS = 1_800

# Data errors: their messages may quote a value.
_DATA_ERRORS = range(100_000, 101_000)


@contextmanager
def session(settings: SnowflakeSettings) -> Iterator[SnowflakeConnection]:
    """A session with the query tag of the running task; closed with the block.

    A task that is stopped cancels its statement. One that is killed outright cannot: Snowflake
    aborts its statement five minutes after the client is gone. Either way the transaction is
    rolled back. Raises WarehouseError if no session can be opened.
    """
    connection = _connect(settings)
    try:
        with _stopped_as_interrupted():
            yield connection
    finally:
        connection.close()


def session_parameters(settings: SnowflakeSettings) -> dict[str, Any]:
    return {
        "QUERY_TAG": query_tag(settings.environment),
        "STATEMENT_TIMEOUT_IN_SECONDS": settings.statement_seconds,
        "LOCK_TIMEOUT": LOCK_SECONDS,
        "ABORT_DETACHED_QUERY": True,
        "ERROR_ON_NONDETERMINISTIC_UPDATE": True,
        "TIMEZONE": "UTC",
        # Without it the server may keep timestamps with a zone, after an account's parameter.
        "TIMESTAMP_TYPE_MAPPING": "TIMESTAMP_NTZ",
    }


def connection_parameters(settings: SnowflakeSettings, connection_id: str) -> dict[str, Any]:
    """The connector's arguments, from an Airflow connection and the settings.

    The connection is of type ``snowflake``: login, and in its extra ``account``, ``role`` and
    ``private_key_content`` (the PEM in base64), whose passphrase is the password; ``host``,
    ``port`` and ``protocol`` where the account is reached by another way than its own address.
    Raises WarehouseError, without the content of the connection.
    """
    # Imported here: the provider costs two seconds.
    from airflow.providers.snowflake.hooks.snowflake import SnowflakeHook

    hook = SnowflakeHook(
        snowflake_conn_id=connection_id,
        warehouse=settings.warehouse,
        database=settings.database,
        schema=settings.load_schema,
        session_parameters=session_parameters(settings),
    )
    try:
        parameters = hook._get_conn_params()
        protocol = hook.get_connection(connection_id).extra_dejson.get("protocol")
    except Exception as error:
        # The exceptions of parsers quote what they could not parse.
        raise WarehouseError(
            f"The Airflow connection {connection_id!r} is missing or malformed "
            f"({type(error).__name__}); write it as docs/environments.md shows."
        ) from None
    return {name: value for name, value in parameters.items() if value} | {
        "paramstyle": "qmark",
        "login_timeout": LOGIN_SECONDS,
        "network_timeout": settings.statement_seconds + NETWORK_MARGIN_SECONDS,
        **({"protocol": protocol} if protocol else {}),
    }


def explain_failure(settings: SnowflakeSettings, doing: str, error: errors.Error) -> str:
    """One sentence; ``doing`` says what was being done."""
    query = f", query {error.sfqid}" if error.sfqid else ""
    return (
        f"The warehouse {settings.database} failed while {doing} ({_reason(error)}{query}); "
        f"{_remedy(error)}."
    )


def _connect(settings: SnowflakeSettings) -> SnowflakeConnection:
    from snowflake.connector import connect

    parameters = connection_parameters(settings, settings.connection_id)
    try:
        return connect(**parameters)
    except errors.Error as error:
        raise WarehouseError(explain_failure(settings, "opening a session", error)) from None


def _reason(error: errors.Error) -> str:
    code = f"{error.errno or 0:06d}"
    if error.errno in _DATA_ERRORS or not error.raw_msg:
        return f"error {code}"
    return f"error {code}: {' '.join(error.raw_msg.split()).rstrip('.')}"


def _remedy(error: errors.Error) -> str:
    if error.errno in (2003, 2043):  # does not exist or not authorized
        return "run deploy/snowflake for this environment, or grant the role what it needs"
    if error.errno == 625:  # lock time-out
        return "another load holds the ledger; wait for it and run the task again"
    if error.errno in (604, 630):  # cancelled, or its time-out
        return "it was cancelled; nothing of it was kept, run the task again"
    if isinstance(error, errors.DatabaseError) and error.errno in range(250_000, 252_000):
        return "check the connection's account, user, key and network policy"
    return "nothing of it was kept; mend the cause and run the task again"


@contextmanager
def _stopped_as_interrupted() -> Iterator[None]:
    """Take a request to stop (SIGTERM) as an interrupt, at which the connector cancels its query.

    Airflow's own handler only tells the operator and lets the statement run on until the kill.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGTERM)

    def interrupt(*_: object) -> None:
        signal.signal(signal.SIGTERM, before)
        signal.raise_signal(signal.SIGINT)

    signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
