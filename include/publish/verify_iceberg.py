"""Holds Iceberg tables to their marts, a file at a time."""

from __future__ import annotations

from uuid import uuid4

from include.cloudflare.iceberg import explained
from include.publish.digests import digest_columns, parts
from include.publish.iceberg import current_snapshot, mart_digests
from include.publish.iceberg_files import current_files, read_file
from include.publish.iceberg_schema import iceberg_table
from include.publish.marts import PublishError, text
from include.publish.services import Services
from include.publish.spec import PublishedMart


def verify_iceberg_table(services: Services, mart: PublishedMart) -> str:
    """Say that the table's current snapshot holds exactly the mart's rows.

    Raises PublishError with the number of rows that differ, and the key of one of them.
    """
    assert mart.spec.iceberg is not None
    table, reader = services.iceberg_table(mart), services.reader
    shape = iceberg_table(mart, mart.spec.iceberg)
    if table.schema().column_names != shape.schema.column_names or current_snapshot(table) is None:
        raise PublishError(
            f"{mart.name} in Iceberg is no version of the mart; run publish_cloudflare."
        )
    path = reader.scratch / f"{uuid4().hex}.parquet"
    mart_digests(reader, mart, shape).write(path)
    connection = reader.connection
    connection.execute(
        "CREATE OR REPLACE TABLE edge_rows (key VARCHAR, digest UBIGINT, more UBIGINT)"
    )
    with explained(f"read {mart.name}"):
        for task in current_files(table):
            connection.register("file_rows", read_file(table, task, shape.schema.column_names))
            connection.execute(
                f"INSERT INTO edge_rows SELECT key, {digest_columns('row_text')} "
                f"FROM (SELECT {shape.row_key} AS key, {shape.row} AS row_text FROM file_rows)"
            )
            connection.unregister("file_rows")
    here = f"SELECT key, digest, more FROM {text(str(path))}"
    there = "SELECT key, digest, more FROM edge_rows"
    rows = connection.execute("SELECT count(*) FROM edge_rows").fetchall()[0][0]
    missing, example = _differing(services, here, there, rows)
    surplus, other = _differing(services, there, here, rows)
    if missing or surplus:
        raise PublishError(
            f"{mart.name} in Iceberg lacks {missing} rows of the mart and has {surplus} that the "
            f"mart has not, such as {example or other}; run publish_cloudflare, and if that "
            "changes nothing drop the table and run it again."
        )
    return f"{mart.name} in Iceberg holds the mart's {rows} rows."


def _differing(services: Services, these: str, those: str, rows: int) -> tuple[int, str | None]:
    """How many of these rows are not among those, and the key of one."""
    differing, example = 0, None
    for part in parts(rows):
        # ALL: a row that is there twice is one too many.
        found = services.reader.connection.execute(
            f"SELECT count(*), any_value(key) FROM "
            f"({these} WHERE {part} EXCEPT ALL {those} WHERE {part})"
        ).fetchall()[0]
        differing += found[0]
        example = example or found[1]
    return differing, example
