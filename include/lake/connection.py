"""The client of the object store, made from an Airflow connection."""

from __future__ import annotations

from typing import TYPE_CHECKING

from botocore.config import Config

from include.lake.base import LakeError
from include.settings import ObjectLakeSettings, ObjectStore

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

CONNECT_SECONDS = 10
READ_SECONDS = 60
# Attempts of one request; botocore waits longer after each, up to 20 s, with jitter.
ATTEMPTS = 8
# Files are fetched and sent by so many threads, each with a connection of its own.
TRANSFERS = 8

_CONFIG = Config(
    connect_timeout=CONNECT_SECONDS,
    read_timeout=READ_SECONDS,
    retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
    max_pool_connections=TRANSFERS + 2,
)
# R2 refuses the checksums that boto3 sends by default since 1.36, and has one region.
_R2 = Config(
    region_name="auto",
    request_checksum_calculation="when_required",
    response_checksum_validation="when_required",
    s3={"addressing_style": "path"},
)


def s3_client(settings: ObjectLakeSettings, connection_id: str) -> S3Client:
    """A boto3 client for a connection of the lake.

    The connection is of type ``aws``. Without login it takes the role of the machine; its extra may
    name ``region_name``, ``role_arn`` and ``endpoint_url``, which an S3-compatible store needs, and
    botocore's own options under ``config_kwargs``. R2's endpoint holds the bucket's jurisdiction.
    Raises LakeError for R2 without an endpoint: the objects would go to Amazon.
    """
    # Imported here: the provider costs a second.
    from airflow.providers.amazon.aws.hooks.base_aws import AwsBaseHook

    hook = AwsBaseHook(aws_conn_id=connection_id, client_type="s3")
    config = _CONFIG
    if settings.store is ObjectStore.R2:
        config = _CONFIG.merge(_R2)
        if not hook.conn_config.get_service_endpoint_url("s3"):
            raise LakeError(
                f"The connection {connection_id!r} has no endpoint_url in its extra; set "
                "https://<account>.r2.cloudflarestorage.com, with .eu or another jurisdiction "
                "after the account if the bucket has one."
            )
    # Not the hook's own way to a client: it looks through the source of the whole call stack for a
    # word in the user agent, which costs each task 0.15 CPU seconds.
    return hook.get_session().client(
        "s3",
        endpoint_url=hook.conn_config.get_service_endpoint_url("s3"),
        config=config.merge(hook.config),
        verify=hook.verify,
    )
