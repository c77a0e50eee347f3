"""The lake of a laptop: whole objects, keys that stay inside, one sentence for a mistake."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import threading
import time
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest

from include.lake import DiskLake, LakeError, Zone, open_lake
from include.lake.object_store import ObjectLake
from include.settings import DiskLakeSettings, load_settings


@pytest.fixture
def lake(tmp_path: Path) -> DiskLake:
    return DiskLake(tmp_path)


def test_what_is_written_is_listed_and_read_under_its_key(lake):
    key = lake.key(Zone.RAW, "files", "a.csv", "v1")
    lake.write_bytes(key, b"1,2\n")

    [stored] = lake.list("raw/files")

    assert (stored.key, stored.size_bytes) == ("raw/files/a.csv/v1", 4)
    assert lake.read_bytes(stored.key) == b"1,2\n"
    assert lake.describe(stored.key) == stored
    assert lake.exists(stored.key)


def test_a_listing_goes_to_any_depth_and_ignores_names_with_a_dot_in_front(lake, tmp_path):
    for name in ("a.csv", "x/y/z/b.csv", ".DS_Store", "x/.hidden.tmp", ".git/c.csv"):
        path = tmp_path / "sources" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")

    keys = {stored.key for stored in lake.list("sources/")}

    assert keys == {"sources/a.csv", "sources/x/y/z/b.csv"}


def test_a_link_that_leaves_the_lake_is_not_followed(lake, tmp_path):
    outside = tmp_path.parent / f"{tmp_path.name}-outside"
    outside.mkdir()
    (outside / "secret.csv").write_bytes(b"")
    (tmp_path / "sources").mkdir()
    (tmp_path / "sources" / "link").symlink_to(outside)

    assert list(lake.list("sources")) == []


def test_a_folder_that_is_not_there_is_empty(lake):
    assert list(lake.list("sources/never/made")) == []


def test_a_changed_file_has_another_etag(lake, tmp_path):
    lake.write_bytes("sources/a.csv", b"1")
    before = lake.describe("sources/a.csv").etag
    status = (tmp_path / "sources/a.csv").stat()
    os.utime(tmp_path / "sources/a.csv", ns=(status.st_atime_ns, status.st_mtime_ns + 1))

    assert lake.describe("sources/a.csv").etag != before


@pytest.mark.parametrize("part", ["..", ".", "", "a/../../b", "nul\0"])
def test_a_key_cannot_leave_its_zone(lake, part):
    with pytest.raises(LakeError, match="is not a key inside raw/; rename the file"):
        lake.key(Zone.RAW, "files", part)


def test_readers_see_the_old_or_the_new_object_and_nothing_between(lake):
    versions = {bytes([letter]) * 300_000 for letter in b"ab"}
    lake.write_bytes("staging/x", b"a" * 300_000)
    stop = threading.Event()

    def write() -> None:
        while not stop.is_set():
            for content in versions:
                lake.write_bytes("staging/x", content)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        seen = {lake.read_bytes("staging/x") for _ in range(300)}
    finally:
        stop.set()
        writer.join()

    assert seen <= versions


def test_a_writer_that_is_killed_leaves_no_object(lake, tmp_path):
    script = (
        "import os, signal, sys\n"
        "from pathlib import Path\n"
        "from include.lake import DiskLake\n"
        "real = Path.write_bytes\n"
        "def die(path, content):\n"
        "    real(path, content[:3])\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
        "Path.write_bytes = die\n"
        "DiskLake(Path(sys.argv[1])).write_bytes('staging/x', b'123456')\n"
    )
    repository = Path(__file__).parents[3]

    killed = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)], cwd=repository, timeout=60, check=False
    )

    assert killed.returncode == -9
    assert not lake.exists("staging/x")
    assert list(lake.list("staging")) == []


def test_a_file_is_moved_into_the_lake(lake):
    with lake.scratch() as scratch:
        made = scratch / "made.parquet"
        made.write_bytes(b"PAR1")
        lake.put_file(made, "staging/sales/made.parquet")
        assert not made.exists()

    assert lake.read_bytes("staging/sales/made.parquet") == b"PAR1"


def test_the_scratch_folder_disappears_with_its_block(lake):
    with suppress(ZeroDivisionError), lake.scratch() as scratch:
        (scratch / "half").write_bytes(b"x")
        raise ZeroDivisionError

    assert not scratch.exists()


def test_scratch_that_a_killed_task_left_is_removed_by_the_next(lake, tmp_path):
    left, fresh = (tmp_path / ".scratch" / name for name in ("left", "fresh"))
    left.mkdir(parents=True)
    (left / "half").write_bytes(b"x")
    fresh.mkdir()
    with lake.scratch() as at_work:
        for folder in (left, at_work):
            os.utime(folder, (time.time() - 120, time.time() - 120))

        with lake.scratch():
            assert not left.exists()
            assert at_work.exists()
            assert fresh.exists()


def test_local_paths_are_the_objects_themselves(lake):
    lake.write_bytes("raw/a", b"1")
    with lake.local_paths(["raw/a"]) as [path]:
        assert path.read_bytes() == b"1"


def test_deleting_what_is_not_there_is_no_error(lake):
    lake.delete("staging/never")


def test_an_absent_object_is_a_sentence_with_the_remedy(lake):
    for attempt in (lake.open, lake.describe, lake.read_bytes):
        with pytest.raises(LakeError, match=r"Cannot read 'raw/x' .*; put it back or rebuild"):
            attempt("raw/x")


def test_a_place_that_cannot_be_written_is_a_sentence_with_the_remedy(lake, tmp_path):
    (tmp_path / "staging").write_bytes(b"a file where a folder should be")

    with pytest.raises(LakeError, match=r"Cannot write 'staging/x' in the lake .*; check the disk"):
        lake.write_bytes("staging/x", b"1")


def test_a_full_disk_is_a_sentence_with_the_remedy(lake, monkeypatch):
    def fail(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "write_bytes", fail)

    with pytest.raises(LakeError, match=r"No space left on device\); free space on the disk"):
        lake.write_bytes("staging/x", b"1")


def test_of_two_writers_of_a_new_object_one_writes(lake):
    assert lake.create_bytes("staging/marker", b"first")
    assert not lake.create_bytes("staging/marker", b"second")

    assert lake.read_bytes("staging/marker") == b"first"
    assert [stored.key for stored in lake.list("staging")] == ["staging/marker"]


def test_a_listing_can_be_bounded_by_the_time_of_change(lake, tmp_path):
    for name, moment in (("old", 1_000), ("new", 2_000)):
        lake.write_bytes(f"sources/{name}", b"1")
        os.utime(tmp_path / "sources" / name, (moment, moment))
    border = datetime.fromtimestamp(2_000, UTC)

    assert [stored.key for stored in lake.list("sources", since=border)] == ["sources/new"]
    assert [stored.key for stored in lake.list("sources", before=border)] == ["sources/old"]


def test_the_settings_choose_the_lake(tmp_path):
    assert isinstance(open_lake(DiskLakeSettings(root=tmp_path)), DiskLake)
    cloud = load_settings({"VENDING_ENV": "staging", "VENDING_COMPANY": "acme"})
    assert isinstance(open_lake(cloud.lake), ObjectLake)
