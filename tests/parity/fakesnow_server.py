"""fakesnow as a server for these tests, in an environment of its own (locks/parity.txt).

    python fakesnow_server.py --statements LOG --s3 http://127.0.0.1:PORT

It prints its port and serves Snowflake's protocol on loopback until it is terminated. Around
fakesnow it logs every statement with its session's query tag; accepts what fakesnow has no meaning
for (grants, session parameters, clustering); rewrites what fakesnow cannot run and Snowflake can;
fetches the files of an external stage from the S3 endpoint; and mends mistakes of fakesnow's own.
Each rewriting is a place where these tests do not show what Snowflake would do.

It stands alone: the environment of the project is not importable here.
"""

from __future__ import annotations

import argparse
import gzip
import json
import re
import socket
import sys
import tempfile
import threading
import urllib.parse
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import boto3
import fakesnow.arrow
import fakesnow.copy_into
import fakesnow.server
import pyarrow as pa
import pyarrow.compute as pc
import snowflake.connector.errors
import uvicorn
from botocore.exceptions import ClientError
from fakesnow.conn import FakeSnowflakeConnection
from fakesnow.cursor import FakeSnowflakeCursor
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

ACCEPTED = "SELECT 'Statement executed successfully.' AS status"

# What is accepted without an effect.
WITHOUT_EFFECT = re.compile(
    r"\s*(GRANT\b|REVOKE\b|ALTER\s+SESSION\b|USE\s+(ROLE|WAREHOUSE|SECONDARY)\b"
    r"|ALTER\s+TABLE\s+\S+\s+(CLUSTER\s+BY|RESUME\s+RECLUSTER)\b)",
    re.IGNORECASE,
)
# Nobody has been granted anything, so dbt grants anew.
SHOW_GRANTS = re.compile(r"\s*SHOW\s+GRANTS\b", re.IGNORECASE)
NO_GRANTS = "SELECT '' AS privilege, '' AS granted_to, '' AS grantee_name WHERE 1 = 0"
COMMENT = re.compile(r"/\*.*?\*/|^\s*--[^\n]*\n", re.DOTALL | re.MULTILINE)

# dbt's temporary relations have the schema of their model, which DuckDB's may not have.
TEMPORARY = re.compile(r"\bcreate or replace\s+temporary\s+(view|table)\b", re.IGNORECASE)

# What dbt/macros/engines/json.sql makes for Snowflake, as DuckDB says it.
JSON_OBJECT_SUM = re.compile(
    r"case\s+when try_parse_json\((?P<text>[\w.]+)\) is not null\s+then cast\(\s*reduce\(.*?"
    r"->.*?\)\s+as integer\s*\)\s+end",
    re.IGNORECASE | re.DOTALL,
)
MACROS = """
CREATE OR REPLACE TEMP MACRO parity_json_object_sum(t) AS
    CASE WHEN json_valid(t) THEN CAST(list_sum(list_transform(
        json_keys(t), lambda k: CAST(json_extract_string(t, '$."' || k || '"') AS INTEGER)
    )) AS INTEGER) END
"""

# A statement that lasts until it is aborted, or so many seconds.
SLEEP = re.compile(r"parity_sleep\((\d+)\)")

# INSERT … SELECT $1:column::TYPE, … FROM @stage/file (FILE_FORMAT => '…') WHERE $1:id::TYPE IN (…)
INSERT_STAGED = re.compile(
    r"INSERT INTO (?P<table>\S+) \((?P<names>[^)]*)\) SELECT .* FROM @(?P<stage>[\w.]+)/"
    r"(?P<file>\S+) \(FILE_FORMAT => '[^']*'\) "
    r"WHERE \$1:(?P<id>\w+)::NUMBER\(19,0\) IN (?P<ids>\(.*\))$",
    re.DOTALL,
)


class Statements:
    """Writes every statement to a file, one JSON object a line."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("a", encoding="utf-8")
        self._lock = threading.Lock()
        self.tags: dict[int, str] = {}
        self.aborted = threading.Event()

    def write(self, connection: FakeSnowflakeConnection, sql: str) -> None:
        record = {
            "session": id(connection),
            "query_tag": self.tags.get(id(connection), ""),
            "database": connection.database,
            "sql": sql,
        }
        self._append(record)

    def write_login(
        self, data: dict[str, Any], parameters: dict[str, Any], query: dict[str, str]
    ) -> None:
        """What a client logs in with, without its token."""
        self._append(
            {
                "login": data.get("LOGIN_NAME"),
                "authenticator": data.get("AUTHENTICATOR"),
                "role": query.get("roleName"),
                "warehouse": query.get("warehouse"),
                "parameters": parameters,
            }
        )

    def write_abort(self, sql: str) -> None:
        self._append({"abort": sql})
        self.aborted.set()

    def _append(self, record: dict[str, Any]) -> None:
        with self._lock:
            self._file.write(json.dumps(record) + "\n")
            self._file.flush()


class Bucket:
    """Fetches staged objects from an S3 endpoint to this machine, where DuckDB can read them.

    A file is fetched anew each time: what a stage holds may have been replaced.
    """

    def __init__(self, endpoint: str) -> None:
        # moto takes any credentials, but some.
        self._client = boto3.client(
            "s3",
            endpoint_url=endpoint,
            region_name="us-east-1",
            aws_access_key_id="testing",
            aws_secret_access_key="testing",
        )
        self._folder = Path(tempfile.mkdtemp(prefix="staged-"))

    def local_url(self, url: str) -> str | None:
        """A file: URL of the object's copy; None if there is no such object."""
        parts = urllib.parse.urlsplit(url)
        key = parts.path.lstrip("/")
        target = self._folder / parts.netloc / key
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._client.download_file(parts.netloc, key, str(target))
        except ClientError as error:
            if error.response["Error"]["Code"] == "404":
                return None
            raise
        return f"file://{target}"


