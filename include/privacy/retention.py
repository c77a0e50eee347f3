"""Where personal data lies and how long it stays there: one list for the report and its test.

The days are those of deploy/terraform/aws/modules/lake and deploy/snowflake; a test holds them to
these files.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Place:
    """A place that holds personal data or what was made of it. ``kept`` is for people to read."""

    name: str
    holds: str
    readers: str
    kept: str


# Versions of an object that was replaced or deleted.
OLD_VERSIONS_DAYS = 90
ACCESS_LOG_DAYS = 365
TIME_TRAVEL_DAYS = 1
# Snowflake's, of permanent tables; nobody can shorten it, and only Snowflake's support reads it.
FAIL_SAFE_DAYS = 7

PLACES = (
    Place(
        "Lake: raw-data/ (restricted)",
        "Files and API pages as they came, unmasked",
        "The pipeline's role, and roles named in Terraform; accesses are logged "
        f"({ACCESS_LOG_DAYS} days)",
        f"Until a person's erasure rewrites it, then {OLD_VERSIONS_DAYS} days as an old version",
    ),
    Place(
        "Lake: raw-data/vault/ (restricted)",
        "Originals of tokens, encrypted",
        "make detokenise, each time with a row in ops.privacy_audit",
        "As raw-data/",
    ),
    Place(
        "Lake: processed-data/, quarantine/",
        "Rows with masked values",
        "The pipeline and Snowflake's stages",
        f"While a load is current; then swept, and {OLD_VERSIONS_DAYS} days as an old version",
    ),
    Place(
        "Warehouse: raw tables and views",
        "Rows with masked values",
        "LOADER, TRANSFORMER; others see ***",
        f"While a load is current; then {TIME_TRAVEL_DAYS} day of Time Travel",
    ),
    Place(
        "Warehouse: marts of prod, ops",
        "No class that must be masked, other than masked; counts; the audit",
        "REPORTER reads marts",
        f"Until rebuilt; then {TIME_TRAVEL_DAYS} day of Time Travel and {FAIL_SAFE_DAYS} days of "
        "Fail-safe",
    ),
    Place(
        "Staging: all of it",
        "The anonymised export",
        "Staging's roles",
        "As in prod",
    ),
)
