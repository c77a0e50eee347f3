"""The lake on R2, and a copy of it there: workerd's R2 behind miniflare's endpoint of S3."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from deploy.cloudflare.local_cloudflare import LocalCloudflare
from include.lake import DiskLake, Lake, LakeError, Zone, open_lake
from include.lake import copy_tasks as tasks
from include.lake.copy import CopyDiffersError
from include.lake.object_store import PART_BYTES
from include.settings import ObjectLakeSettings, ObjectStore, load_settings

BUCKET = "lake"
SETTINGS = ObjectLakeSettings(
    store=ObjectStore.R2, bucket=BUCKET, connection_id="r2", encryption="AES256"
)


@pytest.fixture
def connection(cloudflare: LocalCloudflare, monkeypatch: pytest.MonkeyPatch) -> None:
    connection = {
        "conn_type": "aws",
        "login": "local",
        "password": cloudflare.s3_secret,
        "extra": {"endpoint_url": cloudflare.s3},
    }
    monkeypatch.setenv("AIRFLOW_CONN_R2", json.dumps(connection))


@pytest.fixture
def r2(connection: None) -> Lake:
    return open_lake(SETTINGS)


def test_r2_is_a_lake_as_any_other(r2: Lake, tmp_path: Path) -> None:
    key = r2.key(Zone.PROCESSED, "sales", "batch.parquet")
    r2.write_bytes(key, b"PAR1")
    assert r2.read_bytes(key) == r2.open(key).read() == b"PAR1"
    assert [stored.key for stored in r2.list("staging/sales")] == [key]
    assert r2.create_bytes("staging/mark", b"1")
    assert not r2.create_bytes("staging/mark", b"2")

    large = tmp_path / "large"
    large.write_bytes(b"x" * (2 * PART_BYTES + 1))
    r2.put_file(large, "staging/large")
    assert r2.describe("staging/large").size_bytes == 2 * PART_BYTES + 1

    for written in (key, "staging/mark", "staging/large"):
        r2.delete(written)
    assert list(r2.list("staging")) == []


def test_r2_is_reached_by_path_in_its_one_region_without_new_checksums(r2: Lake) -> None:
    config = r2._client("staging/x").meta.config
    assert config.region_name == "auto"
    assert config.s3["addressing_style"] == "path"
    assert config.request_checksum_calculation == "when_required"
    assert config.response_checksum_validation == "when_required"


def test_r2_without_an_endpoint_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_R2", json.dumps({"conn_type": "aws", "login": "a"}))
    with pytest.raises(LakeError, match="has no endpoint_url in its extra"):
        list(open_lake(SETTINGS).list("raw"))


def test_a_wrong_secret_is_told_without_showing_it(
    connection: None, cloudflare: LocalCloudflare, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = {
        "conn_type": "aws",
        "login": "local",
        "password": "not-the-secret",  # pragma: allowlist secret
        "extra": {"endpoint_url": cloudflare.s3},
    }
    monkeypatch.setenv("AIRFLOW_CONN_R2", json.dumps(wrong))
    with pytest.raises(LakeError, match=r"in the lake lake \(\w+\)") as caught:
        open_lake(SETTINGS).read_bytes("raw/x")
    assert "not-the-secret" not in str(caught.value)


def test_the_dag_copies_the_lake_to_r2_and_its_check_finds_what_somebody_deleted(
    r2: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = load_settings(
        {
            "VENDING_DATA_DIR": str(tmp_path / "lake"),
            "VENDING_LAKE_COPY_CONNECTION": "r2",
            "VENDING_LAKE_COPY_BUCKET": BUCKET,
        }
    )
    context = {
        "params": {tasks.DELETE_EXTRA: False, tasks.READ_BACK: True},
        "dag_run": SimpleNamespace(start_date=None),
    }
    monkeypatch.setattr(tasks, "current_settings", lambda: settings)
    monkeypatch.setattr(tasks, "get_current_context", lambda: context)
    lake = DiskLake(tmp_path / "lake")
    lake.write_bytes("raw/files/sales/a.csv/1", b"1")
    lake.write_bytes("staging/sales/a.parquet", b"x" * (PART_BYTES + 1))
    for layer in ("bronze", "silver"):
        tasks.copy_layer.function(layer)
    tasks.check_copy.function()
    copied = {stored.key for zone in ("bronze", "silver") for stored in r2.list(zone)}
    assert copied == {"bronze/raw/files/sales/a.csv/1", "silver/staging/sales/a.parquet"}

    r2.delete("bronze/raw/files/sales/a.csv/1")
    with pytest.raises(CopyDiffersError, match="bronze: 1 missing"):
        tasks.check_copy.function()
    tasks.copy_layer.function("bronze")
    tasks.check_copy.function()


def test_without_a_bucket_for_the_copy_the_task_says_what_to_set(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tasks, "current_settings", lambda: load_settings({}))
    monkeypatch.setattr(tasks, "get_current_context", lambda: {"params": {tasks.DELETE_EXTRA: 0}})
    with pytest.raises(LakeError, match="set VENDING_LAKE_COPY_CONNECTION"):
        tasks.copy_layer.function("bronze")
    assert tasks.copy_schedule(load_settings({})) is None
