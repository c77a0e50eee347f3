"""Holds Iceberg tables to their marts, a file at a time."""

from __future__ import annotations

from itertools import chain
from uuid import uuid4

from pyiceberg.table import Table

from include.cloudflare.iceberg import explained
from include.publish.digests import digest_columns, parts
from include.publish.iceberg import current_snapshot, mart_digests
from include.publish.iceberg_files import current_files, read_file
from include.publish.iceberg_schema import IcebergTable, iceberg_table
from include.publish.marts import MartReader, PublishError, text
from include.publish.spec import PublishedMart


def verify_iceberg_table(reader: MartReader, mart: PublishedMart, table: Table) -> str:
    """Say that the table's current snapshot holds exactly the mart's rows.

    Raises PublishError with the number of rows that differ, and the key of one of them.
    """
    assert mart.spec.iceberg is not None
    shape = iceberg_table(mart, mart.spec.iceberg)
    if table.schema().column_names != shape.schema.column_names or current_snapshot(table) is None:
        raise PublishError(
            f"{mart.name} in Iceberg is no version of the mart; run publish_cloudflare."
        )
    path = reader.scratch / f"{uuid4().hex}.parquet"
    mart_digests(reader, mart, shape).write(path)
    here = f"SELECT key, digest, more FROM {text(str(path))}"
    there = f"SELECT key, digest, more FROM {_write_digests(reader, table, shape)}"
    rows = reader.connection.execute(f"SELECT count(*) FROM ({there})").fetchall()[0][0]
    missing, example = _differing(reader, here, there, rows)
    surplus, other = _differing(reader, there, here, rows)
    if missing or surplus:
        raise PublishError(
            f"{mart.name} in Iceberg lacks {missing} rows of the mart and has {surplus} that the "
            f"mart has not, such as {example or other}; run publish_cloudflare, and if that "
            "changes nothing drop the table and run it again."
        )
    return f"{mart.name} in Iceberg holds the mart's {rows} rows."


def _write_digests(reader: MartReader, table: Table, shape: IcebergTable) -> str:
    """Write the digests of the table's rows to files, a file of the table at a time.

    They are named as DuckDB names them in a FROM; a table of them would fill its memory.
    """
    folder = reader.scratch / uuid4().hex
    folder.mkdir()
    nothing = table.schema().as_arrow().empty_table()
    with explained(f"read {shape.name}"):
        files = (read_file(table, task, shape.schema.column_names) for task in current_files(table))
        for number, rows in enumerate(chain([nothing], files)):
            reader.connection.register("file_rows", rows)
            reader.connection.execute(
                f"COPY (SELECT key, {digest_columns('row_text')} "
                f"FROM (SELECT {shape.row_key} AS key, {shape.row} AS row_text FROM file_rows)) "
                f"TO {text(str(folder / f'{number}.parquet'))} (FORMAT parquet)"
            )
            reader.connection.unregister("file_rows")
    return text(f"{folder}/*.parquet")


def _differing(reader: MartReader, these: str, those: str, rows: int) -> tuple[int, str | None]:
    """How many of these rows are not among those, and the key of one."""
    differing, example = 0, None
    for part in parts(rows):
        # ALL: a row that is there twice is one too many.
        found = reader.connection.execute(
            f"SELECT count(*), any_value(key) FROM "
            f"({these} WHERE {part} EXCEPT ALL {those} WHERE {part})"
        ).fetchall()[0]
        differing += found[0]
        example = example or found[1]
    return differing, example
