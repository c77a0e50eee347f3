"""Files that are still being written wait; the others of their batch do not."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from include.ingest import settle
from include.ingest.plan import Batch, Candidate
from include.lake import DiskLake

NOW = datetime.now(UTC)


class GrowingLake(DiskLake):
    """A lake in which looking at one file makes it longer, until it is complete."""

    def __init__(self, root, growing: str, times: int) -> None:
        super().__init__(root)
        self._growing = growing
        self._times = times
        self.looks = 0

    def describe(self, key: str):
        self.looks += 1
        if key.endswith(self._growing) and self._times > 0:
            self._times -= 1
            with (self._root / key).open("ab") as stream:
                stream.write(b"more")
        return super().describe(key)


def batch(lake: DiskLake, *names: str, modified_at: datetime = NOW) -> Batch:
    candidates = []
    for name in names:
        lake.write_bytes(f"sources/{name}", b"x")
        [seen] = [each for each in lake.list("sources") if each.key == f"sources/{name}"]
        candidates.append(
            Candidate(
                object_key=name,
                location=seen.key,
                size_bytes=seen.size_bytes,
                etag=seen.etag,
                earlier_loads=0,
                modified_at=modified_at,
            )
        )
    return Batch(batch_id="b", source_contract="c", candidates=tuple(candidates), planned_at=NOW)


def test_a_file_that_changes_between_two_looks_waits_and_holds_up_no_other(tmp_path):
    lake = GrowingLake(tmp_path, "growing.csv", times=10)

    settled, waiting = settle.settle(lake, batch(lake, "growing.csv", "whole.csv"))

    assert [file.object_key for file in settled.candidates] == ["whole.csv"]
    assert [(file.object_key, file.reason) for file in waiting] == [
        ("growing.csv", "It is still being written.")
    ]


def test_a_file_that_was_completed_meanwhile_is_taken_as_it_is_now(tmp_path):
    lake = GrowingLake(tmp_path, "growing.csv", times=1)

    settled, waiting = settle.settle(lake, batch(lake, "growing.csv"))

    assert waiting == ()
    [file] = settled.candidates
    assert (file.size_bytes, file.etag) == (5, lake.describe(file.location).etag)


def test_a_file_that_was_left_alone_for_long_is_not_looked_at(tmp_path):
    lake = GrowingLake(tmp_path, "old.csv", times=10)
    planned = batch(lake, "old.csv", modified_at=NOW - timedelta(hours=1))

    assert settle.settle(lake, planned) == (planned, ())
    assert lake.looks == 0


@pytest.mark.parametrize("seconds_ago", [0.0, 0.2])
def test_two_looks_are_at_least_a_pause_apart(tmp_path, monkeypatch, seconds_ago):
    monkeypatch.setattr(settle, "PAUSE_SECONDS", 0.4)
    lake = DiskLake(tmp_path)
    planned_at = datetime.now(UTC) - timedelta(seconds=seconds_ago)
    young = batch(lake, "whole.csv", modified_at=planned_at)
    planned = young.model_copy(update={"planned_at": planned_at})

    settle.settle(lake, planned)

    assert (datetime.now(UTC) - planned_at).total_seconds() >= 0.4


def test_a_file_that_vanished_is_left_to_landing_which_names_it(tmp_path):
    lake = DiskLake(tmp_path)
    planned = batch(lake, "gone.csv")
    lake.delete("sources/gone.csv")

    assert settle.settle(lake, planned) == (planned, ())
