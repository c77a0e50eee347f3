"""Looks after what lies at Cloudflare: growth, and what killed publishers left."""

from __future__ import annotations

import logging

from include.cloudflare.d1 import Statement
from include.publish.d1 import PUBLICATIONS, WARN_SHARE, tables_beside
from include.publish.marts import identifier
from include.publish.services import Services
from include.publish.spec import Sink

log = logging.getLogger(__name__)


def warn_of_growth(services: Services) -> None:
    """Log the size of the D1 database, as a warning from WARN_SHARE of its limit on."""
    if services.access.d1_database_id is None:
        return
    size, limit = services.d1().size_bytes(), services.access.d1_database_bytes
    level = logging.WARNING if size > WARN_SHARE * limit else logging.INFO
    log.log(level, "The D1 database holds %.1f MB, %.0f %%.", size / 1e6, 100 * size / limit)


def sweep_d1(services: Services) -> list[str]:
    """Drop the tables of versions that nobody is publishing; returns their names.

    A publisher writes its version file before it makes a table, so a table without one is left.
    """
    database = services.d1()
    dropped = []
    for mart in services.marts:
        if Sink.D1 not in mart.sinks:
            continue
        versions = set(services.versions(Sink.D1, mart.name).all())
        for table in tables_beside(database, mart.name):
            if table.removeprefix(f"{mart.name}__").split("__")[0] not in versions:
                database.run([Statement(f"DROP TABLE IF EXISTS {identifier(table)}")])
                dropped.append(table)
    log.info("Dropped %d tables that killed publishers left.", len(dropped))
    _name_withdrawn(services)
    return dropped


def name_withdrawn_from_iceberg(services: Services) -> None:
    """Log tables of the catalog's namespace that no mart is published to."""
    known = {mart.name for mart in services.marts if Sink.ICEBERG in mart.sinks}
    for table in sorted(set(services.iceberg.names()) - known):
        log.warning(
            "%s is an Iceberg table and no longer published; drop it if no reader needs it.", table
        )


def _name_withdrawn(services: Services) -> None:
    database = services.d1()
    known = {mart.name for mart in services.marts if Sink.D1 in mart.sinks}
    rows = database.run([Statement(f"SELECT mart FROM {PUBLICATIONS} ORDER BY mart")]).rows
    for mart in (row["mart"] for row in rows if row["mart"] not in known):
        log.warning(
            "%s is in D1 and no longer published; drop the table and its row in %s if no reader "
            "needs it.",
            mart,
            PUBLICATIONS,
        )
