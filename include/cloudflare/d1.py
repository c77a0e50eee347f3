"""One D1 database over the REST API."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx

from include.cloudflare.errors import CloudflareError, told_as

if TYPE_CHECKING:
    from cloudflare import Cloudflare

# https://developers.cloudflare.com/d1/platform/limits/
STATEMENT_BYTES = 100_000
ROW_BYTES = 2_000_000
PARAMETERS = 100
COLUMNS = 100

IMPORT_SECONDS = 1_800.0
POLL_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Statement:
    """One SQL statement. ``parameters`` are bound by position: text, numbers or None."""

    sql: str
    parameters: tuple[str | int | float | None, ...] = ()


@dataclass(frozen=True, slots=True)
class BatchResult:
    """What a batch did. ``rows`` are those of its last statement, as column to value.

    ``rows_written`` counts index entries too, as Cloudflare bills it; ``size_bytes`` is the
    database's afterwards.
    """

    rows: tuple[dict[str, Any], ...]
    rows_written: int
    size_bytes: int


class D1Database:
    """A database. Every method raises CloudflareError."""

    def __init__(self, client: Cloudflare, account_id: str, database_id: str) -> None:
        self._client = client
        self._account_id = account_id
        self._database_id = database_id

    def run(self, statements: Iterable[Statement]) -> BatchResult:
        """Run statements as one transaction: all of them or none."""
        batch: Any = [{"sql": s.sql, "params": list(s.parameters)} for s in statements]
        with told_as("query D1"):
            page = self._client.d1.database.query(
                self._database_id, account_id=self._account_id, batch=batch
            )
        results = page.result
        metas = [result.meta for result in results if result.meta is not None]
        return BatchResult(
            rows=tuple(results[-1].results or ()) if results else (),  # type: ignore[arg-type]
            rows_written=int(sum(meta.rows_written or 0 for meta in metas)),
            size_bytes=int(max((meta.size_after or 0 for meta in metas), default=0)),
        )

    def import_file(self, path: Path) -> int:
        """Run a file of SQL statements by D1's import; returns the rows written, index included.

        D1 answers nobody else meanwhile, so what is imported should be no larger than needed.
        """
        etag = _md5(path)
        with told_as("import into D1"):
            started = self._import(action="init", etag=etag)
            if started.upload_url:
                _upload(started.upload_url, path, etag)
                started = self._import(action="ingest", etag=etag, filename=started.filename)
            result = self._wait(started)
        meta = result.result.meta if result.result else None
        return int(meta.rows_written or 0) if meta else 0

    def size_bytes(self) -> int:
        with told_as("read the size of the D1 database"):
            database = self._client.d1.database.get(self._database_id, account_id=self._account_id)
        return int(database.file_size or 0)

    def _import(self, **arguments: Any) -> Any:
        return self._client.d1.database.import_(
            self._database_id, account_id=self._account_id, **arguments
        )

    def _wait(self, answer: Any) -> Any:
        deadline = time.monotonic() + IMPORT_SECONDS
        pause = POLL_SECONDS / 20
        while answer.status != "complete":
            if answer.success is False or answer.status == "error":
                raise CloudflareError(
                    f"D1 refused the import ({answer.error or 'no reason given'}); nothing of it "
                    "was kept: mend the cause and run the task again."
                )
            if time.monotonic() > deadline:
                raise CloudflareError(
                    f"D1 has not finished the import after {IMPORT_SECONDS:.0f} s; run it again."
                )
            time.sleep(pause)
            pause = min(POLL_SECONDS, pause * 2)
            answer = self._import(action="poll", current_bookmark=answer.at_bookmark)
        return answer


def rows_of(database: D1Database, sql: str, *parameters: str) -> Sequence[dict[str, Any]]:
    """The rows of one query."""
    return database.run([Statement(sql, parameters)]).rows


def _md5(path: Path) -> str:
    # D1 names an upload by its MD5; nothing is kept secret by it.
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def _upload(url: str, path: Path, etag: str) -> None:
    """Send a file to the signed address, which is its own credential: no token goes there."""
    try:
        with path.open("rb") as stream:
            headers = {"Content-Length": str(path.stat().st_size)}
            answer = httpx.put(url, content=stream, headers=headers, timeout=300.0)
    except httpx.TransportError as error:
        raise CloudflareError(
            f"The upload for D1 broke off ({type(error).__name__}); run the task again."
        ) from error
    if answer.status_code != httpx.codes.OK or answer.headers.get("etag", "").strip('"') != etag:
        raise CloudflareError(
            f"The upload for D1 did not arrive whole (status {answer.status_code}); "
            "run the task again."
        )
