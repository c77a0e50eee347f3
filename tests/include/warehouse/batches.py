"""Makes batches as conform leaves them: documents and Parquet files in a lake."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal

import pyarrow
import pyarrow.parquet

from include.contracts import SameContent, load_catalog
from include.ingest.landing import load_id
from include.ingest.plan import (
    ColumnDrift,
    ConformedBatch,
    ConformedFile,
    LandedFile,
    UnchangedFile,
)
from include.lake import Lake

SALES = "fleet.sales"
PRODUCTS = "fleet.products"
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


@dataclass(frozen=True)
class Version:
    """One content of a file: its rows are ``rows`` sales (or products) numbered from 1."""

    object_key: str = "sales_VM001_20260101.csv"
    content: str = "A"
    rows: int = 3
    rejected: int = 0
    generation: int = 0
    landed_at: datetime = NOON
    replaces: int | None = None
    contract: str = SALES
    drift: tuple[ColumnDrift, ...] = ()

    @property
    def checksum(self) -> str:
        return hashlib.sha256(self.content.encode()).hexdigest()

    @property
    def load_id(self) -> int:
        fingerprint = load_catalog().source(self.contract).fingerprint
        return load_id(self.contract, self.object_key, self.checksum, fingerprint, self.generation)

    @property
    def etag(self) -> str:
        return f"etag-{self.content}"

    def conformed(self) -> ConformedFile:
        landed = LandedFile(
            load_id=self.load_id,
            object_key=self.object_key,
            raw_location=f"raw/files/{self.object_key}/{self.content}",
            size_bytes=10,
            checksum=self.checksum,
            etag=self.etag,
            generation=self.generation,
            landed_at=self.landed_at,
            landed_on=self.landed_at.date(),
            replaces=self.replaces,
        )
        return ConformedFile(
            landed=landed,
            rows_read=self.rows + self.rejected,
            rows_conformed=self.rows,
            rows_quarantined=self.rejected,
            rows_duplicate=0,
            drift=self.drift,
        )


@dataclass(frozen=True)
class BatchMaker:
    """Writes the Parquet files of a batch into a lake and describes it."""

    lake: Lake
    promised: dict[str, int] = field(default_factory=dict)

    def __call__(
        self,
        *versions: Version,
        batch_id: str = "batch-1",
        unchanged: Sequence[UnchangedFile] = (),
        contract: str = SALES,
        same_content: SameContent = SameContent.LOAD,
    ) -> ConformedBatch:
        source = load_catalog().source(contract)
        dataset = source.dataset.name
        parquet_location = f"staging/{dataset}/{batch_id}.parquet"
        quarantine_location = f"quarantine/{dataset}/{batch_id}.parquet"
        rows = [row for version in versions for row in _rows(version, dataset)]
        rejects = [row for version in versions for row in _rejects(version, source.source, dataset)]
        self._write(rows, parquet_location)
        self._write(rejects, quarantine_location)
        return ConformedBatch(
            batch_id=batch_id,
            source_contract=contract,
            source=source.source,
            dataset=dataset,
            contract_version=source.version,
            contract_fingerprint=source.fingerprint,
            files=tuple(version.conformed() for version in versions),
            unchanged=tuple(unchanged),
            same_content=same_content,
            parquet_location=parquet_location if rows else None,
            quarantine_location=quarantine_location if rejects else None,
        )

    def _write(self, rows: list[dict[str, object]], location: str) -> None:
        if rows:
            sink = pyarrow.BufferOutputStream()
            pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), sink)
            self.lake.write_bytes(location, sink.getvalue().to_pybytes())


def _rows(version: Version, dataset: str) -> list[dict[str, object]]:
    columns = load_catalog().dataset(dataset).raw_columns
    return [
        {column.name: _value(column.name, number, version) for column in columns}
        for number in range(1, version.rows + 1)
    ]


def _value(column: str, number: int, version: Version) -> object:
    values = {
        "_source": "fleet",
        "_load_id": version.load_id,
        "machine_id": "VM001",
        "transaction_id": f"T{number}",
        "line_id": "1",
        "product_id": f"P{number}",
        "product_name": f"{version.content} {number}",
        "sold_at": version.landed_at.replace(tzinfo=None),
        "business_date": version.landed_at.date(),
        "quantity": 1,
        "amount": Decimal("120.00"),
        "currency": "JPY",
        "transaction_type": "sale",
    }
    return values.get(column)


def _rejects(version: Version, source: str, dataset: str) -> list[dict[str, object]]:
    return [
        {
            "load_id": version.load_id,
            "source": source,
            "source_contract": version.contract,
            "dataset": dataset,
            "object_key": version.object_key,
            "row_number": version.rows + 1 + number,
            "reasons": '[{"code":"invalid_value","field":"quantity","message":"is no number"}]',
            "first_reason": "invalid_value",
            "record": "{}",
            "raw_location": "raw",
            "contract_version": "1.0.0",
            "run_id": "test",
            "quarantined_at": version.landed_at.replace(tzinfo=None),
        }
        for number in range(1, version.rejected + 1)
    ]
