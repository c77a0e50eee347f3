"""Brings the vendor's files to a bucket, as a vendor does that delivers to S3."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from simulator.errors import SimulatorError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

THREADS = 8


def upload(s3: S3Client, sources: Path, bucket: str, prefix: str) -> int:
    """Upload the files that are not there yet, and make the bucket if need be; returns how many.

    A file is there if its key is: a corrected one is not delivered again. Raises SimulatorError.
    """
    files = {
        f"{prefix}/{path.relative_to(sources).as_posix()}": path
        for path in sorted(sources.rglob("*"))
        if path.is_file()
    }
    try:
        _make_bucket(s3, bucket)
        missing = sorted(files.keys() - _keys(s3, bucket, f"{prefix}/"))
        with ThreadPoolExecutor(THREADS) as threads:
            list(threads.map(lambda key: s3.upload_file(str(files[key]), bucket, key), missing))
    except (BotoCoreError, ClientError) as error:
        raise SimulatorError(f"Could not deliver to s3://{bucket}/{prefix}: {error}") from None
    return len(missing)


def _make_bucket(s3: S3Client, bucket: str) -> None:
    names = {entry["Name"] for entry in s3.list_buckets()["Buckets"]}
    if bucket not in names:
        place = {"LocationConstraint": s3.meta.region_name}
        s3.create_bucket(Bucket=bucket, CreateBucketConfiguration=place)


def _keys(s3: S3Client, bucket: str, prefix: str) -> set[str]:
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
    return {entry["Key"] for page in pages for entry in page.get("Contents", ())}
