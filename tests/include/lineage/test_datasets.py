"""What the steps read and wrote, in OpenLineage's terms: of real files and a real warehouse."""

from __future__ import annotations

from pathlib import Path

import pytest
from openlineage.client.event_v2 import OutputDataset

from include.contracts import load_catalog
from include.ingest import settle, steps
from include.ingest.plan import ConformedBatch
from include.ingest.runs import IngestRun
from include.lake import DiskLake
from include.lineage.datasets import conformed, loaded, sent
from include.lineage.places import Place, places_of
from include.publish.spec import Column, PublishedMart, PublishSpec, Sink
from include.settings import ObjectLakeSettings, Settings, load_settings
from tests.include.ingest.running import products, sales

BAD_ROW = b"P9,Tea,cheap,JPY\n"


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setattr(settle, "PAUSE_SECONDS", 0.0)
    return load_settings({"VENDING_DATA_DIR": str(tmp_path)})


@pytest.fixture
def batches(settings: Settings, tmp_path: Path) -> tuple[ConformedBatch, ...]:
    lake = DiskLake(tmp_path)
    lake.write_bytes("sources/products.csv", products("Cola", "Tea") + BAD_ROW)
    lake.write_bytes("sources/sales_VM001_20260101.csv", sales("VM001", 120, 130))
    run = IngestRun(lake, "ingest_files", "run")
    groups = steps.discover_files(run, settings)
    return tuple(batch for group in groups for batch in steps.conform(run, settings, group))


def made_of(output: OutputDataset, column: str) -> list[tuple[str, str, bool]]:
    fields = output.facets["columnLineage"].fields[column].inputFields
    return [(each.name, each.field, each.transformations[0].masking) for each in fields]


def test_a_conformed_column_comes_from_the_column_that_the_contract_maps(
    settings: Settings, batches: tuple[ConformedBatch, ...], tmp_path: Path
) -> None:
    step = conformed(places_of(settings), load_catalog(), batches)

    written = {
        Path(output.name).relative_to(tmp_path).as_posix(): output for output in step.outputs
    }
    assert set(written) == {"staging/sales", "staging/products", "quarantine/products"}
    files = f"{tmp_path}/raw/fleet.sales"
    rows = written["staging/sales"]
    assert made_of(rows, "amount") == [(files, "amount", False)]
    assert made_of(rows, "payment_method_code") == [(files, "payment_method", False)]
    assert made_of(rows, "business_date") == [(files, "sold_at", False)]
    assert "currency" not in rows.facets["columnLineage"].fields, "a constant comes from no column"
    assert rows.outputFacets["outputStatistics"].rowCount == 2
    assert written["quarantine/products"].outputFacets["outputStatistics"].rowCount == 1


def test_the_files_of_a_task_are_named_as_they_lie_in_raw(
    settings: Settings, batches: tuple[ConformedBatch, ...], tmp_path: Path
) -> None:
    step = conformed(places_of(settings), load_catalog(), batches)

    (files,) = (each for each in step.inputs if each.name.endswith("fleet.sales"))
    (location,) = files.inputFacets["subset"].inputCondition.locations
    assert Path(location).read_bytes() == sales("VM001", 120, 130)


def test_a_masked_column_is_marked_as_such(settings: Settings) -> None:
    catalog = load_catalog()
    staff = catalog.source("fleet.staff")
    batch = ConformedBatch.model_validate(
        {
            "batch_id": "b",
            "source_contract": staff.id,
            "source": "fleet",
            "dataset": "staff",
            "contract_version": "1",
            "contract_fingerprint": "f",
            "files": [_file(rows=3)],
        }
    )

    (output,) = conformed(places_of(settings), catalog, [batch]).outputs

    assert [masked for *_, masked in made_of(output, "phone")] == [True]
    assert [masked for *_, masked in made_of(output, "staff_id")] == [False]


def test_load_and_publishing_keep_the_names_of_columns(settings: Settings) -> None:
    places = places_of(settings)
    (raw,) = loaded(places, load_catalog(), {"sales": 2}).outputs
    columns = (Column("revenue", "decimal(18,2)"),)
    mart = PublishedMart("fct_daily_machine_sales", "marts", columns, PublishSpec())
    (edge,) = sent(places, mart, Sink.D1, "database-id", 7).outputs

    assert raw.name == "dbt_dev.raw.sales"
    assert [column for _, column, _ in made_of(raw, "amount")] == ["amount"]
    assert (edge.namespace, edge.name) == ("d1://database-id", "fct_daily_machine_sales")
    assert made_of(edge, "revenue") == [("dbt_dev.marts.fct_daily_machine_sales", "revenue", False)]


def test_a_bucket_is_named_as_other_tools_name_it(settings: Settings) -> None:
    bucket = ObjectLakeSettings(
        bucket="acme-vending-data-dev", connection_id="lake", encryption="AES256"
    )
    places = places_of(settings._replace(lake=bucket))
    found = places.object("raw/files/sales_VM001_20260101.csv/1")
    assert found == Place(
        "s3://acme-vending-data-dev", "raw-data/versions/files/sales_VM001_20260101.csv/1"
    )


def _file(*, rows: int) -> dict[str, object]:
    landed = {
        "load_id": 1,
        "object_key": "staff.csv",
        "raw_location": "raw/files/staff.csv/1",
        "size_bytes": 1,
        "checksum": "c",
        "etag": "e",
        "generation": 0,
        "landed_at": "2026-01-01T00:00:00Z",
        "landed_on": "2026-01-01",
    }
    counts = {"rows_read": rows, "rows_conformed": rows}
    return {"landed": landed, **counts, "rows_quarantined": 0, "rows_duplicate": 0}
