"""Where Cloudflare is and with which rights: from an Airflow connection. Only for tasks."""

from __future__ import annotations

from typing import Any

from airflow.sdk import BaseHook, Connection
from airflow.sdk.exceptions import AirflowNotFoundException
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from include.cloudflare.errors import CloudflareError
from include.cloudflare.limiter import REQUESTS_PER_WINDOW

# D1 of a paid plan; 500 MB on the free one.
D1_DATABASE_BYTES = 10_000_000_000


class IcebergAccess(BaseModel):
    """A REST catalog of Iceberg tables, such as the R2 Data Catalog of a bucket.

    ``location`` is where tables are made, such as s3://bucket/gold; None leaves it to the catalog.
    ``token`` of None is the account's.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    uri: str = Field(pattern="^https?://")
    warehouse: str = Field(min_length=1)
    namespace: str = Field(default="marts", pattern="^[a-z][a-z0-9_]*$")
    location: str | None = None
    token: str | None = Field(default=None, repr=False)


class CloudflareAccess(BaseModel):
    """One account and the services in it that this environment publishes to.

    ``base_url`` of None is Cloudflare's own. A service whose id is None is not published to; the
    cache of ``zone_id`` is what shows the sites of Pages.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    account_id: str = Field(min_length=1)
    token: str = Field(min_length=1, repr=False)
    base_url: str | None = None
    d1_database_id: str | None = None
    d1_database_bytes: int = Field(default=D1_DATABASE_BYTES, gt=0)
    kv_namespace_id: str | None = None
    iceberg: IcebergAccess | None = None
    zone_id: str | None = None
    requests_per_window: int = Field(default=REQUESTS_PER_WINDOW, ge=8)


def cloudflare_access(connection_id: str) -> CloudflareAccess:
    """Read the connection: login = account id, password = token, host = base URL, extra = the rest.

    Raises CloudflareError if it is missing or says too little.
    """
    try:
        connection = BaseHook.get_connection(connection_id)
    except AirflowNotFoundException:
        raise CloudflareError(
            f"There is no Airflow connection {connection_id}; add it as docs/cloudflare.md says."
        ) from None
    return read_access(connection)


def read_access(connection: Connection) -> CloudflareAccess:
    try:
        extra: dict[str, Any] = connection.extra_dejson
        return CloudflareAccess(
            account_id=connection.login or "",
            token=connection.password or "",
            base_url=_base_url(connection),
            **extra,
        )
    except (ValidationError, TypeError) as error:
        # Pydantic's own message would hold the values, the token among them.
        wrong = "extra"
        if isinstance(error, ValidationError):
            wrong = ", ".join(sorted({str(mistake["loc"][0]) for mistake in error.errors()}))
        raise CloudflareError(
            f"The Airflow connection {connection.conn_id} is wrong in {wrong}; "
            "set it as docs/cloudflare.md says."
        ) from None


def _base_url(connection: Connection) -> str | None:
    host = connection.host
    if not host:
        return None
    url = host if "://" in host else f"{connection.schema or 'https'}://{host}"
    return f"{url}:{connection.port}" if connection.port else url
