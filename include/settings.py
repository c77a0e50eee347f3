"""The one module that knows the environment.

``load_settings()`` reads ``VENDING_ENV`` and the documented variables once, checks them and
returns a frozen object. Nothing else under ``dags/``, ``include/`` or ``plugins/`` reads
``os.environ``. Building settings touches neither the network nor Airflow's metadata, so a DAG file
may do it while it is parsed.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterable, Mapping
from enum import StrEnum
from functools import lru_cache
from pathlib import Path
from typing import Literal, NamedTuple, TypeVar

# On MWAA include/ and dbt/ travel under dags/, so everything is found relative to this file.
CODE_ROOT = Path(__file__).resolve().parents[1]

BUSINESS_TIME_ZONE = "Asia/Tokyo"

# As `npm install` in deploy/cloudflare leaves it.
_MODULES = CODE_ROOT / "deploy" / "cloudflare" / "node_modules"
WRANGLER = (
    str(_MODULES / "node" / "bin" / "node"),
    str(_MODULES / "wrangler" / "bin" / "wrangler.js"),
)

_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")

C = TypeVar("C", bound=StrEnum)


class SettingsError(ValueError):
    """A setting is missing or wrong; the message names the variable and the remedy."""


class Environment(StrEnum):
    DEV = "dev"
    STAGING = "staging"
    PROD = "prod"


class ObjectStore(StrEnum):
    """What speaks the protocol of S3; they differ in what they refuse."""

    S3 = "s3"
    R2 = "r2"


# Named tuples, whose values are checked where they are read from their variables: every DAG file
# reads the settings, and to make models of pydantic or dataclasses took a tenth of each parse.


class DiskLakeSettings(NamedTuple):
    """The lake of a laptop: folders below one root."""

    root: Path


class ObjectLakeSettings(NamedTuple):
    """The lake in S3 or an S3-compatible store, reached through an Airflow connection.

    ``restricted_connection_id`` is for what vendors sent, below raw-data/; None: the same.
    ``encryption`` and the key are S3's; R2 encrypts by itself.
    """

    bucket: str
    connection_id: str
    encryption: Literal["AES256", "aws:kms"]
    store: ObjectStore = ObjectStore.S3
    restricted_connection_id: str | None = None
    kms_key_id: str | None = None


LakeSettings = DiskLakeSettings | ObjectLakeSettings


class DuckDBSettings(NamedTuple):
    """The warehouse as a file, and the copy of it that readers open."""

    path: Path
    snapshot_path: Path


class SnowflakeSettings(NamedTuple):
    """The warehouse in Snowflake, reached through an Airflow connection with a key pair.

    Loads and dbt log in as users of their own. ``environment`` is told in the query tag.
    Statements that take longer than ``statement_seconds`` are cancelled by Snowflake itself.
    """

    environment: Environment
    connection_id: str
    transform_connection_id: str
    database: str
    warehouse: str
    load_schema: str
    statement_seconds: int


WarehouseSettings = DuckDBSettings | SnowflakeSettings


class PepperFile(NamedTuple):
    """The pepper of masked values on a laptop: a file that the set-up generates."""

    path: Path


class PepperConnection(NamedTuple):
    """The pepper of masked values in an Airflow connection."""

    connection_id: str


PepperSettings = PepperFile | PepperConnection


class ConformLimits(NamedTuple):
    """What one conform task may use.

    ``memory_mb`` bounds DuckDB, not the interpreter around it (about 150 MB with Airflow loaded).
    """

    memory_mb: int
    threads: int
    batch_bytes: int
    batch_files: int


class Settings(NamedTuple):
    """All that differs between dev, staging and prod.

    Schedules are cron expressions in UTC; None means that a run is started by hand or by an asset.
    """

    environment: Environment
    lake: LakeSettings
    warehouse: WarehouseSettings
    pepper: PepperSettings
    # What opens the vault of tokens.
    vault: PepperSettings
    conform: ConformLimits
    dbt_threads: int
    retries: int
    retry_delay_seconds: int
    ingest_schedule: str | None
    transform_schedule: str | None
    slack_connection_id: str
    sns_topic_arn: str | None = None
    # Only in prod: where staging leaves the mark that its tests have passed, and where the
    # anonymised export goes, masked with a pepper of its own.
    staging_lake: LakeSettings | None = None
    export_pepper: PepperSettings | None = None
    export_schedule: str | None = None
    # When the compliance report of the month before is written.
    compliance_schedule: str | None = None
    # None: nothing is published.
    cloudflare_connection_id: str | None = None
    # None: the lake is not copied.
    lake_copy: ObjectLakeSettings | None = None
    # What deploys to Cloudflare Pages; it needs Node.
    wrangler_command: tuple[str, ...] = WRANGLER

    @property
    def dbt_target(self) -> str:
        """The name of the dbt target, which is the environment's."""
        return self.environment.value

    @property
    def dbt_project_path(self) -> Path:
        return CODE_ROOT / "dbt"

    @property
    def dbt_manifest_path(self) -> Path:
        """Where the manifest built for this target lies: outside dbt's own target folder."""
        return self.dbt_project_path / "manifests" / f"{self.dbt_target}.json"


