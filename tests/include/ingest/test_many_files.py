"""Discovery of 100,000 files of which 50 are new: seconds, in bounded memory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from include.contracts import load_catalog
from include.warehouse import open_warehouse

REPOSITORY = Path(__file__).parents[3]
FILES, NEW = 100_000, 50
# Measured on two busy cores: 4.4 to 5.5 CPU seconds, and 113 to 120 MB more than before.
CPU_SECONDS = 15.0
MEGABYTES = 160

# A process of its own, so that its peak is that of discovery alone.
DISCOVER = """
import json, re, sys, time
from pathlib import Path
from include.contracts import load_catalog
from include.ingest import steps
from include.ingest.runs import IngestRun
from include.lake import DiskLake
from include.settings import load_settings
from include.warehouse import duckdb

settings = load_settings({"VENDING_DATA_DIR": sys.argv[1]})
lake = DiskLake(settings.lake.root)
load_catalog()
def peak():  # not getrusage, which remembers what the parent had before the fork
    return int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) / 1024

before, started = peak(), time.process_time()
run = IngestRun(lake, "ingest_files", "run")
steps.discover_files(run, settings)
seconds = time.process_time() - started
plan = run.read_plan()
print(json.dumps({"files": plan.files, "removed": plan.removed.count,
                  "seconds": seconds, "megabytes": peak() - before}))
"""

# As the ledger of 99,950 files that were loaded as they lie there.
REMEMBER = """
INSERT INTO ops.load_history BY NAME
SELECT
    hash(object_key) >> 1 AS load_id, 'fleet' AS source, 'fleet.sales' AS source_contract,
    'sales' AS dataset, '1.0.0' AS contract_version, 'f' AS contract_fingerprint, object_key,
    0 AS size_bytes, sha256(object_key) AS checksum, etag, 0 AS generation,
    TIMESTAMP '2026-01-01' AS landed_at, DATE '2026-01-01' AS landed_on, 1 AS rows_read,
    1 AS rows_conformed, 0 AS rows_quarantined, 0 AS rows_duplicate, true AS is_current,
    1 AS loaded_seq, 'earlier' AS run_id, TIMESTAMP '2026-01-01' AS loaded_at,
    'raw/' || object_key AS raw_location
FROM loaded
"""


@pytest.fixture
def delivered(settings, lake):
    """100,000 files on the disk, all but the last 50 of them in the ledger."""
    import pyarrow

    folder = lake._root / "sources" / "sales"
    folder.mkdir(parents=True)
    for number in range(FILES):
        os.mknod(folder / f"sales_VM{number:06}_20260101.csv")
    known = sorted(lake.list("sources"), key=lambda stored: stored.key)[:-NEW]
    columns = {
        "object_key": [stored.key.removeprefix("sources/") for stored in known],
        "etag": [stored.etag for stored in known],
    }
    with open_warehouse(settings.warehouse, lake) as warehouse:
        warehouse.ensure_schema(load_catalog().datasets)
        warehouse._connection.register("loaded", pyarrow.table(columns))
        warehouse._connection.execute(REMEMBER)
    return settings


def test_fifty_new_files_among_a_hundred_thousand_are_found_in_seconds(delivered):
    completed = subprocess.run(
        [sys.executable, "-c", DISCOVER, str(delivered.lake.root)],
        cwd=REPOSITORY, capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    # On a slow machine DuckDB draws a progress bar before.
    found = json.loads(completed.stdout.splitlines()[-1])
    print(found)

    assert (found["files"], found["removed"]) == (NEW, 0)
    assert found["seconds"] < CPU_SECONDS
    assert found["megabytes"] < MEGABYTES
