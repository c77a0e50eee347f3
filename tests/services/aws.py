"""moto as a server on loopback: S3 and Secrets Manager for tests, reached as the real ones are."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import boto3
import requests
from moto.server import ThreadedMotoServer

REGION = "ap-northeast-1"
# moto takes any credentials.
ACCESS_KEY = "testing"
SECRET_KEY = "testing"


@dataclass(frozen=True)
class Aws:
    """A running moto server."""

    endpoint: str

    def client(self, service: str) -> Any:
        return boto3.client(
            service,
            endpoint_url=self.endpoint,
            region_name=REGION,
            aws_access_key_id=ACCESS_KEY,
            aws_secret_access_key=SECRET_KEY,
        )

    def make_bucket(self, name: str) -> None:
        self.client("s3").create_bucket(
            Bucket=name, CreateBucketConfiguration={"LocationConstraint": REGION}
        )

    @property
    def connection(self) -> dict[str, Any]:
        """The Airflow connection of this server, as its JSON form."""
        return {
            "conn_type": "aws",
            "login": ACCESS_KEY,
            "password": SECRET_KEY,
            "extra": {"region_name": REGION, "endpoint_url": self.endpoint},
        }


@contextmanager
def running_aws() -> Iterator[Aws]:
    """moto on a free port of its own, until the block ends. One at a time in a process."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    try:
        # What an earlier server of this process was told lives on in moto's modules.
        requests.post(f"http://{host}:{port}/moto-api/reset", timeout=10).raise_for_status()
        yield Aws(f"http://{host}:{port}")
    finally:
        server.stop()
