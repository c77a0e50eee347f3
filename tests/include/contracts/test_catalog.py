"""The contracts of the repository, and what the reader says of wrong ones."""

from __future__ import annotations

import json
import re
import shutil
from importlib import resources
from pathlib import Path

import duckdb
import jsonschema
import pytest
import yaml

from include.contracts import Catalog, ContractError, Dialect, load_catalog
from include.contracts.dbt_sources import is_current, render_sources, write_sources
from include.contracts.raw_tables import OPS_TABLES, create_ops_tables, create_raw_tables
from include.contracts.reader import CONTRACTS_ROOT

CONTRACT_FILES = sorted(CONTRACTS_ROOT.glob("*/*.yaml"))


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    return load_catalog()


@pytest.fixture
def copy_of_contracts(tmp_path: Path) -> Path:
    for folder in ("datasets", "sources"):
        shutil.copytree(CONTRACTS_ROOT / folder, tmp_path / folder)
    return tmp_path


def test_every_dataset_of_the_architecture_has_a_contract(catalog: Catalog) -> None:
    assert {dataset.name for dataset in catalog.datasets} == {
        "sales",
        "replenishment",
        "vending_machines",
        "products",
        "product_categories",
        "staff",
        "payment_methods",
        "machine_telemetry",
        "weather",
    }


def test_every_dataset_is_fed_by_a_source(catalog: Catalog) -> None:
    fed = {source.dataset.name for source in catalog.sources}
    assert fed == {dataset.name for dataset in catalog.datasets}
    assert {source.id for source in catalog.api_sources} == {
        "fleet.machine_telemetry",
        "weather_service.weather",
    }


@pytest.mark.parametrize("path", CONTRACT_FILES, ids=lambda path: path.stem)
def test_a_contract_is_valid_under_the_standards_own_schema(path: Path) -> None:
    schema = json.loads(
        resources.files("open_data_contract_standard").joinpath("schema.json").read_text()
    )
    jsonschema.validate(yaml.safe_load(path.read_text(encoding="utf-8")), schema)


@pytest.mark.parametrize(
    ("object_key", "contract"),
    [
        ("sales_VM0001_20260801.csv", "fleet.sales"),
        ("2026/08/sales_VM0001_20260801.csv", "fleet.sales"),
        ("replenishment_records_VM0001_20260801.csv", "fleet.replenishment"),
        ("master/products.csv", "fleet.products"),
        ("completejourney/products.csv", "completejourney.products"),
        ("vendors/completejourney/transactions_20170101.csv", "completejourney.sales"),
    ],
)
def test_a_file_is_recognised_by_its_name_and_folder(
    catalog: Catalog, object_key: str, contract: str
) -> None:
    assert [source.id for source in catalog.sources_for(object_key)] == [contract]


@pytest.mark.parametrize(
    "object_key",
    ["notes.txt", "sales_VM0001_20260801.csv.bak", "transactions_20170101.csv", "xproducts.csv"],
)
def test_a_file_that_no_contract_knows_has_none(catalog: Catalog, object_key: str) -> None:
    assert catalog.sources_for(object_key) == ()


def test_two_vendors_that_claim_a_file_equally_are_a_mistake(
    copy_of_contracts: Path, catalog: Catalog
) -> None:
    path = copy_of_contracts / "sources" / "completejourney.products.yaml"
    text = path.read_text().replace("  - property: folder\n    value: completejourney\n", "")
    path.write_text(text)
    with pytest.raises(ContractError, match=r"completejourney.products and fleet.products both"):
        load_catalog(copy_of_contracts).sources_for("products.csv")


def test_every_field_is_classified_and_every_personal_one_masked(catalog: Catalog) -> None:
    fields = [field for dataset in catalog.datasets for field in dataset.fields]
    assert [field.name for field in fields if field.classification is None] == []
    personal = [field for field in fields if field.is_personal]
    assert personal
    assert all(field.masking for field in personal)


def test_quarantine_shows_no_column_of_a_personal_field(catalog: Catalog) -> None:
    assert {"staff_name", "phone", "email"} <= catalog.source("fleet.staff").hidden_columns
    assert "household_id" in catalog.source("completejourney.sales").hidden_columns


@pytest.mark.parametrize(
    ("before", "after", "sentence"),
    [
        ("{strategy: keyed_hash}", "{strategy: rot13}", "email.masking.strategy is 'rot13'; use"),
        ("{strategy: keyed_hash}", "{strategy: keyed_hash, last: 4}", "no option of keyed_hash"),
        ("{strategy: partial, last: 4}", "{strategy: partial, last: 40}", "a whole number up to 8"),
        ("{strategy: synthetic, kind: name}", "{strategy: synthetic}", "staff_name.masking.kind"),
        ("{strategy: keyed_hash}", "hidden", "must be as in {strategy: keyed_hash}"),
    ],
)
def test_a_mistaken_masking_is_refused(
    copy_of_contracts: Path, before: str, after: str, sentence: str
) -> None:
    path = copy_of_contracts / "datasets" / "staff.yaml"
    text = path.read_text()
    assert before in text
    path.write_text(text.replace(before, after, 1))
    with pytest.raises(ContractError, match=re.escape(sentence)):
        load_catalog(copy_of_contracts)