def load_settings(variables: Mapping[str, str] | None = None) -> Settings:
    """Read and check the settings; ``variables`` defaults to the process environment.

    Raises SettingsError with a line that names the variable.
    """
    source = os.environ if variables is None else variables
    name = source.get("VENDING_ENV", Environment.DEV.value)
    try:
        environment = Environment(name)
    except ValueError:
        raise SettingsError(
            f"VENDING_ENV is {name!r}; set it to one of {', '.join(Environment)}."
        ) from None
    return _BUILDERS[environment](_Variables(source, environment))


def set_variables(variables: Iterable[tuple[str, str]]) -> None:
    """Give variables to a library that can be configured in no other way."""
    os.environ.update(variables)


@lru_cache(maxsize=1)
def current_settings() -> Settings:
    """The settings of this process, read once."""
    return load_settings()


class _Variables:
    """Typed look-ups with an error that names the variable."""

    def __init__(self, source: Mapping[str, str], environment: Environment) -> None:
        self._source = source
        self._environment = environment

    def text(self, name: str, default: str | None = None) -> str:
        value = self._source.get(name) or default
        if value is None:
            raise SettingsError(f"{name} is not set; {self._environment} needs it.")
        return value

    def optional(self, name: str) -> str | None:
        return self._source.get(name) or None

    def command(self, name: str, default: tuple[str, ...]) -> tuple[str, ...]:
        value = self._source.get(name)
        return tuple(shlex.split(value)) if value else default

    def choice(self, name: str, choices: type[C], default: C) -> C:
        value = self._source.get(name) or default.value
        try:
            return choices(value)
        except ValueError:
            raise SettingsError(
                f"{name} is {value!r}; set it to one of {', '.join(choices)}."
            ) from None

    def bucket(self, name: str, default: str | None = None) -> str:
        value = self.text(name, default)
        if not _BUCKET.fullmatch(value):
            raise SettingsError(
                f"{value!r} cannot be a bucket's name; set {name} to 3 to 63 lower-case letters, "
                "digits, dots and dashes that begin and end with a letter or a digit."
            )
        return value

    def number(self, name: str, default: int, *, least: int = 1) -> int:
        value = self._source.get(name) or str(default)
        try:
            number = int(value)
        except ValueError:
            raise SettingsError(f"{name} is {value!r}; set it to a whole number.") from None
        if number < least:
            raise SettingsError(f"{name} is {number}; set it to {least} or more.")
        return number


def _limits(variables: _Variables, *, memory_mb: int, threads: int) -> ConformLimits:
    return ConformLimits(
        memory_mb=variables.number("VENDING_CONFORM_MEMORY_MB", memory_mb, least=64),
        threads=variables.number("VENDING_CONFORM_THREADS", threads),
        batch_bytes=variables.number("VENDING_BATCH_BYTES", 256_000_000, least=1_000_000),
        batch_files=variables.number("VENDING_BATCH_FILES", 2_500),
    )


def _lake_copy(variables: _Variables) -> ObjectLakeSettings | None:
    connection_id = variables.optional("VENDING_LAKE_COPY_CONNECTION")
    if connection_id is None:
        return None
    return ObjectLakeSettings(
        store=variables.choice("VENDING_LAKE_COPY_STORE", ObjectStore, ObjectStore.R2),
        bucket=variables.bucket("VENDING_LAKE_COPY_BUCKET"),
        connection_id=connection_id,
        encryption="AES256",
    )


def _bucket(
    variables: _Variables, default: str | None, encryption: Literal["AES256", "aws:kms"]
) -> ObjectLakeSettings:
    kms_key_id = variables.optional("VENDING_KMS_KEY_ID")
    if encryption == "aws:kms" and kms_key_id is None:
        raise SettingsError(
            "The lake has no key: set VENDING_KMS_KEY_ID to the key that encrypts the lake."
        )
    return ObjectLakeSettings(
        store=variables.choice("VENDING_LAKE_STORE", ObjectStore, ObjectStore.S3),
        bucket=variables.bucket("VENDING_LAKE_BUCKET", default),
        connection_id=variables.text("VENDING_LAKE_CONNECTION", "lake"),
        restricted_connection_id=variables.optional("VENDING_RESTRICTED_LAKE_CONNECTION"),
        encryption=encryption,
        kms_key_id=kms_key_id,
    )


