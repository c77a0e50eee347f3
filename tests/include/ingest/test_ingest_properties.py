"""Whatever is in the files: through conform, load and ledger no row is lost, none counts twice.

Two thousand mutated files in CI, a tenth of them with more than a thousand rows; each example is
one delivery of forty, its repetition, and a correction of one file.
"""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path

import duckdb
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from include.lake import DiskLake
from include.settings import load_settings
from tests.include.ingest.mutations import mutated_sales, rows_in
from tests.include.ingest.running import Ingest

_DELIVERIES = 50
_FILES = 40
_LARGE_FILES = 4
assert _DELIVERIES * _FILES >= 2_000
assert _LARGE_FILES * 10 >= _FILES

_small = mutated_sales(st.integers(0, 6))
_large = mutated_sales(st.integers(1_001, 1_100))
_deliveries = st.tuples(
    st.lists(_small, min_size=_FILES - _LARGE_FILES, max_size=_FILES - _LARGE_FILES),
    st.lists(_large, min_size=_LARGE_FILES, max_size=_LARGE_FILES),
)

# By load: what the ledger says, and what the tables hold.
_BALANCE = """
    SELECT h.object_key, h.rows_read, h.rows_conformed, h.rows_quarantined, h.rows_duplicate,
        (SELECT count(*) FROM raw.sales r WHERE r._load_id = h.load_id),
        (SELECT count(row_number) FROM ops.quarantine q WHERE q.load_id = h.load_id),
        (SELECT count(*) - count(row_number) FROM ops.quarantine q WHERE q.load_id = h.load_id),
        (SELECT count(*) FROM raw.sales)
    FROM ops.load_history h WHERE h.is_current
"""
_EVERYTHING = (
    "SELECT * FROM raw.sales ORDER BY ALL",
    "SELECT * FROM ops.load_history ORDER BY ALL",
    "SELECT * FROM ops.quarantine ORDER BY ALL",
)


# A hundred seconds on a core of its own, more where it is shared.
@pytest.mark.timeout(900)
@settings(
    max_examples=_DELIVERIES,
    deadline=None,
    print_blob=True,
    # A batch of forty files has little to gain from being made smaller for minutes.
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
    suppress_health_check=list(HealthCheck),
)
@given(_deliveries, _small, st.integers(0, _FILES - 1))
def test_every_row_of_mutated_files_is_loaded_once_or_in_quarantine(
    delivery: tuple[list[bytes], list[bytes]], correction: bytes, corrected: int
) -> None:
    contents = {
        f"sales_VM{number:03d}_20260801.csv": content
        for number, content in enumerate(delivery[0] + delivery[1])
    }
    with tempfile.TemporaryDirectory() as folder:
        ingest = _ingest(Path(folder) / "data")
        _deliver(ingest, contents)
        assert ingest().rows_read == sum(map(rows_in, contents.values()))
        _assert_balanced(ingest, contents)

        before = _everything(ingest)
        assert ingest().files == 0
        assert _everything(ingest) == before

        name = f"sales_VM{corrected:03d}_20260801.csv"
        _deliver(ingest, {name: correction})
        ingest()
        _assert_balanced(ingest, contents | {name: correction})


def _ingest(folder: Path) -> Ingest:
    configured = load_settings({"VENDING_DATA_DIR": str(folder)})
    return Ingest(DiskLake(configured.lake.root), configured)


def _deliver(ingest: Ingest, contents: dict[str, bytes]) -> None:
    # Old enough that no run waits for its end.
    modified = time.time() - 3600 + ingest.runs
    for name, content in contents.items():
        ingest.deliver(name, content)
        os.utime(Path(ingest.settings.lake.root) / "sources" / name, (modified, modified))


def _everything(ingest: Ingest) -> list[list[tuple]]:
    with duckdb.connect(str(ingest.settings.warehouse.path), read_only=True) as connection:
        return [connection.execute(statement).fetchall() for statement in _EVERYTHING]


def _assert_balanced(ingest: Ingest, contents: dict[str, bytes]) -> None:
    loads = ingest.rows(_BALANCE)
    assert {key for key, *_ in loads} == contents.keys()
    assert len(loads) == len(contents)
    for key, read, conformed, rejected, duplicates, in_raw, *held, all_in_raw in loads:
        rows_held, files_held = held
        assert read == rows_in(contents[key]) == conformed + rejected + duplicates
        assert in_raw == conformed
        assert rows_held == rejected or (files_held == 1 and rows_held == 0)
        assert all_in_raw == sum(load[2] for load in loads)
