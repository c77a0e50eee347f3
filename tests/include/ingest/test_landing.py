"""Landing: every version of every file is kept once, as it came."""

from __future__ import annotations

import hashlib
import os
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from include.contracts import load_catalog
from include.ingest import landing
from include.ingest.landing import LandedBatch, land_batch, load_id
from include.ingest.pages import Page, PageBody, PageHead, encode_page
from include.ingest.plan import Batch, Candidate, KnownVersion, LandedFile
from include.lake import DiskLake, LakeError

SALES = load_catalog().source("fleet.sales")
KEY = "machines/sales_VM001_20260101.csv"
LATER = "machines/sales_VM002_20260101.csv"


def deliver(lake: DiskLake, content: bytes, key: str = KEY) -> None:
    lake.write_bytes(f"sources/{key}", content)


def candidate(
    lake: DiskLake, key: str = KEY, current: LandedFile | None = None, earlier_loads: int = 0
) -> Candidate:
    stored = lake.describe(f"sources/{key}")
    known = current and KnownVersion(
        load_id=current.load_id,
        checksum=current.checksum,
        etag=current.etag,
        generation=current.generation,
        contract_fingerprint=SALES.fingerprint,
    )
    return Candidate(
        object_key=key,
        location=stored.key,
        size_bytes=stored.size_bytes,
        etag=stored.etag,
        earlier_loads=earlier_loads,
        current=known,
    )


def land(lake: DiskLake, *candidates: Candidate) -> LandedBatch:
    return land_batch(
        lake, Batch(batch_id="b", source_contract=SALES.id, candidates=candidates), SALES
    )


def versions(lake: DiskLake) -> list[bytes]:
    return [lake.read_bytes(key) for key in sorted(stored.key for stored in lake.list("raw/files"))]


def test_a_file_is_kept_as_it_came_under_its_time_and_checksum(lake):
    deliver(lake, b"a\r\n\xff")

    [landed] = land(lake, candidate(lake)).landed

    checksum = hashlib.sha256(b"a\r\n\xff").hexdigest()
    assert lake.read_bytes(landed.raw_location) == b"a\r\n\xff"
    moment = landed.landed_at.strftime("%Y%m%dT%H%M%S%fZ")
    assert landed.raw_location == f"raw/files/{KEY}/{moment}-{checksum[:16]}"
    assert (landed.checksum, landed.size_bytes, landed.generation) == (checksum, 4, 0)
    assert landed.load_id == load_id(SALES.id, KEY, checksum, SALES.fingerprint, 0)
    assert landed.replaces is None


def test_landing_again_after_a_kill_makes_no_second_copy(lake):
    deliver(lake, b"1")
    first = land(lake, candidate(lake))

    assert land(lake, candidate(lake)) == first
    assert versions(lake) == [b"1"]


def test_a_corrected_file_is_a_second_version_that_replaces_the_first(lake):
    deliver(lake, b"1")
    [first] = land(lake, candidate(lake)).landed
    deliver(lake, b"2")

    [second] = land(lake, candidate(lake, current=first, earlier_loads=1)).landed

    assert versions(lake) == [b"1", b"2"]
    assert second.replaces == first.load_id
    assert second.generation == 1
    assert second.landed_at > first.landed_at


def test_a_file_that_returns_to_an_earlier_content_is_kept_and_loaded_anew(lake):
    deliver(lake, b"1")
    [first] = land(lake, candidate(lake)).landed
    deliver(lake, b"2")
    [second] = land(lake, candidate(lake, current=first, earlier_loads=1)).landed
    deliver(lake, b"1")

    [third] = land(lake, candidate(lake, current=second, earlier_loads=2)).landed

    assert versions(lake) == [b"1", b"2", b"1"]
    assert third.checksum == first.checksum
    assert third.load_id != first.load_id


def test_a_file_that_was_only_touched_is_unchanged(lake):
    deliver(lake, b"1")
    [first] = land(lake, candidate(lake)).landed
    deliver(lake, b"1")
    touched = candidate(lake, current=first, earlier_loads=1)

    result = land(lake, touched)

    assert result.landed == ()
    assert [(file.load_id, file.etag) for file in result.unchanged] == [
        (first.load_id, touched.etag)
    ]
    assert versions(lake) == [b"1"]


