"""What S3 does now and then: refuse, fail, dawdle, break off. Bounded, told, nothing half-done."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from include.ingest import settle
from include.lake import Lake, LakeError, open_lake
from include.lake.connection import ATTEMPTS
from include.lake.object_store import PART_BYTES
from include.settings import ObjectLakeSettings, Settings, load_settings
from tests.include.ingest.running import Ingest, products, sales
from tests.services.aws import running_aws
from tests.services.faulty_s3 import Fault, FaultyS3, running_faulty_s3

_numbers = count()
SLOW, CUT = Fault(seconds_before=1.2), Fault(is_cut=True)
TRANSIENT = [Fault(500), Fault(503), SLOW, CUT]
# How often one request is tried, where it need not be often.
TRIES = 2
CONTENT = bytes(range(256)) * 4_000


@dataclass(frozen=True)
class Store:
    """A lake behind the proxy."""

    lake: Lake
    proxy: FaultyS3
    settings: ObjectLakeSettings

    def attempt(self, operation: str, scratch: Path) -> Any:
        """Do one of the things that tasks do with a lake."""
        if operation == "list":
            return [stored.key for stored in self.lake.list("staging")]
        if operation == "read":
            return self.lake.read_bytes("staging/a")
        if operation == "download":
            with self.lake.local_paths(["staging/a"]) as [path]:
                return path.read_bytes()
        if operation == "write":
            return self.lake.write_bytes("staging/b", CONTENT)
        made = scratch / "made"
        made.write_bytes(b"x" * (PART_BYTES + 1))
        return self.lake.put_file(made, "staging/b")


@pytest.fixture(scope="module")
def proxy() -> Iterator[FaultyS3]:
    with running_aws() as aws, running_faulty_s3(aws) as faulty:
        yield faulty


def connection(proxy: FaultyS3, tries: int) -> str:
    """The connection of the lake, with so many tries of a request and a second for each answer."""
    config = {"retries": {"mode": "standard", "total_max_attempts": tries}, "read_timeout": 1}
    through = proxy.aws.connection
    return json.dumps(through | {"extra": through["extra"] | {"config_kwargs": config}})


@pytest.fixture
def store(proxy: FaultyS3, monkeypatch: pytest.MonkeyPatch) -> Store:
    proxy.fail()
    monkeypatch.setenv("AIRFLOW_CONN_LAKE", connection(proxy, TRIES))
    bucket = f"acme-vending-data-{next(_numbers)}"
    proxy.aws.make_bucket(bucket)
    settings = ObjectLakeSettings(bucket=bucket, connection_id="lake", encryption="AES256")
    lake = open_lake(settings)
    lake.write_bytes("staging/a", CONTENT)
    return Store(lake, proxy, settings)


OPERATIONS = {
    "list": ["staging/a"],
    "read": CONTENT,
    "download": CONTENT,
    "write": None,
    "send in parts": None,
}


@pytest.mark.parametrize("fault", TRANSIENT, ids=str)
@pytest.mark.parametrize("operation", list(OPERATIONS))
def test_what_passes_is_tried_again(
    store: Store, tmp_path: Path, operation: str, fault: Fault
) -> None:
    store.proxy.fail(fault)

    assert store.attempt(operation, tmp_path) == OPERATIONS[operation]

    assert store.proxy.met == [fault]


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (Fault(403), r"\((403|AccessDenied)\); give the role of this environment access to it"),
        (Fault(503), r"\((503|SlowDown)\); check the connection 'lake'"),
        (CUT, r"in the lake .*run the task again"),
    ],
    ids=str,
)
@pytest.mark.parametrize("operation", ["list", "write"])
def test_what_does_not_pass_is_one_sentence_after_a_bounded_number_of_tries(
    store: Store, tmp_path: Path, operation: str, fault: Fault, said: str
) -> None:
    store.proxy.fail_for_ever(fault)

    with pytest.raises(LakeError, match=said):
        store.attempt(operation, tmp_path)

    assert len(store.proxy.met) <= TRIES


def test_only_a_404_means_that_an_object_is_absent(store: Store) -> None:
    store.proxy.fail(Fault(404))
    assert not store.lake.exists("staging/a")

    store.proxy.fail(Fault(403))
    with pytest.raises(LakeError, match="give the role of this environment access to it"):
        store.lake.exists("staging/a")


def test_a_conditional_write_whose_answer_was_lost_counts_as_written(store: Store) -> None:
    store.proxy.fail(CUT)
    assert store.lake.create_bytes("staging/once", b"ours")
    assert store.proxy.met == [CUT]

    store.proxy.fail(CUT)
    assert not store.lake.create_bytes("staging/once", b"theirs")
    assert store.lake.read_bytes("staging/once") == b"ours"


def test_a_file_that_could_not_be_sent_leaves_nothing_and_stays_here(
    store: Store, tmp_path: Path
) -> None:
    store.proxy.fail_for_ever(Fault(503))
    with pytest.raises(LakeError):
        store.attempt("send in parts", tmp_path)

    store.proxy.fail()
    assert (tmp_path / "made").stat().st_size == PART_BYTES + 1
    assert not store.lake.exists("staging/b")


@pytest.fixture
def ingest(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ingest:
    """The steps of ingest over the lake behind the proxy, into a DuckDB."""
    monkeypatch.setattr(settle, "PAUSE_SECONDS", 0.0)
    dev = load_settings({"VENDING_DATA_DIR": str(tmp_path / "data")})
    settings: Settings = dev._replace(lake=store.settings)
    return Ingest(store.lake, settings)


def test_a_run_of_ingest_loads_every_row_once_through_all_of_it(
    store: Store, ingest: Ingest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_LAKE", connection(store.proxy, ATTEMPTS))
    ingest.lake = open_lake(store.settings)
    for machine in ("VM001", "VM002", "VM003"):
        ingest.deliver(f"sales_{machine}_20260101.csv", sales(machine, 100, 200, "cheap"))
    ingest.deliver("products.csv", products("Tea"))

    clear = [None] * 4
    store.proxy.fail_for_ever(*(each for fault in TRANSIENT for each in (*clear, fault)))
    summary = ingest()
    met = set(store.proxy.met)
    store.proxy.fail()

    assert met == set(TRANSIENT)
    assert (summary.rows_read, summary.rows_conformed, summary.rows_quarantined) == (10, 7, 3)
    assert ingest.rows("SELECT count(*), count(DISTINCT machine_id) FROM raw.sales") == [(6, 3)]
    assert ingest().rows_read == 0


@pytest.mark.parametrize("fault", [Fault(403), Fault(503)], ids=str)
def test_a_run_that_the_store_refuses_loads_nothing_and_the_next_one_loads_all(
    store: Store, ingest: Ingest, fault: Fault
) -> None:
    ingest.deliver("products.csv", products("Tea", "Coffee"))
    store.proxy.fail_for_ever(fault)
    with pytest.raises(LakeError, match="in the lake"):
        ingest()

    store.proxy.fail()
    assert ingest().rows_conformed == 2