def test_a_personal_field_without_a_strategy_is_refused(copy_of_contracts: Path) -> None:
    path = copy_of_contracts / "datasets" / "sales.yaml"
    text = path.read_text()
    path.write_text(text.replace("classification: internal", "classification: personal", 1))
    with pytest.raises(ContractError, match="machine_id is personal; name the strategy"):
        load_catalog(copy_of_contracts)


def test_raw_columns_end_with_the_technical_ones(catalog: Catalog) -> None:
    for dataset in catalog.datasets:
        names = [column.name for column in dataset.raw_columns]
        assert names[-3:] == ["_source", "_load_id", "_extra"]


def test_the_fingerprint_ignores_prose_and_notices_rules(copy_of_contracts: Path) -> None:
    before = load_catalog(copy_of_contracts).source("fleet.sales").fingerprint
    path = copy_of_contracts / "datasets" / "sales.yaml"
    text = path.read_text()

    def fingerprint_with(old: str, new: str) -> str:
        assert old in text
        path.write_text(text.replace(old, new))
        load_catalog.cache_clear()
        return load_catalog(copy_of_contracts).source("fleet.sales").fingerprint

    assert fingerprint_with("What happened.", "What was done.") == before
    assert fingerprint_with("maximum: 999\n", "maximum: 99\n") != before


@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        ("datasets/sales.yaml", "        required: true", "        requried: true", "requried"),
        ("datasets/sales.yaml", "physicalType: VARCHAR", "physicalType: FLOAT", "machine_id"),
        ("datasets/sales.yaml", "value: replace", "value: merge", "loadMode is 'merge'"),
        ("datasets/sales.yaml", "      eventTime: sold_at", "      eventTime: sold", "eventTime"),
        ("datasets/sales.yaml", "primaryKeyPosition: 3", "primaryKeyPosition: 5", "from 1 on"),
        ("datasets/sales.yaml", "version: 1.0.0", "version: one", "version is 'one'"),
        ("sources/fleet.sales.yaml", "Asia/Tokyo", "Asia/Tokio", "timeZone is 'Asia/Tokio'"),
        ("sources/fleet.sales.yaml", "encoding: UTF-8", "encoding: UTF-9", "encoding is 'UTF-9'"),
        ("sources/fleet.sales.yaml", "value: sales", "value: sale", "dataset is 'sale'"),
        ("sources/fleet.sales.yaml", "name: amount", "name: total", "column 'total' feeds no"),
        ("sources/fleet.sales.yaml", '      currency: "JPY"\n', "", "field currency is required"),
        ("sources/fleet.sales.yaml", '"JPY"', '"yen"', "does not match the pattern"),
        ("sources/fleet.sales.yaml", "timezone: true", "format: iso", "timezone: true"),
        ("sources/fleet.sales.yaml", "kind: DataContract", "kind: [", "cannot be read as YAML"),
        (
            "sources/fleet.machine_telemetry.yaml",
            "airflow://fleet_api/v1/telemetry",
            "https://example.com",
            "airflow://<connection id>/<path>",
        ),
    ],
)
def test_a_wrong_contract_is_refused_in_one_sentence_that_names_file_and_field(
    copy_of_contracts: Path, file: str, old: str, new: str, message: str
) -> None:
    path = copy_of_contracts / file
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(ContractError) as error:
        load_catalog(copy_of_contracts)
    assert message in str(error.value)
    assert str(error.value).startswith(path.name)
    assert "\n" not in str(error.value)


def test_dbts_sources_say_what_the_contracts_say(catalog: Catalog) -> None:
    assert is_current(catalog), "run `make contracts`"


def test_a_change_of_dbts_sources_by_hand_is_noticed(catalog: Catalog, tmp_path: Path) -> None:
    path = tmp_path / "_sources.yml"
    write_sources(catalog, path)
    assert is_current(catalog, path)
    path.write_text(path.read_text() + "# by hand\n")
    assert not is_current(catalog, path)


def test_every_column_of_dbts_sources_is_described(catalog: Catalog) -> None:
    for source in yaml.safe_load(render_sources(catalog))["sources"]:
        for table in source["tables"]:
            assert table["description"]
            assert all(column["description"] for column in table["columns"])


def test_the_tables_are_created_in_duckdb_with_the_contracts_types(catalog: Catalog) -> None:
    with duckdb.connect() as connection:
        connection.execute("CREATE SCHEMA raw; CREATE SCHEMA ops")
        statements = create_raw_tables(catalog.datasets, Dialect.DUCKDB)
        for statement in (*statements, *create_ops_tables(Dialect.DUCKDB)) * 2:
            connection.execute(statement)
        for dataset in catalog.datasets:
            described = connection.execute(f"DESCRIBE raw.{dataset.name}").fetchall()
            assert [(name, kind) for name, kind, *_ in described] == [
                (column.name, column.physical_type) for column in dataset.raw_columns
            ]
        made = connection.execute(
            "SELECT table_name FROM information_schema.tables WHERE table_schema = 'ops'"
        )
        assert {name for (name,) in made.fetchall()} == {table.name for table in OPS_TABLES}


def test_snowflakes_tables_hold_timestamps_without_a_zone(catalog: Catalog) -> None:
    statements = create_raw_tables([catalog.dataset("sales")], Dialect.SNOWFLAKE, "staging")
    assert statements[0].startswith("CREATE TABLE IF NOT EXISTS staging.sales (")
    assert "sold_at TIMESTAMP_NTZ(6) NOT NULL" in statements[0]
    assert "amount NUMBER(18,2) NOT NULL" in statements[0]
