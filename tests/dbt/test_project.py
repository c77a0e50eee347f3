"""What every model of the project owes its readers, on both engines; needs no database."""

import json
from collections import Counter
from pathlib import Path

import pytest
from dbt.contracts.graph.manifest import Manifest
from dbt.contracts.graph.nodes import GenericTestNode, ModelNode

from tests.dbt.project import PROJECT, DbtProject

TARGETS = ("dev", "staging", "prod")
# Business logic that must have unit tests beside it; a new rule belongs in one of these or here.
MODELS_WITH_RULES = {
    "int_sales_resolved",
    "int_replenishments_resolved",
    "int_weather_resolved",
    "int_machine_versions",
    "int_product_versions",
    "int_product_category_versions",
    "int_slot_events",
    "dim_machines",
    "dim_products",
    "dim_payment_methods",
    "fct_sales",
    "fct_voided_sales",
    "fct_daily_machine_sales",
    "fct_monthly_category_sales",
    "fct_daily_weather_sales",
    "fct_daily_inventory",
    "fct_stockouts",
    "fct_replenishment_plan",
    "fct_machine_health",
    "fct_data_quality",
}


@pytest.fixture(scope="module", params=TARGETS)
def manifest(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    """The project as parsed for one target, with no credentials and deprecations as errors."""
    directory = tmp_path_factory.mktemp(request.param)
    project = DbtProject(directory / "vending.duckdb", directory / "artifacts")
    deprecations_fail = json.dumps({"error": ["Deprecations"]})
    result = project.invoke(
        "parse", "--target", request.param, "--warn-error-options", deprecations_fail
    )
    return result.result


def _models(manifest: Manifest) -> list[ModelNode]:
    return [node for node in manifest.nodes.values() if isinstance(node, ModelNode)]


def test_the_project_is_as_large_as_it_says(manifest: Manifest) -> None:
    kinds = Counter(node.resource_type for node in manifest.nodes.values())
    assert kinds["model"] >= 25
    assert kinds["test"] >= 100


def test_every_model_lies_in_one_of_three_schemas(manifest: Manifest) -> None:
    schemas = {(model.fqn[1], model.schema) for model in _models(manifest)}
    assert schemas == {(layer, layer) for layer in ("staging", "intermediate", "marts")}


def test_a_model_without_a_configured_schema_would_be_seen(manifest: Manifest) -> None:
    macro = manifest.macros["macro.vending.generate_schema_name"]
    assert "target.schema" in macro.macro_sql
    assert (PROJECT / "profiles.yml").read_text().count("schema: schema_not_configured") == 2


def test_every_model_and_column_is_described_and_owned(manifest: Manifest) -> None:
    failing = [
        (model.name, name)
        for model in _models(manifest)
        for name, text in [
            ("description", model.description),
            ("owner", model.config.meta.get("owner")),
            *((column.name, column.description) for column in model.columns.values()),
        ]
        if not text
    ]
    assert failing == []
    assert all(model.columns for model in _models(manifest))


def test_every_mart_has_an_enforced_contract(manifest: Manifest) -> None:
    marts = [model for model in _models(manifest) if model.fqn[1] == "marts"]
    assert len(marts) >= 13
    assert [model.name for model in marts if not model.contract.enforced] == []


def test_every_rule_has_a_unit_test(manifest: Manifest) -> None:
    tested = {unit_test.model for unit_test in manifest.unit_tests.values()}
    assert tested >= MODELS_WITH_RULES


def test_every_mart_has_a_test_of_its_grain(manifest: Manifest) -> None:
    with_grain = {
        node.attached_node
        for node in manifest.nodes.values()
        if isinstance(node, GenericTestNode)
        and node.test_metadata.name in ("unique", "unique_combination")
    }
    without = [
        model.name
        for model in _models(manifest)
        if model.fqn[1] == "marts" and model.unique_id not in with_grain
    ]
    assert without == []


def test_the_readers_of_the_marts_are_exposures(manifest: Manifest) -> None:
    assert {exposure.name for exposure in manifest.exposures.values()} == {
        "operators_dashboard",
        "edge_api",
        "morning_slack_summary",
    }


def test_every_fed_dataset_has_a_freshness(manifest: Manifest) -> None:
    fresh = {source.name for source in manifest.sources.values() if source.freshness}
    assert {"sales", "replenishment", "machine_telemetry", "weather"} <= fresh


def test_the_project_uses_no_packages_and_no_python(manifest: Manifest) -> None:
    assert {model.language for model in _models(manifest)} == {"sql"}
    assert not [name for name in ("packages.yml", "dependencies.yml") if (PROJECT / name).exists()]
    assert list(PROJECT.rglob("*.py")) == []


def test_every_macro_says_how_it_is_used(manifest: Manifest) -> None:
    macro_files = sorted((PROJECT / "macros").rglob("*.sql"))
    assert macro_files
    silent = [path.name for path in macro_files if not _says_how_it_is_used(path)]
    assert silent == []


def _says_how_it_is_used(path: Path) -> bool:
    text = path.read_text()
    return "Usage" in text or path.name == "generate_schema_name.sql"
