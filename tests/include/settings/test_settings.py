"""The settings: defaults of each environment, and a line that names the variable of a mistake."""

from __future__ import annotations

from pathlib import Path

import pytest

from include.settings import (
    CODE_ROOT,
    DiskLakeSettings,
    DuckDBSettings,
    Environment,
    ObjectLakeSettings,
    SettingsError,
    SnowflakeSettings,
    load_settings,
)

STAGING = {"VENDING_ENV": "staging", "VENDING_COMPANY": "acme"}
PROD = {"VENDING_ENV": "prod", "VENDING_COMPANY": "acme", "VENDING_KMS_KEY_ID": "key-1"}


def test_a_laptop_needs_no_variable():
    settings = load_settings({})

    assert settings.environment is Environment.DEV
    assert settings.lake == DiskLakeSettings(root=CODE_ROOT / "data")
    assert isinstance(settings.warehouse, DuckDBSettings)
    assert settings.warehouse.path == CODE_ROOT / "data" / "dbt_dev.duckdb"
    assert settings.ingest_schedule is None
    assert settings.retries == 2


def test_a_laptop_keeps_its_data_where_it_is_told(tmp_path):
    settings = load_settings({"VENDING_DATA_DIR": str(tmp_path / "x" / ".." / "data")})

    assert settings.lake.root == tmp_path / "data"
    assert settings.warehouse.path == tmp_path / "data" / "dbt_dev.duckdb"


def test_staging_is_an_encrypted_bucket_and_a_snowflake_of_its_own():
    settings = load_settings(STAGING)

    assert settings.lake == ObjectLakeSettings(
        bucket="acme-vending-data-staging", connection_id="lake", encryption="AES256"
    )
    assert settings.warehouse == SnowflakeSettings(
        environment=Environment.STAGING,
        connection_id="snowflake",
        transform_connection_id="snowflake_transform",
        database="VENDING_DATA_STG",
        warehouse="COMPUTE_WH_STG",
        load_schema="STAGING",
        statement_seconds=1800,
    )
    assert (settings.ingest_schedule, settings.transform_schedule) == ("0 1 * * *", "0 3 * * *")
    assert (settings.retries, settings.dbt_threads, settings.dbt_target) == (3, 4, "staging")


def test_prod_is_encrypted_with_a_key_and_runs_an_hour_later():
    settings = load_settings(PROD)

    assert settings.lake.encryption == "aws:kms"
    assert settings.lake.kms_key_id == "key-1"
    assert (settings.ingest_schedule, settings.transform_schedule) == ("0 2 * * *", "0 4 * * *")
    assert (settings.retries, settings.dbt_threads) == (3, 8)


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"VENDING_ENV": "qa"}, "VENDING_ENV is 'qa'; set it to one of dev, staging, prod."),
        ({"VENDING_ENV": "staging"}, "VENDING_COMPANY is not set; staging needs it."),
        ({**PROD, "VENDING_KMS_KEY_ID": ""}, "set VENDING_KMS_KEY_ID to the key"),
        ({"VENDING_DBT_THREADS": "two"}, "VENDING_DBT_THREADS is 'two'; set it to a whole number."),
        ({"VENDING_DBT_THREADS": "0"}, "VENDING_DBT_THREADS is 0; set it to 1 or more."),
        ({"VENDING_CONFORM_MEMORY_MB": "12"}, "VENDING_CONFORM_MEMORY_MB is 12; set it to 64"),
        ({"VENDING_BATCH_FILES": "-1"}, "VENDING_BATCH_FILES is -1; set it to 1 or more."),
        ({**STAGING, "VENDING_LAKE_BUCKET": "No_Bucket"}, "'No_Bucket' cannot be a bucket's name"),
        (
            {**STAGING, "VENDING_LAKE_STORE": "gcs"},
            "VENDING_LAKE_STORE is 'gcs'; set it to one of s3, r2.",
        ),
    ],
)
def test_a_mistake_is_named_with_its_variable(variables, message):
    with pytest.raises(SettingsError) as caught:
        load_settings(variables)

    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_empty_variable_counts_as_not_set():
    assert load_settings({"VENDING_DATA_DIR": ""}) == load_settings({})


def test_settings_cannot_be_changed():
    settings = load_settings({})
    with pytest.raises(AttributeError):
        settings.retries = 9


def test_paths_are_found_from_the_code_and_not_from_the_working_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    assert load_settings({}).dbt_project_path == Path(CODE_ROOT) / "dbt"


def test_in_dev_a_bucket_that_is_named_holds_the_lake_and_the_warehouse_stays_a_file() -> None:
    dev = load_settings({"VENDING_ENV": "dev", "VENDING_LAKE_BUCKET": "local-vending-data"})
    assert isinstance(dev.lake, ObjectLakeSettings)
    assert (dev.lake.bucket, dev.lake.connection_id) == ("local-vending-data", "lake")
    assert isinstance(dev.warehouse, DuckDBSettings)