def _dev(variables: _Variables) -> Settings:
    root = Path(variables.text("VENDING_DATA_DIR", str(CODE_ROOT / "data"))).expanduser().resolve()
    has_bucket = variables.optional("VENDING_LAKE_BUCKET") is not None
    return Settings(
        environment=Environment.DEV,
        lake=_bucket(variables, None, "AES256") if has_bucket else DiskLakeSettings(root=root),
        warehouse=DuckDBSettings(
            path=root / "dbt_dev.duckdb", snapshot_path=root / "snapshot" / "vending.duckdb"
        ),
        pepper=_dev_pepper(variables, root),
        vault=PepperFile(path=root / "privacy" / "vault-key"),
        conform=_limits(variables, memory_mb=256, threads=2),
        dbt_threads=variables.number("VENDING_DBT_THREADS", 2),
        retries=2,
        retry_delay_seconds=variables.number("VENDING_RETRY_DELAY_SECONDS", 5, least=0),
        ingest_schedule=None,
        transform_schedule=None,
        slack_connection_id="slack",
        cloudflare_connection_id=variables.optional("VENDING_CLOUDFLARE_CONNECTION"),
        lake_copy=_lake_copy(variables),
        wrangler_command=variables.command("VENDING_WRANGLER", WRANGLER),
    )


def _dev_pepper(variables: _Variables, root: Path) -> PepperFile | PepperConnection:
    if connection_id := variables.optional("VENDING_PRIVACY_CONNECTION"):
        return PepperConnection(connection_id=connection_id)
    return PepperFile(path=root / "privacy" / "pepper")


def _cloud(
    variables: _Variables,
    *,
    environment: Environment,
    encryption: Literal["AES256", "aws:kms"],
    suffix: str,
    threads: int,
    ingest_schedule: str,
    transform_schedule: str,
) -> Settings:
    company = variables.text("VENDING_COMPANY")
    return Settings(
        environment=environment,
        lake=_bucket(variables, f"{company}-vending-data-{environment.value}", encryption),
        warehouse=SnowflakeSettings(
            environment=environment,
            connection_id=variables.text("VENDING_SNOWFLAKE_CONNECTION", "snowflake"),
            transform_connection_id=variables.text(
                "VENDING_SNOWFLAKE_TRANSFORM_CONNECTION", "snowflake_transform"
            ),
            database=variables.text("VENDING_SNOWFLAKE_DATABASE", f"VENDING_DATA_{suffix}"),
            warehouse=variables.text("VENDING_SNOWFLAKE_WAREHOUSE", f"COMPUTE_WH_{suffix}"),
            load_schema=variables.text("VENDING_SNOWFLAKE_LOAD_SCHEMA", "STAGING"),
            statement_seconds=variables.number("VENDING_SNOWFLAKE_STATEMENT_SECONDS", 1800),
        ),
        pepper=PepperConnection(
            connection_id=variables.text("VENDING_PRIVACY_CONNECTION", "privacy")
        ),
        vault=PepperConnection(
            connection_id=variables.text("VENDING_VAULT_CONNECTION", "privacy_vault")
        ),
        conform=_limits(variables, memory_mb=256, threads=1),
        dbt_threads=variables.number("VENDING_DBT_THREADS", threads),
        retries=3,
        retry_delay_seconds=variables.number("VENDING_RETRY_DELAY_SECONDS", 300, least=0),
        ingest_schedule=ingest_schedule,
        transform_schedule=transform_schedule,
        slack_connection_id="slack",
        cloudflare_connection_id=variables.optional("VENDING_CLOUDFLARE_CONNECTION"),
        lake_copy=_lake_copy(variables),
        wrangler_command=variables.command("VENDING_WRANGLER", WRANGLER),
        sns_topic_arn=variables.optional("VENDING_SNS_TOPIC_ARN"),
    )


def _staging(variables: _Variables) -> Settings:
    return _cloud(
        variables,
        environment=Environment.STAGING,
        encryption="AES256",
        suffix="STG",
        threads=4,
        ingest_schedule="0 1 * * *",
        transform_schedule="0 3 * * *",
    )


def _prod(variables: _Variables) -> Settings:
    settings = _cloud(
        variables,
        environment=Environment.PROD,
        encryption="aws:kms",
        suffix="PROD",
        threads=8,
        ingest_schedule="0 2 * * *",
        transform_schedule="0 4 * * *",
    )
    staging_lake = ObjectLakeSettings(
        store=variables.choice("VENDING_LAKE_STORE", ObjectStore, ObjectStore.S3),
        bucket=variables.bucket(
            "VENDING_STAGING_LAKE_BUCKET",
            f"{variables.text('VENDING_COMPANY')}-vending-data-{Environment.STAGING.value}",
        ),
        connection_id=variables.text("VENDING_STAGING_LAKE_CONNECTION", "staging_lake"),
        encryption="AES256",
    )
    export_pepper = PepperConnection(
        connection_id=variables.text("VENDING_EXPORT_PRIVACY_CONNECTION", "privacy_export")
    )
    return settings._replace(
        staging_lake=staging_lake,
        export_pepper=export_pepper,
        export_schedule="30 6 * * *",
        compliance_schedule="0 8 1 * *",
    )


_BUILDERS = {
    Environment.DEV: _dev,
    Environment.STAGING: _staging,
    Environment.PROD: _prod,
}
