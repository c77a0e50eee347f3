"""The bucket of an MWAA environment: what lies there, what differs, what is kept to go back to."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError
from pydantic import BaseModel, ConfigDict

from deploy.mwaa.errors import MwaaError
from deploy.mwaa.layout import DAGS
from include.deployment import BUNDLE_FILE, BundleFile

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

# Beside the DAGs prefix, so that nothing of it is copied to containers.
RELEASES = "releases"
RECORD = "deployment.json"
CHECKSUM = "sha256"
THREADS = 8


class DeploymentRecord(BaseModel):
    """What the bucket remembers between deployments.

    ``target`` is the bundle of a deployment that has not ended; ``unpause`` are the DAGs that it,
    or an earlier one that was interrupted, has paused.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    current: str | None = None
    previous: str | None = None
    target: str | None = None
    unpause: tuple[str, ...] = ()


@dataclass(frozen=True)
class Stored:
    """An object: its version, and the checksum that it was uploaded with."""

    version: str | None
    checksum: str | None


@dataclass(frozen=True)
class DeploymentBucket:
    """``dags_prefix`` is where the environment reads DAGs from. Raises MwaaError."""

    client: S3Client
    name: str
    dags_prefix: str

    def key(self, file: str) -> str:
        """Where a file of the bundle lies."""
        return f"{self.dags_prefix}{file.removeprefix(DAGS)}" if file.startswith(DAGS) else file

    def stored_dags(self) -> dict[str, Stored]:
        """What lies below the DAGs prefix, by key."""
        keys = list(self._keys(f"{self.dags_prefix}/"))
        with ThreadPoolExecutor(THREADS) as threads:
            found = threads.map(self.stored, keys)
        return {key: one for key, one in zip(keys, found, strict=True) if one is not None}

    def stored(self, key: str) -> Stored | None:
        try:
            head = self.client.head_object(Bucket=self.name, Key=key)
        except ClientError as error:
            if error.response["Error"]["Code"] in ("404", "NoSuchKey"):
                return None
            raise MwaaError(f"Could not look at s3://{self.name}/{key}: {error}") from None
        return Stored(head.get("VersionId"), head["Metadata"].get(CHECKSUM))

    def upload(self, path: Path, key: str, checksum: str) -> str | None:
        """Upload a file; returns its version, None in a bucket without versions."""
        answer = self._do(
            f"write {key}",
            self.client.put_object,
            Key=key,
            Body=path.read_bytes(),
            Metadata={CHECKSUM: checksum},
        )
        return answer.get("VersionId")

    def upload_all(self, files: Iterable[tuple[Path, str, str]]) -> None:
        """Upload many (path, key, checksum), several at once; ends when all are there."""
        with ThreadPoolExecutor(THREADS) as threads:
            for upload in [threads.submit(self.upload, *file) for file in files]:
                upload.result()

    def remove(self, key: str) -> None:
        self._do(f"remove {key}", self.client.delete_object, Key=key)

    def read_record(self) -> DeploymentRecord:
        text = self._read(RECORD)
        return DeploymentRecord() if text is None else DeploymentRecord.model_validate_json(text)

    def write_record(self, record: DeploymentRecord) -> None:
        body = record.model_dump_json(indent=2).encode()
        self._do(f"write {RECORD}", self.client.put_object, Key=RECORD, Body=body)

    def keep_release(self, folder: Path, bundle: BundleFile) -> None:
        """Keep a copy of a bundle to go back to, unless there is a complete one."""
        root = f"{RELEASES}/{bundle.bundle_id}"
        description = f"{DAGS}/{BUNDLE_FILE}"
        if self.stored(f"{root}/{description}"):
            return
        self.upload_all(
            (folder / name, f"{root}/{name}", content) for name, content in bundle.files.items()
        )
        self.upload(folder / description, f"{root}/{description}", bundle.bundle_id)

    def fetch_release(self, bundle_id: str, folder: Path) -> None:
        """Bring a kept bundle to ``folder``."""
        root = f"{RELEASES}/{bundle_id}/"
        keys = list(self._keys(root))
        if not keys:
            raise MwaaError(f"s3://{self.name}/{root} is empty: there is no bundle to go back to.")
        for key in keys:
            target = folder / key.removeprefix(root)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(self._read(key) or b"")

    def _read(self, key: str) -> bytes | None:
        try:
            return self.client.get_object(Bucket=self.name, Key=key)["Body"].read()
        except self.client.exceptions.NoSuchKey:
            return None
        except (ClientError, BotoCoreError) as error:
            raise MwaaError(f"Could not read s3://{self.name}/{key}: {error}") from None

    def _keys(self, prefix: str) -> Iterable[str]:
        pages = self.client.get_paginator("list_objects_v2")
        try:
            for page in pages.paginate(Bucket=self.name, Prefix=prefix):
                yield from (entry["Key"] for entry in page.get("Contents", ()))
        except (ClientError, BotoCoreError) as error:
            raise MwaaError(f"Could not list s3://{self.name}/{prefix}: {error}") from None

    def _do(self, purpose: str, operation: Any, **arguments: Any) -> Mapping[str, Any]:
        try:
            return operation(Bucket=self.name, **arguments)
        except (ClientError, BotoCoreError) as error:
            raise MwaaError(f"Could not {purpose} in s3://{self.name}: {error}") from None
