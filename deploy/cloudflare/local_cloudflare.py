"""Cloudflare on this machine: workerd with the REST API of `local/api.mjs` and the edge Worker.

    with running_cloudflare(folder) as cloudflare:
        cloudflare.access    what the publisher needs
        cloudflare.edge      where the edge Worker answers

Needs Node 22, which `npm install` in this folder installs beside workerd.
"""

from __future__ import annotations

import json
import os
import select
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from secrets import token_urlsafe
from typing import IO

from include.cloudflare.access import CloudflareAccess

HERE = Path(__file__).resolve().parent
NODE = HERE / "node_modules" / "node" / "bin" / "node"

START_SECONDS = 90.0
STOP_SECONDS = 20.0
# Nobody counts requests here.
NO_LIMIT = 100_000_000


class LocalCloudflareError(RuntimeError):
    """The local Cloudflare cannot run; the message says what to do."""


@dataclass(frozen=True)
class LocalCloudflare:
    """Addresses of a running one, all on loopback. ``empty`` is a Worker that does nothing."""

    api: str
    edge: str
    empty: str
    s3: str
    token: str
    edge_token: str
    s3_secret: str
    pid: int

    @property
    def access(self) -> CloudflareAccess:
        return CloudflareAccess(
            account_id="local",
            token=self.token,
            base_url=self.api,
            d1_database_id="marts",
            kv_namespace_id="marts",
            requests_per_window=NO_LIMIT,
        )


def is_installed() -> bool:
    """Whether `npm install` has been run."""
    return NODE.is_file() and (HERE / "node_modules" / "miniflare").is_dir()


@contextmanager
def running_cloudflare(folder: Path) -> Iterator[LocalCloudflare]:
    """Run it with its data below ``folder`` until the block ends. Raises LocalCloudflareError."""
    process, cloudflare = _start(folder, stays=False)
    try:
        yield cloudflare
    finally:
        _stop(process)


def start_staying(folder: Path) -> LocalCloudflare:
    """Start one that outlives this process. Raises LocalCloudflareError.

    It leads a session of its own and ends on SIGTERM to its pid.
    """
    _, cloudflare = _start(folder, stays=True)
    return cloudflare


def _start(folder: Path, *, stays: bool) -> tuple[subprocess.Popen[str], LocalCloudflare]:
    if not is_installed():
        raise LocalCloudflareError(
            "There is no local Cloudflare; run npm install --prefix deploy/cloudflare --no-save."
        )
    folder.mkdir(parents=True, exist_ok=True)
    token, edge_token, s3_secret = (token_urlsafe(16) for _ in range(3))
    given = {"API_TOKEN": token, "EDGE_TOKEN": edge_token, "S3_SECRET": s3_secret}
    log = folder / "cloudflare.log"
    with log.open("w") as errors:
        process = subprocess.Popen(
            [
                *(str(NODE), str(HERE / "local" / "server.mjs"), str(folder)),
                *(["--stays"] if stays else []),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            cwd=HERE,
            env={**os.environ, **{f"LOCAL_{name}": value for name, value in given.items()}},
            start_new_session=stays,
        )
    try:
        addresses = json.loads(_first_line(process, log))
    except BaseException:
        process.kill()
        process.wait()
        raise
    secrets = {"token": token, "edge_token": edge_token, "s3_secret": s3_secret}
    return process, LocalCloudflare(**addresses, **secrets, pid=process.pid)


def _first_line(process: subprocess.Popen[str], log: Path) -> str:
    assert process.stdout is not None
    output: IO[str] = process.stdout
    ready, _, _ = select.select([output], [], [], START_SECONDS)
    line = output.readline() if ready else ""
    if not line:
        raise LocalCloudflareError(f"The local Cloudflare did not start; {log} says why.")
    return line


def _stop(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    # The server ends with its input, so that none is left when this process is killed.
    process.stdin.close()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    if process.stdout is not None:
        process.stdout.close()
