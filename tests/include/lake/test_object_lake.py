"""The lake in a bucket: the same keys as on disk, whole objects, encrypted and classified."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from io import BytesIO
from itertools import count

import pytest
from botocore.exceptions import ResponseStreamingError

from include.lake import Lake, LakeError, StoredObject, Zone, open_lake
from include.lake.object_store import PART_BYTES
from include.lake.object_stream import ObjectStream
from include.settings import CODE_ROOT, ObjectLakeSettings, ObjectStore
from tests.services.aws import Aws, running_aws

_numbers = count()


@pytest.fixture(scope="module")
def aws() -> Iterator[Aws]:
    with running_aws() as server:
        yield server


@pytest.fixture
def bucket(aws: Aws) -> str:
    name = f"acme-vending-data-{next(_numbers)}"
    aws.make_bucket(name)
    return name


@pytest.fixture
def settings(aws: Aws, bucket: str, monkeypatch: pytest.MonkeyPatch) -> ObjectLakeSettings:
    monkeypatch.setenv("AIRFLOW_CONN_LAKE", json.dumps(aws.connection))
    return ObjectLakeSettings(bucket=bucket, connection_id="lake", encryption="AES256")


@pytest.fixture
def lake(settings: ObjectLakeSettings) -> Lake:
    return open_lake(settings)


def deliver(aws: Aws, bucket: str, key: str, content: bytes = b"1") -> None:
    aws.client("s3").put_object(Bucket=bucket, Key=key, Body=content)


def test_what_is_written_is_listed_described_and_read_under_its_key(lake):
    key = lake.key(Zone.PROCESSED, "sales", "batch.parquet")
    lake.write_bytes(key, b"PAR1")

    [stored] = lake.list("staging/sales")

    assert (stored.key, stored.size_bytes) == ("staging/sales/batch.parquet", 4)
    assert lake.describe(key).etag == stored.etag
    assert lake.read_bytes(key) == b"PAR1"
    assert lake.open(key).read() == b"PAR1"
    assert lake.exists(key)
    assert stored.modified_at.tzinfo is not None


def test_every_zone_has_its_folder_in_the_bucket(lake, aws, bucket):
    for key in (
        "sources/sales/sales_VM001_20260101.csv",
        "raw/files/sales/a.csv/20260101T000000000000Z-0123456789abcdef",
        "raw/api/fleet/telemetry/page-00000001.jsonl.gz",
        "staging/sales/batch.parquet",
        "quarantine/sales/batch.parquet",
        "dbt-artifacts/run/run_results.json",
    ):
        lake.write_bytes(key, b"1")

    listed = aws.client("s3").list_objects_v2(Bucket=bucket)["Contents"]

    assert {entry["Key"] for entry in listed} == {
        "raw-data/sales/sales_VM001_20260101.csv",
        "raw-data/versions/files/sales/a.csv/20260101T000000000000Z-0123456789abcdef",
        "raw-data/api/fleet/telemetry/page-00000001.jsonl.gz",
        "processed-data/sales/batch.parquet",
        "quarantine/sales/batch.parquet",
        "dbt-artifacts/run/run_results.json",
    }


def test_deliveries_are_found_in_any_folder_but_never_what_the_pipeline_keeps(lake, aws, bucket):
    for key in ("sales/a.csv", "master-data/x/products.csv", "loose.csv", "versions-of-mine/b.csv"):
        deliver(aws, bucket, f"raw-data/{key}")
    lake.write_bytes("raw/files/sales/a.csv/version", b"1")
    lake.write_bytes("raw/api/fleet/telemetry/page-00000001.jsonl.gz", b"1")

    assert {stored.key for stored in lake.list("sources/")} == {
        "sources/sales/a.csv",
        "sources/master-data/x/products.csv",
        "sources/loose.csv",
        "sources/versions-of-mine/b.csv",
    }
    assert {stored.key for stored in lake.list("raw")} == {
        "raw/files/sales/a.csv/version",
        "raw/api/fleet/telemetry/page-00000001.jsonl.gz",
    }


def test_a_delivery_cannot_take_the_place_of_a_version(lake):
    with pytest.raises(LakeError, match="is not a place for deliveries"):
        lake.write_bytes("sources/versions/files/a.csv", b"1")


def test_markers_of_folders_hidden_names_and_broken_names_are_not_objects(lake, aws, bucket):
    for key in ("sales/", "sales/.DS_Store", ".git/a.csv", "sales//a.csv", "sales/../b.csv"):
        deliver(aws, bucket, f"raw-data/{key}")
    deliver(aws, bucket, "raw-data/sales/a.csv")

    assert [stored.key for stored in lake.list("sources")] == ["sources/sales/a.csv"]


def test_a_listing_does_not_leave_its_folder(lake):
    lake.write_bytes("staging/sales/a.parquet", b"1")
    lake.write_bytes("staging/sales-returns/b.parquet", b"1")

    assert [stored.key for stored in lake.list("staging/sales")] == ["staging/sales/a.parquet"]


def test_a_listing_reads_every_page(lake, aws, bucket, monkeypatch):
    monkeypatch.setattr("include.lake.object_store._LISTED_AT_ONCE", 3)
    for number in range(10):
        deliver(aws, bucket, f"raw-data/sales/{number}.csv")

    assert len(list(lake.list("sources"))) == 10


def test_a_listing_can_be_bounded_by_the_time_of_change(lake):
    lake.write_bytes("sources/sales/a.csv", b"1")
    [stored] = lake.list("sources")

    assert list(lake.list("sources", since=stored.modified_at)) == [stored]
    assert list(lake.list("sources", since=stored.modified_at + timedelta(seconds=1))) == []
    assert list(lake.list("sources", before=stored.modified_at)) == []


def test_staging_sends_no_key_even_if_one_is_named(settings, aws, bucket):
    lake = open_lake(settings._replace(kms_key_id="alias/of-the-logs"))
    sent = []
    lake._client("staging/x").meta.events.register(
        "before-send.s3.PutObject", lambda request, **_: sent.append(dict(request.headers))
    )

    lake.write_bytes("staging/x", b"1")

    assert [name for name in sent[0] if "kms" in name.lower()] == []


def test_staging_is_encrypted_with_aes256_and_every_object_is_classified(lake, aws, bucket):
    lake.write_bytes("staging/sales/a.parquet", b"1")
    lake.write_bytes("raw/files/a.csv/v1", b"1")

    assert stored_with(aws, bucket, "processed-data/sales/a.parquet") == ("AES256", None)
    assert tags(aws, bucket, "processed-data/sales/a.parquet") == {"classification": "internal"}
    assert tags(aws, bucket, "raw-data/versions/files/a.csv/v1") == {"classification": "restricted"}


@pytest.mark.parametrize("size", [10, PART_BYTES + 10])
def test_prod_is_encrypted_with_its_key_however_large_an_object_is(
    settings, aws, bucket, size, tmp_path
):
    prod = settings._replace(encryption="aws:kms", kms_key_id="alias/lake")
    made = tmp_path / "made.parquet"
    made.write_bytes(b"x" * size)

    open_lake(prod).put_file(made, "staging/sales/made.parquet")

    encryption, key = stored_with(aws, bucket, "processed-data/sales/made.parquet")
    assert (encryption, key) == ("aws:kms", "alias/lake")
    assert tags(aws, bucket, "processed-data/sales/made.parquet") == {"classification": "internal"}


def stored_with(aws: Aws, bucket: str, key: str) -> tuple[str, str | None]:
    head = aws.client("s3").head_object(Bucket=bucket, Key=key)
    return head["ServerSideEncryption"], head.get("SSEKMSKeyId")


def tags(aws: Aws, bucket: str, key: str) -> dict[str, str]:
    answer = aws.client("s3").get_object_tagging(Bucket=bucket, Key=key)
    return {tag["Key"]: tag["Value"] for tag in answer["TagSet"]}


def test_r2_gets_neither_tags_nor_encryption_nor_new_checksums(settings):
    lake = open_lake(settings._replace(store=ObjectStore.R2))
    config = lake._client("staging/x").meta.config
    sent = []
    lake._client("staging/x").meta.events.register(
        "before-send.s3.PutObject", lambda request, **_: sent.append(dict(request.headers))
    )

    lake.write_bytes("staging/x", b"1")

    assert config.request_checksum_calculation == "when_required"
    assert config.response_checksum_validation == "when_required"
    assert [
        name for name in sent[0] if "tagging" in name.lower() or "encrypt" in name.lower()
    ] == []


def test_what_vendors_sent_is_reached_through_a_connection_of_its_own(
    settings: ObjectLakeSettings, aws: Aws, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = settings._replace(restricted_connection_id="restricted_lake")
    nowhere = aws.connection | {"extra": {"endpoint_url": "http://127.0.0.1:9"}}
    monkeypatch.setenv("AIRFLOW_CONN_RESTRICTED_LAKE", json.dumps(aws.connection))
    open_lake(own).write_bytes("sources/a.csv", b"1")
    monkeypatch.setenv("AIRFLOW_CONN_LAKE", json.dumps(nowhere))
    lake = open_lake(own)
    assert lake.read_bytes("sources/a.csv") == b"1"
    assert [stored.key for stored in lake.list("sources")] == ["sources/a.csv"]


def test_a_large_file_is_sent_in_parts_and_comes_back_whole(lake, aws, bucket, tmp_path):
    made = tmp_path / "made.parquet"
    content = bytes(range(256)) * (PART_BYTES // 128)
    made.write_bytes(content)

    lake.put_file(made, "staging/sales/made.parquet")

    assert not made.exists()
    assert lake.describe("staging/sales/made.parquet").etag.endswith("-2")
    with lake.local_paths(["staging/sales/made.parquet"]) as [path]:
        assert path.read_bytes() == content


def test_local_paths_keep_their_order_and_disappear_with_the_block(lake):
    keys = [f"raw/files/{name}/v1" for name in "abc"]
    for key in keys:
        lake.write_bytes(key, key.encode())

    with lake.local_paths(reversed(keys)) as paths:
        assert [path.read_bytes().decode() for path in paths] == keys[::-1]
    with lake.local_paths([]) as none:
        assert none == ()

    assert not any(path.exists() for path in paths)


def test_of_two_writers_of_a_new_object_one_writes(lake):
    outcomes = []
    writers = [
        threading.Thread(
            target=lambda n=n: outcomes.append(lake.create_bytes("staging/m", bytes([n])))
        )
        for n in range(4)
    ]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()

    assert sorted(outcomes) == [False, False, False, True]


def test_a_stream_goes_on_where_the_connection_broke(lake):
    content = bytes(range(256)) * 10_000
    lake.write_bytes("sources/sales/a.csv", content)
    breaks = iter([100_000, 1_200_000])
    real = lake._body

    def fragile(stored: StoredObject, start: int) -> object:
        body = real(stored, start)
        return BreakingBody(body, next(breaks, None))

    lake._body = fragile
    with lake.open("sources/sales/a.csv") as stream:
        assert stream.read() == content


class BreakingBody:
    """An answer that breaks off once so many bytes were read."""

    def __init__(self, body: object, after: int | None) -> None:
        self._body, self._after, self._read = body, after, 0

    def read(self, size: int) -> bytes:
        if self._after is not None:
            if self._read >= self._after:
                raise ResponseStreamingError(error="connection reset")
            size = min(size, self._after - self._read)
        chunk = self._body.read(size)
        self._read += len(chunk)
        return chunk

    def close(self) -> None:
        self._body.close()


def test_a_stream_that_keeps_breaking_says_where(monkeypatch):
    monkeypatch.setattr("include.lake.object_stream._ATTEMPTS", 2)
    stored = StoredObject("raw/files/a/v", 10, "etag", datetime(2026, 1, 1, tzinfo=UTC))

    with pytest.raises(LakeError, match=r"Cannot read 'raw/files/a/v' .* to its end .* at byte 0"):
        ObjectStream(stored, lambda _: BreakingBody(BytesIO(), 0)).read(5)


def test_a_file_that_was_replaced_meanwhile_is_not_mixed_with_its_successor(lake):
    lake.write_bytes("sources/sales/a.csv", b"a" * 10)
    stream = lake.open("sources/sales/a.csv")
    lake.write_bytes("sources/sales/a.csv", b"b" * 10)

    with pytest.raises(LakeError, match="to its end"):
        stream.read()


def test_an_empty_object_is_read_as_empty(lake):
    lake.write_bytes("sources/sales/a.csv", b"")

    assert lake.open("sources/sales/a.csv").read() == b""


def test_an_absent_object_is_a_sentence_with_the_remedy(lake):
    for attempt in (lake.open, lake.describe, lake.read_bytes):
        with pytest.raises(LakeError, match=r"Cannot read 'raw/x' .*; put it back or rebuild"):
            attempt("raw/x")
    assert not lake.exists("raw/x")
    lake.delete("raw/x")


def test_a_missing_bucket_and_a_store_that_does_not_answer_are_sentences(settings, monkeypatch):
    gone = open_lake(settings._replace(bucket="acme-gone"))
    with pytest.raises(LakeError, match=r"acme-gone \(NoSuchBucket\); make the bucket or correct"):
        list(gone.list("sources"))

    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    monkeypatch.setenv(
        "AIRFLOW_CONN_LAKE",
        json.dumps(
            {
                "conn_type": "aws",
                "login": "x",
                "password": "hidden-secret",
                "extra": {
                    "endpoint_url": f"http://127.0.0.1:{port}",
                    "region_name": "auto",
                    "config_kwargs": {"retries": {"total_max_attempts": 1}},
                },
            }
        ),
    )
    with pytest.raises(LakeError, match="check the connection 'lake'") as caught:
        open_lake(settings).read_bytes("raw/x")
    assert "hidden-secret" not in str(caught.value)


def test_keys_longer_than_a_store_takes_are_refused(lake):
    with pytest.raises(LakeError, match="longer than an object's key may be"):
        lake.key(Zone.RAW, "files", "x" * 1_010)


def test_a_stream_hands_over_a_megabyte_at_a_time(lake):
    lake.write_bytes("sources/sales/a.csv", b"x" * 5_000_000)
    with lake.open("sources/sales/a.csv") as stream:
        sizes = [len(chunk) for chunk in iter(stream.read1, b"")]

    assert sum(sizes) == 5_000_000
    assert max(sizes) <= 1 << 20


MEASURE = """
import resource, sys
from pathlib import Path
from include.lake import open_lake
from include.settings import ObjectLakeSettings

def peak_mb():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

lake = open_lake(
    ObjectLakeSettings(bucket=sys.argv[1], connection_id="lake", encryption="AES256")
)
made, size_mb = Path(sys.argv[2]), int(sys.argv[3])
lake.write_bytes("staging/warm", b"1")
with made.open("wb") as file:
    for _ in range(size_mb):
        file.write(bytes(1 << 20))
before = peak_mb()
lake.put_file(made, "staging/large")
with lake.local_paths(["staging/large"]) as [path]:
    assert path.stat().st_size == size_mb << 20
with lake.open("staging/large") as stream:
    assert sum(len(chunk) for chunk in iter(stream.read1, b"")) == size_mb << 20
print(peak_mb() - before)
"""


def test_of_an_object_of_any_size_a_few_parts_are_in_memory(settings, bucket, tmp_path):
    size_mb = 128
    made = tmp_path / "made"
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, bucket, str(made), str(size_mb)],
        cwd=CODE_ROOT,
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )

    assert done.returncode == 0, done.stderr[-2000:]
    assert float(done.stdout.split()[-1]) < 5 * PART_BYTES / (1 << 20)
