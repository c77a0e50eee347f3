"""`make mwaa-deploy`: from the name of an environment to a deployment."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import boto3

from deploy.mwaa.bucket import DeploymentBucket
from deploy.mwaa.check.bundle_check import dag_ids_in
from deploy.mwaa.deployment import Deployment, bundle_to_go_back_to
from deploy.mwaa.environment import MwaaEnvironment
from deploy.mwaa.layout import BUNDLE, DAGS

if TYPE_CHECKING:
    from mypy_boto3_mwaa import MWAAClient
    from mypy_boto3_s3 import S3Client


def deploy(
    name: str,
    *,
    dry_run: bool,
    rollback: bool,
    bundle: Path = BUNDLE,
    mwaa: MWAAClient | None = None,
    s3: S3Client | None = None,
    poll_seconds: float = 10.0,
) -> None:
    """Deploy the bundle, or the one before, to an environment; region and role are the caller's.

    Raises MwaaError with one sentence.
    """
    environment = MwaaEnvironment(name, mwaa or boto3.client("mwaa"), poll_seconds)
    state = environment.state()
    bucket = DeploymentBucket(s3 or boto3.client("s3"), state.bucket, state.dags_prefix)
    with tempfile.TemporaryDirectory(prefix="mwaa-release-") as folder:
        if rollback:
            bundle = Path(folder)
            bucket.fetch_release(bundle_to_go_back_to(bucket.read_record()), bundle)
        deployment = Deployment(bundle, dag_ids_in(bundle / DAGS), environment, bucket)
        if dry_run:
            deployment.explain(deployment.plan())
        else:
            deployment.run()
