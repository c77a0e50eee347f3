"""The columns of the models are those that their SQL has now."""

from __future__ import annotations

from deploy.lineage.columns import column_parents, compiled_manifest, render
from include.lineage.columns import COLUMNS_FILE, columns_of_models


def test_the_generated_file_is_what_the_models_say() -> None:
    found = render(column_parents(compiled_manifest()))
    assert found == COLUMNS_FILE.read_text(encoding="utf-8"), "run make lineage"


def test_a_column_behind_stars_joins_and_sums_is_followed() -> None:
    made_of = columns_of_models()["marts.fct_daily_machine_sales"]["revenue"]
    assert made_of == ["marts.fct_sales.amount"]


def test_the_columns_of_sources_are_where_columns_come_from() -> None:
    assert columns_of_models()["staging.stg_vending__sales"]["amount"] == ["raw.sales.amount"]
