"""An Iceberg REST catalog on this machine: pyiceberg's SQL catalog behind the routes of the spec.

    with running_catalog(folder) as catalog:
        catalog.access    what the publisher needs

The catalog, its commits and its conflicts are pyiceberg's; simulated are the routes (those that
publishing and DuckDB use), the token, and the keys of the store, which every table comes with as R2
vends them. Tables lie in a folder, or in a bucket that ``store`` describes.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from secrets import token_urlsafe
from typing import Any

from pyiceberg.catalog.rest import CreateTableRequest, TableResponse
from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.exceptions import (
    CommitFailedException,
    NamespaceAlreadyExistsError,
    NoSuchNamespaceError,
    NoSuchTableError,
    TableAlreadyExistsError,
)
from pyiceberg.table import CommitTableRequest, Table
from pyiceberg.typedef import EMPTY_DICT

from include.cloudflare.access import IcebergAccess
from include.cloudflare.iceberg import send_checksums_as_r2_takes_them

WAREHOUSE = "marts"
_STATUS: Mapping[type[Exception], int] = {
    NoSuchTableError: 404,
    NoSuchNamespaceError: 404,
    CommitFailedException: 409,
    NamespaceAlreadyExistsError: 409,
    TableAlreadyExistsError: 409,
}


@dataclass
class LocalCatalog:
    """A running one. ``faults`` are statuses that the next commits are answered with instead.

    ``lost`` answers are those of commits that happen and are not told.
    """

    access: IcebergAccess
    catalog: SqlCatalog
    faults: list[int] = field(default_factory=list)
    lost: list[int] = field(default_factory=list)


@contextmanager
def running_catalog(
    folder: Path, *, location: str | None = None, store: Mapping[str, str] = EMPTY_DICT
) -> Iterator[LocalCatalog]:
    """Run one on a free port until the block ends.

    ``location`` is where tables lie, a folder below ``folder`` unless given; ``store`` are
    pyiceberg's properties of the store, such as ``s3.endpoint``.
    """
    folder.mkdir(parents=True, exist_ok=True)
    send_checksums_as_r2_takes_them()
    lies = location or f"file://{folder / 'tables'}"
    catalog = SqlCatalog(
        WAREHOUSE, uri=f"sqlite:///{folder / 'catalog.sqlite'}", warehouse=lies, **store
    )
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    access = IcebergAccess(
        uri=f"http://127.0.0.1:{server.server_port}",
        warehouse=WAREHOUSE,
        location=lies,
        token=token_urlsafe(16),
    )
    running = LocalCatalog(access, catalog)
    server.routes = _Routes(running, dict(store))  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield running
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
        catalog.engine.dispose()


class _Routes:
    """What the catalog answers, by method and path."""

    def __init__(self, running: LocalCatalog, store: dict[str, str]) -> None:
        self._running, self._store = running, store
        self._catalog = running.catalog
        # The SQL catalog is written for one process; SQLite would answer that it is locked.
        self._lock = threading.Lock()
        namespace = r"/v1/namespaces/(?P<namespace>\w+)"
        table = rf"{namespace}/tables/(?P<table>\w+)"
        self._routes: list[tuple[str, str, Callable[..., tuple[int, Any]]]] = [
            ("GET", r"/v1/config", self._config),
            ("GET", r"/v1/namespaces", self._namespaces),
            ("POST", r"/v1/namespaces", self._create_namespace),
            ("GET", namespace, self._namespace),
            ("GET", rf"{namespace}/tables", self._tables),
            ("POST", rf"{namespace}/tables", self._create_table),
            ("GET", table, self._load_table),
            ("HEAD", table, self._load_table),
            ("POST", table, self._commit),
        ]

    def answer(self, method: str, path: str, token: str, body: bytes) -> tuple[int, Any]:
        if token != f"Bearer {self._running.access.token}":
            return 401, _problem(401, "The token is not valid.")
        for verb, pattern, route in self._routes:
            found = re.fullmatch(pattern, path.split("?")[0])
            if verb == method and found:
                with self._lock:
                    try:
                        return route(body, **found.groupdict())
                    except tuple(_STATUS) as error:
                        return _STATUS[type(error)], _problem(_STATUS[type(error)], str(error))
        return 404, _problem(404, f"There is no route {method} {path}.")

    def _config(self, _body: bytes) -> tuple[int, Any]:
        return 200, {"defaults": {}, "overrides": {}}

    def _namespaces(self, _body: bytes) -> tuple[int, Any]:
        return 200, {"namespaces": self._catalog.list_namespaces()}

    def _create_namespace(self, body: bytes) -> tuple[int, Any]:
        asked = json.loads(body)
        self._catalog.create_namespace(tuple(asked["namespace"]))
        return 200, {"namespace": asked["namespace"], "properties": {}}

    def _namespace(self, _body: bytes, namespace: str) -> tuple[int, Any]:
        properties = self._catalog.load_namespace_properties(namespace)
        return 200, {"namespace": [namespace], "properties": properties}

    def _tables(self, _body: bytes, namespace: str) -> tuple[int, Any]:
        tables = self._catalog.list_tables(namespace)
        return 200, {"identifiers": [{"namespace": [t[0]], "name": t[1]} for t in tables]}

    def _create_table(self, body: bytes, namespace: str) -> tuple[int, Any]:
        asked = CreateTableRequest.model_validate_json(body)
        made = self._catalog.create_table(
            (namespace, asked.name),
            schema=asked.table_schema,
            location=asked.location,
            properties=asked.properties,
        )
        return 200, self._described(made)

    def _load_table(self, _body: bytes, namespace: str, table: str) -> tuple[int, Any]:
        return 200, self._described(self._catalog.load_table((namespace, table)))

    def _commit(self, body: bytes, namespace: str, table: str) -> tuple[int, Any]:
        if self._running.faults:
            status = self._running.faults.pop(0)
            return status, _problem(status, "A fault of the test.")
        asked = CommitTableRequest.model_validate_json(body)
        current = self._catalog.load_table((namespace, table))
        response = self._catalog.commit_table(current, asked.requirements, asked.updates)
        if self._running.lost:
            status = self._running.lost.pop(0)
            return status, _problem(status, "An answer that was lost.")
        return 200, json.loads(response.model_dump_json(by_alias=True))

    def _described(self, table: Table) -> Any:
        response = TableResponse(
            metadata_location=table.metadata_location, metadata=table.metadata, config=self._store
        )
        return json.loads(response.model_dump_json(by_alias=True))


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def _answer(self) -> None:
        length = int(self.headers.get("content-length") or 0)
        body = self.rfile.read(length)
        routes: _Routes = self.server.routes  # type: ignore[attr-defined]
        token = self.headers.get("authorization", "")
        status, content = routes.answer(self.command, self.path, token, body)
        encoded = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(encoded)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(encoded)

    do_GET = do_POST = do_HEAD = _answer  # noqa: N815 (http.server's names)

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing is logged."""


def _problem(status: int, message: str) -> dict[str, Any]:
    return {"error": {"message": message, "type": "LocalCatalog", "code": status}}
