"""The REST catalog of Iceberg tables, such as the R2 Data Catalog, through pyiceberg."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress

from pyiceberg.catalog import Catalog
from pyiceberg.catalog.rest import RestCatalog
from pyiceberg.exceptions import (
    CommitFailedException,
    CommitStateUnknownException,
    NamespaceAlreadyExistsError,
    NoSuchNamespaceError,
    NoSuchTableError,
    RESTError,
)
from pyiceberg.schema import Schema
from pyiceberg.table import Table
from requests.exceptions import RequestException

from include.cloudflare.access import CloudflareAccess, IcebergAccess
from include.cloudflare.errors import CloudflareError
from include.settings import set_variables

# R2 refuses the checksums that Arrow's client for S3 sends by default; it has no other switch.
_CHECKSUMS = (
    ("AWS_REQUEST_CHECKSUM_CALCULATION", "when_required"),
    ("AWS_RESPONSE_CHECKSUM_VALIDATION", "when_required"),
)


class CommitConflictError(CloudflareError):
    """Somebody else committed first; nothing of this commit is in the table."""


class CommitUnknownError(CloudflareError):
    """The catalog did not say whether it committed."""


class IcebergCatalog:
    """The tables of one namespace."""

    def __init__(self, catalog: Catalog, access: IcebergAccess) -> None:
        self._catalog, self._access = catalog, access

    @property
    def target(self) -> str:
        """Warehouse and namespace as one name without slashes."""
        return f"{self._access.warehouse}.{self._access.namespace}".replace("/", "_")

    def load(self, name: str) -> Table | None:
        """The table as it is now, None if there is none. Raises CloudflareError."""
        with explained(f"show the table {name}"), suppress(NoSuchTableError):
            return self._catalog.load_table((self._access.namespace, name))
        return None

    def names(self) -> list[str]:
        """The tables of the namespace, which may not have been made yet."""
        with explained("list its tables"), suppress(NoSuchNamespaceError):
            return [table[-1] for table in self._catalog.list_tables(self._access.namespace)]
        return []

    def create(self, name: str, schema: Schema) -> Table:
        """Make a table without rows and partitions, and its namespace if it is not there."""
        location = self._access.location
        with explained(f"make the table {name}"):
            with suppress(NamespaceAlreadyExistsError):
                self._catalog.create_namespace(self._access.namespace)
            return self._catalog.create_table(
                (self._access.namespace, name),
                schema=schema,
                location=None if location is None else f"{location.rstrip('/')}/{name}",
            )


def open_catalog(access: CloudflareAccess) -> IcebergCatalog:
    """The catalog of a connection. Raises CloudflareError."""
    iceberg = access.iceberg
    if iceberg is None:
        raise CloudflareError(
            "The Cloudflare connection has no iceberg; set its uri and warehouse as "
            "docs/cloudflare.md says, or take the sink out of the marts' YAML."
        )
    send_checksums_as_r2_takes_them()
    with explained("be opened"):
        catalog = RestCatalog(
            "marts",
            uri=iceberg.uri,
            warehouse=iceberg.warehouse,
            token=iceberg.token or access.token,
        )
    return IcebergCatalog(catalog, iceberg)


def send_checksums_as_r2_takes_them() -> None:
    """For this process, before it first opens a file on R2 through Arrow."""
    set_variables(_CHECKSUMS)


@contextmanager
def explained(verb: str) -> Iterator[None]:
    """Turn what pyiceberg and its connections raise into a CloudflareError."""
    try:
        yield
    except CommitFailedException as error:
        raise CommitConflictError(
            f"The Iceberg catalog would not {verb}: somebody else was faster; run the task again."
        ) from error
    except CommitStateUnknownException as error:
        raise CommitUnknownError(
            f"The Iceberg catalog did not say whether it did {verb}; run the task again."
        ) from error
    except RESTError as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise CloudflareError(
            f"The Iceberg catalog would not {verb} ({reason}); check uri, warehouse and token of "
            "the connection."
        ) from error
    except RequestException as error:
        # Its message may quote addresses with what was asked.
        raise CloudflareError(
            f"The Iceberg catalog did not answer when it was to {verb} "
            f"({type(error).__name__}); run the task again."
        ) from error
    except OSError as error:
        raise CloudflareError(
            f"The files of the Iceberg table cannot be used to {verb} "
            f"({str(error).splitlines()[0][:200]}); run the task again."
        ) from error
