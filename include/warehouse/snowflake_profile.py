"""What dbt/profiles.yml reads of the environment, taken from an Airflow connection."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator

from include.settings import SnowflakeSettings
from include.warehouse.base import WarehouseError
from include.warehouse.query_tag import query_tag
from include.warehouse.snowflake_session import connection_parameters


def profile_variables(settings: SnowflakeSettings) -> tuple[tuple[str, str], ...]:
    """The variables of the Snowflake targets, with the query tag of the running task.

    Key pairs only: a password would stand in the environment of everything that dbt starts, and a
    service user has none. Raises WarehouseError if the connection is missing or has no key.
    """
    return tuple(_variables(settings))


def _variables(settings: SnowflakeSettings) -> Iterator[tuple[str, str]]:
    connection_id = settings.transform_connection_id
    parameters = connection_parameters(settings, connection_id)
    if "private_key" not in parameters:
        raise WarehouseError(
            f"The Airflow connection {connection_id!r} has no private key; put the PEM in base64 "
            "as private_key_content into its extra, as docs/environments.md shows."
        )
    yield "VENDING_SNOWFLAKE_DATABASE", settings.database
    yield "VENDING_SNOWFLAKE_WAREHOUSE", settings.warehouse
    yield "VENDING_SNOWFLAKE_LOAD_SCHEMA", settings.load_schema
    yield "VENDING_QUERY_TAG", query_tag(settings.environment)
    for name in ("account", "user", "role", "host", "port", "protocol"):
        if value := parameters.get(name):
            yield f"VENDING_SNOWFLAKE_{name.upper()}", str(value)
    # dbt keeps variables of this prefix out of its logs. The hook has taken the passphrase off.
    key = b64encode(parameters["private_key"]).decode()
    yield "DBT_ENV_SECRET_SNOWFLAKE_PRIVATE_KEY", key
