"""The constraints that the service enforces, of each Airflow version."""

from __future__ import annotations

import os
import urllib.error
import urllib.request
from pathlib import Path

from deploy.mwaa.errors import MwaaError

URL = (
    "https://raw.githubusercontent.com/aws/amazon-mwaa-docker-images/main/images/airflow/"
    "{version}/etc/mwaa_essential_constraints.txt"
)
SECONDS = 20


def essential_constraints(airflow_version: str) -> str:
    """The text of the constraints that no requirements.txt can override.

    From the folder MWAA_CONSTRAINTS_DIR if that is set, else from the public address. Raises
    MwaaError if neither has them.
    """
    folder = os.environ.get("MWAA_CONSTRAINTS_DIR")
    if folder:
        path = Path(folder) / f"essential-constraints-{airflow_version}.txt"
        try:
            return path.read_text("utf-8")
        except OSError as error:
            raise MwaaError(f"MWAA_CONSTRAINTS_DIR has no {path.name}: {error.strerror}.") from None
    url = URL.format(version=airflow_version)
    try:
        with urllib.request.urlopen(url, timeout=SECONDS) as answer:  # nosec B310: constants, https
            return answer.read().decode()
    except (urllib.error.URLError, TimeoutError) as error:
        raise MwaaError(
            f"{url} does not answer ({error}); set MWAA_CONSTRAINTS_DIR to a folder that has "
            f"essential-constraints-{airflow_version}.txt."
        ) from None
