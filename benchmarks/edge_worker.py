"""The edge Worker against a Worker that does nothing, side by side in one workerd.

    python -m benchmarks.edge_worker [--rounds 5] [--seconds 2]

Asked over and over for one machine, which the Worker answers from memory, with a token, as any
client would: kept connections, each with one request under way. The empty Worker is asked in turn.
Exits 1 below 90 % of the empty Worker's requests a second.
"""

from __future__ import annotations

import argparse
import selectors
import socket
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import psutil

from benchmarks.results import Result, alone, compared, show
from deploy.cloudflare.local_cloudflare import LocalCloudflare, running_cloudflare
from include.cloudflare.client import open_cloudflare
from include.cloudflare.d1 import D1Database, Statement
from include.publish.d1_sql import CREATE_PUBLICATIONS, PUBLICATIONS

LEAST_RATIO = 0.9
CONNECTIONS = 16
PATH = "/v1/machines/VM0001"

_MACHINE = (
    "source machine_id machine_name prefecture site_name site_type latitude longitude "
    "machine_model slot_count slot_capacity status installed_on is_inferred is_current"
)
_HEALTH = (
    "source machine_id business_date last_reading_at temperature_avg_c error_readings "
    "last_error_code health_status health_reason"
)
_GIVEN = {"machine_id": "VM0001", "is_current": 1, "business_date": "2026-11-20"}


@dataclass(frozen=True, slots=True)
class Asked:
    """Answers of one Worker in some seconds, and the processor time of workerd for them."""

    answers: int
    seconds: float
    cpu_seconds: float


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="The edge Worker against an empty one.")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2.0)
    options = parser.parse_args(arguments)
    return show(measure(options.rounds, options.seconds))


def measure(rounds: int = 5, seconds: float = 2.0) -> list[Result]:
    with (
        tempfile.TemporaryDirectory(prefix="benchmark-edge-worker-") as folder,
        running_cloudflare(Path(folder)) as cloudflare,
    ):
        _publish(cloudflare)
        workerd = _workerd(cloudflare)
        edges, empties = [], []
        for number in range(rounds + 1):
            empty = _ask(cloudflare.empty, cloudflare.edge_token, seconds, workerd)
            edge = _ask(cloudflare.edge, cloudflare.edge_token, seconds, workerd)
            if number > 0:  # The first warms up.
                empties.append(empty)
                edges.append(edge)
    return [
        compared(
            "worker_cached_read",
            "requests/s",
            [each.answers / each.seconds for each in edges],
            "empty Worker",
            [each.answers / each.seconds for each in empties],
            LEAST_RATIO,
        ),
        compared(
            "worker_cached_read_by_cpu",
            "requests/s",
            [each.answers / each.cpu_seconds for each in edges],
            "empty Worker",
            [each.answers / each.cpu_seconds for each in empties],
            None,
        ),
        # Well below 1 the client would be the limit, and the first ratio would say nothing.
        alone("worker_cores", "cores", [each.cpu_seconds / each.seconds for each in edges], None),
    ]


def _publish(cloudflare: LocalCloudflare) -> None:
    """A machine and its last day, as the publisher would have written them."""
    with open_cloudflare(cloudflare.access) as client:
        database = D1Database(client, "local", "marts")
        database.run([Statement(CREATE_PUBLICATIONS)])
        for mart, columns in (("dim_machines", _MACHINE), ("fct_machine_health", _HEALTH)):
            names = columns.split()
            values = tuple(_GIVEN.get(name, "example") for name in names)
            marks = ", ".join("?" * len(names))
            database.run(
                [
                    Statement(f"CREATE TABLE {mart} ({', '.join(names)})"),
                    Statement(f"INSERT INTO {mart} VALUES ({marks})", values),
                    Statement(
                        f"INSERT INTO {PUBLICATIONS} VALUES (?, 'v1', 'l1', 1, '2026-11-20')",
                        (mart,),
                    ),
                ]
            )


def _workerd(cloudflare: LocalCloudflare) -> psutil.Process:
    children = psutil.Process(cloudflare.pid).children(recursive=True)
    return next(child for child in children if "workerd" in child.name())


def _ask(address: str, token: str, seconds: float, workerd: psutil.Process) -> Asked:
    """Ask one Worker for some seconds over kept connections."""
    host = urlsplit(address).netloc
    request = (
        f"GET {PATH} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\n\r\n"
    ).encode()
    size = _size(host, request)
    answered = 0
    with ExitStack() as stack:
        selector = stack.enter_context(selectors.DefaultSelector())
        missing: dict[int, int] = {}
        for _ in range(CONNECTIONS):
            connection = stack.enter_context(_connect(host))
            selector.register(connection, selectors.EVENT_READ)
            missing[connection.fileno()] = size
            connection.sendall(request)
        started, spent = time.perf_counter(), sum(workerd.cpu_times()[:2])
        while (now := time.perf_counter()) < started + seconds:
            for key, _ in selector.select():
                connection = key.fileobj
                assert isinstance(connection, socket.socket)
                missing[key.fd] -= len(connection.recv(65_536))
                if missing[key.fd] == 0:
                    answered += 1
                    missing[key.fd] = size
                    connection.sendall(request)
        return Asked(answered, now - started, sum(workerd.cpu_times()[:2]) - spent)


def _size(host: str, request: bytes) -> int:
    """Bytes of an answer, which is the same each time. Raises SystemExit unless it is a 200."""
    with _connect(host) as connection:
        connection.sendall(request)
        answer = connection.recv(65_536)
        while b"\r\n\r\n" not in answer:
            answer += connection.recv(65_536)
        head = answer.partition(b"\r\n\r\n")[0]
        if b" 200 " not in head.splitlines()[0]:
            raise SystemExit(f"The Worker answered {head.splitlines()[0].decode()} to {PATH}.")
        headers = dict(line.lower().split(b": ", 1) for line in head.splitlines()[1:])
        return len(head) + 4 + int(headers[b"content-length"])


def _connect(host: str) -> socket.socket:
    name, _, port = host.partition(":")
    return socket.create_connection((name, int(port)), timeout=30)


if __name__ == "__main__":
    sys.exit(main())
