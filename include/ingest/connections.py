"""How to reach an API: from an Airflow connection to what the client needs. Only for tasks."""

from __future__ import annotations

from airflow.sdk import BaseHook, Connection
from airflow.sdk.exceptions import AirflowNotFoundException

from include.contracts import load_catalog
from include.ingest.api import ApiAccess, ApiError


def api_access(source_contract: str) -> ApiAccess | None:
    """Host, port and token of an API's connection, or None if there is no such connection.

    Airflow reports a secrets backend that cannot be reached as a missing connection too; what is
    not fetched then, the next run fetches. Raises ApiError if the connection says too little.
    """
    endpoint = load_catalog().source(source_contract).api
    if endpoint is None:
        raise ApiError(f"{source_contract} is no API source contract; name one that is.")
    try:
        connection = BaseHook.get_connection(endpoint.connection_id)
    except AirflowNotFoundException:
        return None
    if not connection.host or not connection.password:
        raise ApiError(
            f"The Airflow connection {endpoint.connection_id} needs a host and a password, "
            "the API's token; set both."
        )
    return ApiAccess(base_url=_base_url(connection), token=connection.password)


def _base_url(connection: Connection) -> str:
    """As Airflow's HTTP hook builds it: the host may bring a scheme, else the schema field does."""
    host = connection.host
    url = host if "://" in host else f"{connection.schema or 'http'}://{host}"
    return f"{url}:{connection.port}" if connection.port else url