def install(statements: Statements, bucket: Bucket) -> None:
    """Put all of this around fakesnow."""
    _log_and_rewrite(statements, bucket)
    _fetch_staged_files(bucket)
    _keep_null_timestamps()


def _keep_null_timestamps() -> None:
    """fakesnow 0.12.1 hands out a null timestamp as 1970-01-01: its structs are never null."""
    to_struct = fakesnow.arrow.timestamp_to_sf_struct

    def with_nulls(column: pa.Array | pa.ChunkedArray) -> pa.Array:
        struct = to_struct(pc.fill_null(column, pa.scalar(0, column.type)))
        fields = [struct.field(index) for index in range(struct.type.num_fields)]
        return pa.StructArray.from_arrays(
            fields, fields=list(struct.type), mask=pc.is_null(column).combine_chunks()
        )

    fakesnow.arrow.timestamp_to_sf_struct = with_nulls


def _log_and_rewrite(statements: Statements, bucket: Bucket) -> None:
    execute = FakeSnowflakeCursor.execute
    # One statement at a time: DuckDB refuses concurrent changes of its catalogue, which Snowflake
    # makes one after the other.
    running = threading.RLock()

    def logged(self: FakeSnowflakeCursor, command: str, *args: Any, **kwargs: Any) -> Any:
        statements.write(self._conn, command)
        if match := SLEEP.search(command):
            statements.aborted.clear()
            statements.aborted.wait(float(match[1]))
            command = ACCEPTED
        with running:
            try:
                return execute(self, _rewritten(self, command, bucket), *args, **kwargs)
            except snowflake.connector.errors.Error:
                raise
            except Exception as error:
                # As a failed statement: the answer 500 would be asked for again for ever.
                raise snowflake.connector.errors.ProgrammingError(
                    msg=f"The emulator cannot run this: {error}", errno=2000, sqlstate="42000"
                ) from error

    FakeSnowflakeCursor.execute = logged


def _rewritten(cursor: FakeSnowflakeCursor, command: str, bucket: Bucket) -> str:
    bare = COMMENT.sub("", command).strip().rstrip(";")
    if WITHOUT_EFFECT.match(bare):
        return ACCEPTED
    if SHOW_GRANTS.match(bare):
        return NO_GRANTS
    if match := INSERT_STAGED.search(bare):
        return _insert_staged(cursor, match, bucket)
    command = TEMPORARY.sub(r"create or replace \g<1>", command)
    return JSON_OBJECT_SUM.sub(r"parity_json_object_sum(\g<text>)", command)


def _insert_staged(cursor: FakeSnowflakeCursor, match: re.Match[str], bucket: Bucket) -> str:
    url = fakesnow.copy_into.stage_url_from_var(
        match["stage"], cursor._duck_conn, cursor._conn.database, None, None, None
    )
    local = bucket.local_url(f"{url.rstrip('/')}/{match['file']}")
    names = match["names"]
    path = (local or "").removeprefix("file://")
    return (
        f"INSERT INTO {match['table']} ({names}) SELECT {names} FROM read_parquet('{path}') "
        f"WHERE {match['id']} IN {match['ids']}"
    )


def _fetch_staged_files(bucket: Bucket) -> None:
    source_urls = fakesnow.copy_into._source_urls

    def fetched(source: str, files: list[str]) -> list[str]:
        urls = source_urls(source, files)
        local = [bucket.local_url(url) if url.startswith("s3://") else url for url in urls]
        missing = [url for url, found in zip(urls, local, strict=True) if found is None]
        if missing:
            raise snowflake.connector.errors.ProgrammingError(
                msg=f"Remote file '{missing[0]}' was not found.", errno=91016, sqlstate="22000"
            )
        return [found for found in local if found]

    fakesnow.copy_into._source_urls = fetched


def application(statements: Statements) -> Starlette:
    """fakesnow's application, in which a login is noted with its session's query tag."""
    current: ContextVar[str] = ContextVar("query_tag", default="")
    connect = fakesnow.server.shared_fs.connect

    def connected(*args: Any, **kwargs: Any) -> FakeSnowflakeConnection:
        connection = connect(*args, **kwargs)
        connection._duck_conn.execute(MACROS)
        statements.tags[id(connection)] = current.get()
        return connection

    async def login(request: Request) -> Any:
        data = json.loads(await _body(request))["data"]
        parameters = data["SESSION_PARAMETERS"]
        current.set(parameters.get("QUERY_TAG", ""))
        statements.write_login(data, parameters, dict(request.query_params))
        return await fakesnow.server.login_request(request)

    async def abort(request: Request) -> JSONResponse:
        statements.write_abort(json.loads(await _body(request))["sqlText"])
        return JSONResponse({"data": None, "success": True})

    fakesnow.server.shared_fs.connect = connected
    # The first route that matches is taken.
    noted = Route("/session/v1/login-request", login, methods=["POST"])
    aborted = Route("/queries/v1/abort-request", abort, methods=["POST"])
    return Starlette(routes=[noted, aborted, *fakesnow.server.routes])


async def _body(request: Request) -> bytes:
    body = await request.body()
    is_compressed = request.headers.get("Content-Encoding") == "gzip"
    return gzip.decompress(body) if is_compressed else body


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--statements", type=Path, required=True)
    parser.add_argument("--s3", required=True)
    arguments = parser.parse_args()
    statements = Statements(arguments.statements)
    install(statements, Bucket(arguments.s3))
    listener = socket.create_server(("127.0.0.1", 0))
    print(listener.getsockname()[1], flush=True)
    config = uvicorn.Config(application(statements), log_level="error")
    uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    sys.exit(main())
