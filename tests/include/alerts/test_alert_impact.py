"""An alert says what stands downstream, and who answers for it."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from include.alerts.formatter import Alert, as_blocks, as_text
from include.alerts.impact import Impact, behind, impact_of
from include.alerts.masking import mask_personal
from include.settings import load_settings
from include.transform.manifest import Manifest

SOURCE, STAGED = "source.v.raw.sales", "model.v.stg_sales"
SALES, PRODUCTS = "model.v.fct_sales", "model.v.dim_products"
TEST, DASHBOARD = "test.v.unique_sales.1a", "exposure.v.dashboard"

RUN_ID = "asset_triggered__2026-11-21T10:18:30.124388+00:00_O7bTZ9hk"


def node(unique_id: str, *parents: str, layer: str = "marts") -> dict[str, object]:
    kind, package, name = unique_id.split(".")[:3]
    return {
        "name": name,
        "resource_type": kind,
        "fqn": [package, layer, name],
        "config": {"materialized": "table", "meta": {"owner": f"owner-of-{name}"}},
        "depends_on": {"nodes": list(parents)},
    }


@pytest.fixture
def manifest() -> Manifest:
    parents = {STAGED: [SOURCE], SALES: [STAGED], PRODUCTS: [], TEST: [SOURCE]}
    return Manifest(
        {
            "nodes": {
                STAGED: node(STAGED, SOURCE, layer="staging"),
                SALES: node(SALES, STAGED),
                PRODUCTS: node(PRODUCTS),
                TEST: node(TEST, SOURCE),
            },
            "parent_map": parents,
            "exposures": {
                DASHBOARD: {
                    "name": "dashboard",
                    "owner": {"name": "operators"},
                    "depends_on": {"nodes": [SALES]},
                }
            },
        }
    )


def test_behind_a_failed_test_stands_what_is_made_of_what_it_tests(manifest: Manifest) -> None:
    assert behind(manifest, [TEST]) == Impact(
        affected=("dashboard", "fct_sales"), owners=("operators", "owner-of-fct_sales")
    )


def test_a_mart_that_failed_is_itself_affected(manifest: Manifest) -> None:
    assert behind(manifest, [PRODUCTS]).affected == ("dim_products",)


def test_a_dag_that_feeds_no_mart_affects_none() -> None:
    settings = load_settings({"VENDING_ENV": "dev"})
    assert impact_of("check_deployment", None, settings) == Impact()


def test_text_and_blocks_name_what_is_affected_and_its_owners(failed_test: Alert) -> None:
    marts = tuple(f"fct_{number}" for number in range(12))
    alert = replace(failed_test, affected=marts, owners=("finance",))
    for told in (as_text(alert), json.dumps(as_blocks(alert))):
        assert "fct_7 and 4 more (of finance)" in told


def test_a_link_cannot_be_forged_by_the_address_of_a_log(failed_test: Alert) -> None:
    alert = replace(failed_test, log_url="http://log/|Click> <!channel")
    (context,) = as_blocks(alert)[-1]["elements"]
    assert context["text"].startswith("<http://log/%7CClick&gt; &lt;!channel|Log>")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("ask ann@example.com", "ask [masked:email]"),
        ("call 090-1234-5678 now", "call [masked:phone] now"),
        ("call +81 90 1234 5678", "call [masked:phone]"),
        ("paid with 4111 1111 1111 1111", "paid with [masked:card]"),
        ("2026-11-20 of VM0001, line 12345678", "2026-11-20 of VM0001, line 12345678"),
        (RUN_ID, RUN_ID),
    ],
)
def test_what_is_personal_is_masked_and_dates_are_not(text: str, shown: str) -> None:
    assert mask_personal(text) == shown


def test_nothing_personal_is_in_any_form_of_an_alert(failed_test: Alert) -> None:
    alert = replace(failed_test, sentence="Row of ann@example.com, 090-1234-5678, is broken.")
    for told in (as_text(alert), json.dumps(as_blocks(alert))):
        assert "ann@" not in told
        assert "1234" not in told