def test_two_files_of_one_content_are_two_loads(lake):
    deliver(lake, b"1")
    deliver(lake, b"1", LATER)

    landed = land(lake, candidate(lake), candidate(lake, LATER)).landed

    assert len({file.load_id for file in landed}) == 2
    assert versions(lake) == [b"1", b"1"]


def test_a_file_called_like_the_folder_of_another_has_versions_of_its_own(lake):
    deliver(lake, b"1", "x/sales_VM001_20260101.csv")
    [inner] = land(lake, candidate(lake, "x/sales_VM001_20260101.csv")).landed
    lake.delete("sources/x/sales_VM001_20260101.csv")
    Path(lake._root / "sources/x").rmdir()
    deliver(lake, b"1", "x")

    [outer] = land(lake, candidate(lake, "x")).landed

    assert outer.raw_location != inner.raw_location


def test_a_file_that_cannot_be_read_stops_no_other(lake):
    deliver(lake, b"1")
    deliver(lake, b"2", LATER)
    vanishing, staying = candidate(lake), candidate(lake, LATER)
    lake.delete(vanishing.location)

    result = land(lake, vanishing, staying)

    assert [file.object_key for file in result.landed] == [LATER]
    [failed] = result.failed
    assert failed.object_key == KEY
    assert failed.message.startswith(f"Cannot read 'sources/{KEY}' in the lake (No such file")


def test_a_file_that_is_written_while_it_is_read_is_not_landed(lake, monkeypatch):
    deliver(lake, b"1" * 10)
    chunks = landing._chunks

    def growing(lake: DiskLake, location: str):
        yield from chunks(lake, location)
        with Path(lake._root / location).open("ab") as stream:
            stream.write(b"2")

    monkeypatch.setattr(landing, "_chunks", growing)

    result = land(lake, candidate(lake))

    assert result.failed == ()
    assert "changed while it was read" in result.waiting[0].reason
    assert versions(lake) == []


def test_raw_that_cannot_be_written_fails_the_batch_in_a_sentence(lake):
    deliver(lake, b"1")
    lake.write_bytes("raw/files", b"a file where the folder should be")

    with pytest.raises(LakeError, match=r"Cannot write 'raw/files/.*; check the disk"):
        land(lake, candidate(lake))


def test_the_day_of_landing_is_the_sources_own(lake):
    """00:30 in Tokyo is still the day before in UTC."""
    head = PageHead(
        cursor=None,
        next_cursor="c",
        has_more=False,
        fetched_at=datetime(2026, 1, 1, 15, 30, tzinfo=UTC),
    )
    location = "raw/api/fleet/machine_telemetry/page-00000001.jsonl.gz"
    lake.write_bytes(location, encode_page(Page(head, PageBody(items=("{}",)))))
    stored = lake.describe(location)
    page = Candidate(
        object_key=location.removeprefix("raw/"),
        location=location,
        size_bytes=stored.size_bytes,
        etag=stored.etag,
        earlier_loads=0,
        raw_location=location,
    )

    [landed] = land(lake, page).landed

    assert landed.landed_at == head.fetched_at
    assert landed.landed_on == date(2026, 1, 2)
    assert landed.raw_location == location
    assert versions(lake) == []


def test_a_load_id_is_a_positive_bigint_that_every_part_changes():
    parts = ("fleet.sales", "a.csv", "00", "ff", 0)
    others = [
        ("fleet.sale", "sa.csv", "00", "ff", 0),
        ("fleet.sales", "b.csv", "00", "ff", 0),
        ("fleet.sales", "a.csv", "01", "ff", 0),
        ("fleet.sales", "a.csv", "00", "fe", 0),
        ("fleet.sales", "a.csv", "00", "ff", 1),
    ]

    ids = {load_id(*parts), *(load_id(*other) for other in others)}

    assert len(ids) == 6
    assert all(0 <= identifier < 2**63 for identifier in ids)


def test_a_load_id_never_changes_between_releases():
    assert load_id("fleet.sales", "a.csv", "00", "ff", 0) == 3661382399666501798


def test_a_file_without_permission_is_a_sentence_with_the_remedy(lake):
    deliver(lake, b"1")
    path = Path(lake._root / "sources" / KEY)
    path.chmod(0)
    if os.access(path, os.R_OK):
        pytest.skip("this user may read everything")

    assert (
        "give the user that runs Airflow access to it"
        in land(lake, candidate(lake)).failed[0].message
    )
