"""What the parity tests run against: an emulated Snowflake and an emulated bucket, on loopback."""

from __future__ import annotations

import base64
import fcntl
import json
import os
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import snowflake.connector

from deploy.local.bootstrap import Environment, prepare
from tests.services.aws import Aws, running_aws

ROOT = Path(__file__).resolve().parents[2]
SERVER = Path(__file__).with_name("fakesnow_server.py")
BUCKET = "acme-vending-data-staging"
DATABASE = "VENDING_DATA_STG"

# Where the emulator's environment lies. A person who has one sets it; CI makes it from its lock.
ENVIRONMENT = Path(os.environ.get("PARITY_ENVIRONMENT", ROOT / ".venv-parity"))
_LOCKS = ROOT / "locks"
# Of the tests alone.
PEPPER, EXPORT_PEPPER = (base64.b64encode(bytes([byte]) * 32).decode() for byte in (0, 1))


def bootstrap(database: str, bucket: str) -> tuple[str, ...]:
    """Makes the objects of deploy/snowflake that a load needs and never makes itself."""
    return (
        f"CREATE DATABASE IF NOT EXISTS {database}",
        f"CREATE SCHEMA IF NOT EXISTS {database}.staging",
        f"CREATE SCHEMA IF NOT EXISTS {database}.ops",
        f"CREATE STAGE IF NOT EXISTS {database}.ops.processed_data "
        f"URL = 's3://{bucket}/processed-data/'",
        f"CREATE STAGE IF NOT EXISTS {database}.ops.quarantine_data "
        f"URL = 's3://{bucket}/quarantine/'",
        f"CREATE FILE FORMAT IF NOT EXISTS {database}.ops.parquet_rows TYPE = PARQUET",
    )


@dataclass(frozen=True)
class Snowflake:
    """The emulator: where it listens and what it was sent."""

    port: int
    log: Path

    @property
    def connection(self) -> dict[str, Any]:
        """The Airflow connection of this server, as its JSON form, with a password."""
        return {
            "conn_type": "snowflake",
            "login": "LOADER_SERVICE",
            "password": "placeholder",
            "extra": {
                "account": "fakesnow",
                "role": "LOADER",
                "host": "127.0.0.1",
                "port": self.port,
                "protocol": "http",
            },
        }

    def connect(self) -> snowflake.connector.SnowflakeConnection:
        """A session of the test's own."""
        return snowflake.connector.connect(
            account="fakesnow",
            user="TESTER",
            password="placeholder",
            host="127.0.0.1",
            port=self.port,
            protocol="http",
            database=DATABASE,
            network_timeout=60,
        )

    def execute(self, *statements: str) -> None:
        with self.connect() as connection, connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)

    def fetch(self, statement: str) -> list[tuple[Any, ...]]:
        with self.connect() as connection, connection.cursor() as cursor:
            return cursor.execute(statement).fetchall()

    def records(self) -> list[dict[str, Any]]:
        """Everything that was sent so far: logins and statements."""
        return [json.loads(line) for line in self.log.read_text("utf-8").splitlines()]

    def statements(self) -> list[str]:
        return [record["sql"] for record in self.records() if "sql" in record]


@dataclass(frozen=True)
class Cloud:
    """Bucket and warehouse of one staging environment."""

    aws: Aws
    snowflake: Snowflake

    @property
    def variables(self) -> Mapping[str, str]:
        """The process environment of staging, its Airflow connections included."""
        return {
            "VENDING_ENV": "staging",
            "VENDING_COMPANY": "acme",
            "AIRFLOW_CONN_LAKE": json.dumps(self.aws.connection),
            "AIRFLOW_CONN_PRIVACY": json.dumps({"conn_type": "generic", "password": PEPPER}),
            # A key of Fernet is 32 bytes in base64 as well.
            "AIRFLOW_CONN_PRIVACY_VAULT": json.dumps({"conn_type": "generic", "password": PEPPER}),
            "AIRFLOW_CONN_SNOWFLAKE": json.dumps(self.snowflake.connection),
        }

    @property
    def variables_of_prod(self) -> Mapping[str, str]:
        """The same of prod, which has its own bucket and database."""
        exports = {"conn_type": "generic", "password": EXPORT_PEPPER}
        return {
            **self.variables,
            "VENDING_ENV": "prod",
            "VENDING_KMS_KEY_ID": "alias/lake",
            "AIRFLOW_CONN_STAGING_LAKE": self.variables["AIRFLOW_CONN_LAKE"],
            "AIRFLOW_CONN_SNOWFLAKE_TRANSFORM": self.variables["AIRFLOW_CONN_SNOWFLAKE"],
            "AIRFLOW_CONN_PRIVACY_EXPORT": json.dumps(exports),
        }


@contextmanager
def running_cloud(folder: Path) -> Iterator[Cloud]:
    """Both services, with an empty bucket and the bootstrap's objects; logs go to ``folder``."""
    with running_aws() as aws:
        aws.make_bucket(BUCKET)
        with running_snowflake(folder, aws) as server:
            server.execute(*bootstrap(DATABASE, BUCKET))
            yield Cloud(aws, server)


@contextmanager
def running_snowflake(folder: Path, aws: Aws) -> Iterator[Snowflake]:
    log = folder / "statements.jsonl"
    command = [_python(), SERVER, "--statements", log, "--s3", aws.endpoint]
    with (folder / "server.log").open("wb") as errors:
        server = subprocess.Popen(
            [str(part) for part in command], stdout=subprocess.PIPE, stderr=errors, text=True
        )
        try:
            port = server.stdout.readline().strip() if server.stdout else ""
            if not port:
                raise RuntimeError((folder / "server.log").read_text("utf-8"))
            yield Snowflake(int(port), log)
        finally:
            server.terminate()
            server.wait(timeout=20)


def _python() -> Path:
    """The interpreter of the emulator's environment, made from its lock when it is missing."""
    if "PARITY_ENVIRONMENT" not in os.environ:
        # Tests run two at a time, and one of them makes it.
        with ENVIRONMENT.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            prepare(Environment(ENVIRONMENT, _LOCKS / "uv.txt", _LOCKS / "parity.txt"))
    return ENVIRONMENT / "bin" / "python"
