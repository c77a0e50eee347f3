"""Publishing a mart to D1, on the local Cloudflare.

    python -m benchmarks.publish_d1 [--rows 100000] [--rounds 3]

The first load, from the mart's rows to the table that readers see, against a bare import of the SQL
file that it made, into the same database. Then the same mart unchanged, and with one row in a
hundred changed. Exits 1 below half of the bare import's rows a second, above 2 s for the unchanged
mart, or if more is written than the rows that changed and the version.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb

from benchmarks.results import Result, alone, compared, show
from deploy.cloudflare.local_cloudflare import LocalCloudflare, running_cloudflare
from include.cloudflare.client import open_cloudflare
from include.cloudflare.d1 import D1Database, Statement
from include.lake import DiskLake
from include.publish.d1 import D1Sink
from include.publish.marts import open_file
from include.publish.outcome import Outcome
from include.publish.spec import Column, D1Spec, PublishedMart, PublishSpec, Sink
from include.publish.versions import PublishedVersions

LEAST_RATIO = 0.5
MOST_SECONDS_UNCHANGED = 2.0
# The version's own row is written with those that changed.
MOST_WRITES_A_CHANGED_ROW = 1.01
CHANGED_EVERY = 100

CONTRACT = {
    "source": "varchar",
    "machine_id": "varchar",
    "business_date": "date",
    "currency": "varchar",
    "revenue": "decimal(18,2)",
    "units_sold": "bigint",
    "is_open": "boolean",
    "last_sold_at": "timestamp",
}
SPEC = D1Spec(key=("source", "machine_id"), indexes=(("business_date",),))


@dataclass(frozen=True)
class Round:
    """Seconds of each step, and the writes that D1 counted for the change."""

    first_load: float
    bare_import: float
    unchanged: float
    changed_rows: int
    writes: int


class KeepingDatabase(D1Database):
    """Keeps the SQL file of the last import, which the sink deletes."""

    def __init__(self, *arguments: object, kept: Path) -> None:
        super().__init__(*arguments)  # type: ignore[arg-type]
        self.kept = kept

    def import_file(self, path: Path) -> int:
        self.kept.unlink(missing_ok=True)
        self.kept.hardlink_to(path)
        return super().import_file(path)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Publishing to D1 against a bare import.")
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args(arguments)
    return show(measure(options.rounds, options.rows))


def measure(rounds: int = 5, rows: int = 100_000) -> list[Result]:
    """Raises SystemExit if the unchanged mart costs a write."""
    with (
        tempfile.TemporaryDirectory(prefix="benchmark-publish-d1-") as name,
        running_cloudflare(Path(name) / "cloudflare") as cloudflare,
    ):
        folder = Path(name)
        _round(folder, cloudflare, "warm_up", 1_000)
        measured = [_round(folder, cloudflare, f"round_{n}", rows) for n in range(rounds)]
    return [
        compared(
            "d1_first_load",
            "rows/s",
            [rows / each.first_load for each in measured],
            "bare import of the same SQL file",
            [rows / each.bare_import for each in measured],
            LEAST_RATIO,
        ),
        alone("d1_unchanged", "s", [each.unchanged for each in measured], MOST_SECONDS_UNCHANGED),
        compared(
            "d1_change_of_1_percent",
            "writes",
            [each.writes for each in measured],
            "rows that changed",
            [each.changed_rows for each in measured],
            MOST_WRITES_A_CHANGED_ROW,
        ),
    ]


def _round(folder: Path, cloudflare: LocalCloudflare, name: str, rows: int) -> Round:
    columns = tuple(Column(*column) for column in CONTRACT.items())
    mart = PublishedMart(name, "marts", columns, PublishSpec(d1=SPEC))
    warehouse = folder / f"{name}.duckdb"
    _write_mart(warehouse, name, rows)
    with open_cloudflare(cloudflare.access) as client:
        database = KeepingDatabase(client, "local", "marts", kept=folder / "import.sql")

        def publish() -> tuple[float, Outcome]:
            return _publish(folder, warehouse, mart, database)

        first_load, _ = publish()
        bare_import = _import_bare(database)
        unchanged, outcome = publish()
        if outcome.how != "unchanged" or outcome.written:
            raise SystemExit(f"The unchanged mart cost {outcome.written} writes.")
        changed = _change_rows(warehouse, name)
        _, outcome = publish()
        database.run([Statement(f'DROP TABLE "{name}"')])
    return Round(first_load, bare_import, unchanged, changed, outcome.written)


def _publish(
    folder: Path, warehouse: Path, mart: PublishedMart, database: D1Database
) -> tuple[float, Outcome]:
    """Seconds of one publication as its task makes it, from opening the marts to the end."""
    scratch = folder / "scratch"
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir()
    versions = PublishedVersions(DiskLake(folder / "lake"), Sink.D1, "marts", mart.name)
    started = time.perf_counter()
    with open_file(warehouse, scratch) as reader:
        sink = D1Sink(reader, mart, SPEC, database, versions, size_limit=10_000_000_000)
        outcome = sink.publish()
    return time.perf_counter() - started, outcome


def _import_bare(database: KeepingDatabase) -> float:
    """Import the kept file again: its table is free, since the sink has renamed what it made."""
    table = database.kept.read_text(encoding="utf-8").split('CREATE TABLE "', 1)[1].split('"')[0]
    # The indexes have kept their names when the table was renamed.
    content = database.kept.read_text(encoding="utf-8").replace(table, "bare")
    database.kept.write_text(content, encoding="utf-8")
    started = time.perf_counter()
    D1Database.import_file(database, database.kept)
    seconds = time.perf_counter() - started
    database.run([Statement('DROP TABLE "bare"')])
    return seconds


def _write_mart(warehouse: Path, name: str, rows: int) -> None:
    with duckdb.connect(str(warehouse)) as connection:
        columns = ", ".join(f"{column} {kind}" for column, kind in CONTRACT.items())
        connection.execute(f"CREATE SCHEMA marts; CREATE TABLE marts.{name} ({columns})")
        connection.execute(
            f"INSERT INTO marts.{name} SELECT 'fleet', format('VM{{:07d}}', i), "
            "DATE '2026-01-01' + CAST(i % 365 AS INTEGER), 'JPY', i % 90000 * 10, i % 97, "
            "i % 3 = 0, TIMESTAMP '2026-01-01 09:00:00' + INTERVAL (i) SECOND "
            f"FROM range({rows}) AS rows (i)"
        )


def _change_rows(warehouse: Path, name: str) -> int:
    with duckdb.connect(str(warehouse)) as connection:
        changed = connection.execute(
            f"UPDATE marts.{name} SET revenue = revenue + 1 "
            f"WHERE CAST(right(machine_id, 7) AS INTEGER) % {CHANGED_EVERY} = 0"
        ).fetchall()
    return changed[0][0]


if __name__ == "__main__":
    sys.exit(main())
