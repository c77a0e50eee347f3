"""Conforms small real files for tests and shows what became of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import pyarrow.parquet as pq
from cryptography.fernet import Fernet, MultiFernet

from include.contracts import SourceContract, load_catalog
from include.ingest.conform import conform_files
from include.ingest.plan import ConformedFile, LandedFile
from include.ingest.workspace import RawFile
from include.privacy.pepper import Pepper
from include.settings import ConformLimits

LIMITS = ConformLimits(memory_mb=128, threads=2, batch_bytes=256_000_000, batch_files=5_000)
PEPPER = Pepper(1, bytes(32))
VAULT_KEYS = MultiFernet([Fernet(Fernet.generate_key())])

# Load ids have 63 bits: tests use some that no smaller integer holds.
_FIRST_LOAD_ID = 9_000_000_000_000_000_000

SALES_HEADER = (
    "machine_id,transaction_id,slot_number,product_id,sold_at,quantity,unit_price,amount,"
    "payment_method,transaction_type,original_transaction_id"
)


@dataclass(frozen=True)
class Outcome:
    """Rows and quarantine as dictionaries, in the order of load and line where there is one."""

    files: tuple[ConformedFile, ...]
    rows: list[dict[str, Any]]
    quarantined: list[dict[str, Any]]

    @property
    def load_id(self) -> int:
        return self.files[0].landed.load_id

    @property
    def counts(self) -> tuple[int, int, int, int]:
        """Rows read, conformed, quarantined and skipped as duplicates, of all files."""
        return (
            sum(file.rows_read for file in self.files),
            sum(file.rows_conformed for file in self.files),
            sum(file.rows_quarantined for file in self.files),
            sum(file.rows_duplicate for file in self.files),
        )


def sales_line(**changes: str) -> str:
    """A line of a sales file without its end; every value can be changed by its column."""
    values = {
        "machine_id": "VM0001",
        "transaction_id": "T1",
        "slot_number": "3",
        "product_id": "P0001",
        "sold_at": "2026-08-01T09:30:15+09:00",
        "quantity": "1",
        "unit_price": "120",
        "amount": "120",
        "payment_method": "cash",
        "transaction_type": "sale",
        "original_transaction_id": "",
    }
    assert changes.keys() <= values.keys()
    return ",".join((values | changes).values())


def conform_text(folder: Path, contract: str, text: str) -> Outcome:
    """Conform one UTF-8 file."""
    return conform(folder, contract, {"file.csv": text.encode()})


def conform(folder: Path, contract: str, contents: Mapping[str, bytes]) -> Outcome:
    """Conform files of one of the repository's source contracts as one batch."""
    return conform_with(folder, load_catalog().source(contract), contents)


def conform_with(folder: Path, contract: SourceContract, contents: Mapping[str, bytes]) -> Outcome:
    """Conform files of one source contract as one batch."""
    place = folder / uuid4().hex
    scratch = place / "scratch"
    scratch.mkdir(parents=True)
    files = []
    for number, (name, content) in enumerate(contents.items()):
        path = place / name
        path.write_bytes(content)
        landed = landed_file(
            _FIRST_LOAD_ID + number, f"raw/files/{name}/version", len(content), name
        )
        files.append(RawFile(landed, path))
    conformed = conform_files(
        contract, files, scratch, LIMITS, "test-run", pepper=PEPPER, vault_keys=VAULT_KEYS
    )
    rejected = _read(conformed.quarantine)
    rejected.sort(key=lambda row: (row["load_id"], row["row_number"] or 0))
    return Outcome(conformed.files, _read(conformed.parquet), rejected)


def landed_file(
    load_id: int, raw_location: str, size_bytes: int, object_key: str = "file.csv"
) -> LandedFile:
    """A file version that landed on 2 August 2026."""
    return LandedFile(
        load_id=load_id,
        object_key=object_key,
        raw_location=raw_location,
        size_bytes=size_bytes,
        checksum="0" * 64,
        etag="etag",
        generation=0,
        landed_at=datetime(2026, 8, 2, tzinfo=UTC),
        landed_on=date(2026, 8, 2),
    )


def _read(parquet: Path | None) -> list[dict[str, Any]]:
    return pq.read_table(parquet).to_pylist() if parquet else []
