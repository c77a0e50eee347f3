"""Runs the steps of the ingest DAGs as the DAGs do, on a real lake and a real DuckDB."""

from __future__ import annotations

import duckdb

from include.ingest import steps
from include.ingest.plan import RunSummary
from include.ingest.runs import IngestRun
from include.lake import DiskLake
from include.settings import Settings
from include.warehouse import ReplaySelection

PRODUCTS_HEADER = "product_id,product_name,list_price,currency\n"
SALES_HEADER = (
    "machine_id,transaction_id,slot_number,product_id,sold_at,quantity,unit_price,amount,"
    "payment_method,transaction_type,original_transaction_id"
)


def products(*names: str) -> bytes:
    """A file of products at 120 yen each."""
    rows = (f"P{number},{name},120,JPY\n" for number, name in enumerate(names, start=1))
    return (PRODUCTS_HEADER + "".join(rows)).encode()


def sales(machine: str, *amounts: object, day: str = "2026-01-01") -> bytes:
    """A file of sales at ten o'clock in Tokyo; an amount that is no number is a rejected row."""
    lines = [
        SALES_HEADER,
        *(
            f"{machine},T{number},1,P1,{day}T10:00:00+09:00,1,120,{amount},cash,sale,"
            for number, amount in enumerate(amounts, start=1)
        ),
    ]
    return "".join(f"{line}\n" for line in lines).encode()


class Ingest:
    """Runs the steps as the DAG does; each call is a run of its own."""

    def __init__(self, lake: DiskLake, settings: Settings) -> None:
        self.lake = lake
        self.settings = settings
        self.runs = 0

    def new_run(self) -> IngestRun:
        self.runs += 1
        return IngestRun(self.lake, "ingest_files", f"run-{self.runs}")

    def __call__(self) -> RunSummary:
        run = self.new_run()
        return self._finish(run, steps.discover_files(run, self.settings))

    def replay(self, selection: ReplaySelection) -> RunSummary:
        run = self.new_run()
        groups = steps.discover_replay(run, self.settings, selection, is_dry_run=False)
        return self._finish(run, groups)

    def _finish(self, run: IngestRun, groups: list[list[str]]) -> RunSummary:
        for group in groups:
            steps.conform(run, self.settings, group)
        steps.load(run, self.settings)
        return steps.verify_run(run, self.settings)

    def deliver(self, name: str, content: bytes) -> None:
        self.lake.write_bytes(f"sources/{name}", content)

    def rows(self, statement: str) -> list[tuple]:
        with duckdb.connect(str(self.settings.warehouse.path), read_only=True) as connection:
            return connection.execute(statement).fetchall()
