"""Names of what Amazon MWAA is given, and where each is read from in this repository."""

from __future__ import annotations

from pathlib import Path

from include.deployment import CONSTRAINTS

REPOSITORY = Path(__file__).resolve().parents[2]
BUNDLE = REPOSITORY / "dist" / "mwaa"

# The first is the version that is deployed; the others are checked so that an upgrade is no leap.
AIRFLOW_VERSIONS = ("3.2.1", "3.3.1")
# One bundle goes to staging and then, unchanged, to prod.
TARGETS = ("staging", "prod")

DAGS = "dags"
PLUGINS = "plugins.zip"
REQUIREMENTS = "requirements.txt"
STARTUP = "startup.sh"

# Where the service puts each in a container; requirements.txt names its constraints by it.
AIRFLOW_HOME = "/usr/local/airflow"


def constraints_of(airflow_version: str) -> Path:
    """The constraints that requirements.txt resolves under; raises ValueError if there are none."""
    if airflow_version not in AIRFLOW_VERSIONS:
        known = ", ".join(AIRFLOW_VERSIONS)
        raise ValueError(f"Airflow {airflow_version} has no constraints here; name one of {known}.")
    if airflow_version == AIRFLOW_VERSIONS[0]:
        return REPOSITORY / CONSTRAINTS
    return REPOSITORY / "deploy" / "mwaa" / f"constraints-{airflow_version}.txt"
