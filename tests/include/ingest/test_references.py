"""Rows that refer to what no master knows: kept by default, in quarantine where a contract asks."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest
import yaml

from include.contracts import ContractError, load_catalog
from include.contracts.reader import CONTRACTS_ROOT
from include.ingest import steps
from tests.include.ingest.contract_file import catalog_with
from tests.include.ingest.running import Ingest, products, sales

RULE = "product_id.unknown_reference"
STORED = "SELECT machine_id, product_id FROM raw.sales ORDER BY ALL"
REJECTED = (
    "SELECT object_key, row_number, first_reason, resolution FROM ops.quarantine ORDER BY ALL"
)
UNBALANCED = (
    "SELECT object_key FROM ops.load_history "
    "WHERE rows_read <> rows_conformed + rows_quarantined + rows_duplicate"
)


def use_severity(
    monkeypatch: pytest.MonkeyPatch, folder: Path, *rules: str, **custom: object
) -> None:
    """The fleet's contract of sales with severities, as in ``product_id.unknown_reference: warn``,
    for all steps."""
    document = yaml.safe_load((CONTRACTS_ROOT / "sources" / "fleet.sales.yaml").read_text("utf-8"))
    severity = dict(rule.split(": ") for rule in rules)
    for name, value in ({"severity": severity} | custom).items():
        document["customProperties"].append({"property": name, "value": value})
    catalog = catalog_with(folder, document)
    monkeypatch.setattr(steps, "load_catalog", lambda: catalog)


def lines(machine: str, bought: Iterable[str]) -> bytes:
    """A file of sales, one of each product."""
    bought = list(bought)
    content = sales(machine, *range(100, 100 + len(bought))).decode()
    for number, product in enumerate(bought, start=1):
        content = content.replace(f"T{number},1,P1,", f"T{number},1,{product},")
    return content.encode()


def test_by_default_a_row_of_an_unknown_product_is_loaded_and_noted(ingest: Ingest) -> None:
    ingest.deliver("products.csv", products("tea"))
    ingest.deliver("sales_VM1_20260101.csv", lines("VM1", ["P1", "P9", "P9"]))
    summary = ingest()

    assert summary.rows_quarantined == 0
    assert ingest.rows(STORED) == [("VM1", "P1"), ("VM1", "P9"), ("VM1", "P9")]
    [(note,)] = ingest.rows("SELECT note FROM ops.load_history WHERE dataset = 'sales'")
    assert "2 rows break product_id.unknown_reference, which only warns." in note


def test_masters_that_come_in_the_same_run_are_known_whatever_the_files_are_called(
    ingest: Ingest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    use_severity(monkeypatch, tmp_path, f"{RULE}: quarantine")
    ingest.deliver("a/sales_VM1_20260101.csv", lines("VM1", ["P1"]))
    ingest.deliver("z/products.csv", products("tea"))

    assert ingest().rows_quarantined == 0
    assert ingest.rows(STORED) == [("VM1", "P1")]


def test_where_a_contract_asks_the_row_waits_in_quarantine_until_its_master_comes(
    ingest: Ingest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    use_severity(monkeypatch, tmp_path, f"{RULE}: quarantine")
    name = "sales_VM1_20260101.csv"
    ingest.deliver("products.csv", products("tea"))
    ingest.deliver(name, lines("VM1", ["P1", "P2", "P3"]))
    ingest.deliver("sales_VM2_20260101.csv", lines("VM2", ["P1"]))

    summary = ingest()
    assert (summary.rows_read, summary.rows_conformed, summary.rows_quarantined) == (5, 3, 2)
    assert ingest.rows(STORED) == [("VM1", "P1"), ("VM2", "P1")]
    waiting = [(name, 3, "unknown_reference", None), (name, 4, "unknown_reference", None)]
    assert ingest.rows(REJECTED) == waiting
    [(record, reasons)] = ingest.rows(
        "SELECT record, reasons FROM ops.quarantine WHERE row_number = 3"
    )
    assert '"P2"' in record
    assert "product_id must be known in products.product_id" in reasons

    assert ingest().files == 0
    assert ingest.rows(REJECTED) == waiting

    ingest.deliver("products.csv", products("tea", "milk"))
    ingest()
    assert ingest().files == 1
    assert ingest.rows(STORED) == [("VM1", "P1"), ("VM1", "P2"), ("VM2", "P1")]
    assert ingest.rows(REJECTED) == [
        (name, 3, "unknown_reference", "accepted"),
        (name, 4, "unknown_reference", "rejected_again"),
        (name, 4, "unknown_reference", None),
    ]
    assert ingest.rows(UNBALANCED) == []
    assert ingest().files == 0


def test_a_correction_that_comes_with_the_master_beats_the_version_that_waited(
    ingest: Ingest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    use_severity(monkeypatch, tmp_path, f"{RULE}: quarantine")
    ingest.deliver("products.csv", products("tea"))
    ingest.deliver("sales_VM1_20260101.csv", lines("VM1", ["P2"]))
    ingest()
    ingest.deliver("products.csv", products("tea", "milk"))
    ingest()
    ingest.deliver("sales_VM1_20260101.csv", lines("VM1", ["P1", "P2"]))
    ingest()

    assert ingest.rows(STORED) == [("VM1", "P1"), ("VM1", "P2")]
    open_rows = "SELECT count(*) FROM ops.quarantine WHERE resolution IS NULL"
    assert ingest.rows(open_rows) == [(0,)]


@pytest.mark.parametrize(
    ("rules", "custom", "reason"),
    [
        ([f"{RULE}: fail"], {}, "unknown_reference"),
        ([f"{RULE}: quarantine"], {"rejectThreshold": 10}, "too_many_rejected"),
    ],
    ids=["the rule fails the file", "too many rows are rejected"],
)
def test_a_file_that_waits_whole_comes_in_whole(
    ingest: Ingest,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    rules: list[str],
    custom: dict[str, int],
    reason: str,
) -> None:
    use_severity(monkeypatch, tmp_path, *rules, **custom)
    ingest.deliver("products.csv", products("tea"))
    ingest.deliver("sales_VM1_20260101.csv", lines("VM1", ["P1", "P2"]))
    ingest()
    assert ingest.rows(STORED) == []
    assert ingest.rows(REJECTED) == [("sales_VM1_20260101.csv", None, reason, None)]

    ingest.deliver("products.csv", products("tea", "milk"))
    ingest()
    ingest()
    assert ingest.rows(STORED) == [("VM1", "P1"), ("VM1", "P2")]
    assert ingest.rows(REJECTED) == [("sales_VM1_20260101.csv", None, reason, "accepted")]


def test_a_load_that_was_refused_and_then_killed_is_repeated_once(
    ingest: Ingest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    use_severity(monkeypatch, tmp_path, f"{RULE}: quarantine")
    ingest.deliver("products.csv", products("tea"))
    ingest.deliver("sales_VM1_20260101.csv", lines("VM1", ["P1", "P2"]))
    run = ingest.new_run()
    for group in steps.discover_files(run, ingest.settings):
        steps.conform(run, ingest.settings, group)
    write_report = type(run).write_report
    monkeypatch.setattr(type(run), "write_report", _killed)
    with pytest.raises(KeyboardInterrupt):
        steps.load(run, ingest.settings)
    monkeypatch.setattr(type(run), "write_report", write_report)

    steps.load(run, ingest.settings)

    assert steps.verify_run(run, ingest.settings).rows_quarantined == 1
    assert ingest.rows(STORED) == [("VM1", "P1")]
    assert len(ingest.rows(REJECTED)) == 1


def _killed(*_: object) -> None:
    raise KeyboardInterrupt


def test_a_master_that_comes_between_judging_and_loading_is_not_missed(
    ingest: Ingest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    use_severity(monkeypatch, tmp_path, f"{RULE}: quarantine")
    ingest.deliver("sales_VM1_20260101.csv", lines("VM1", ["P2"]))
    ingest.deliver("products.csv", products("tea"))
    conform_again = steps._conform_again
    comes = [products("tea", "milk")]

    def while_another_run_loads(run, settings, contract, key, batch, refused):
        conformed = conform_again(run, settings, contract, key, batch, refused)
        if comes:
            ingest.deliver("products.csv", comes.pop())
            # Beside this one, as on Snowflake: within a process DuckDB allows it too.
            other = ingest.new_run()
            for group in steps.discover_files(other, settings):
                steps.conform(other, settings, group)
            steps.load(other, settings)
        return conformed

    monkeypatch.setattr(steps, "_conform_again", while_another_run_loads)
    ingest()

    assert ingest.rows(STORED) == [("VM1", "P2")]


def test_a_severity_of_a_reference_that_no_master_can_answer_is_a_mistake(tmp_path: Path) -> None:
    document = yaml.safe_load((CONTRACTS_ROOT / "sources" / "fleet.sales.yaml").read_text("utf-8"))
    document["customProperties"].append(
        {"property": "severity", "value": {"amount.unknown_reference": "fail"}}
    )
    with pytest.raises(ContractError, match="needs a relationship of the field"):
        catalog_with(tmp_path, document)


def test_only_references_to_datasets_that_the_vendor_feeds_are_judged() -> None:
    catalog = load_catalog()

    assert {r.dataset for r in catalog.source("fleet.sales").references} == {
        "vending_machines",
        "products",
        "payment_methods",
    }
    assert {r.dataset for r in catalog.source("completejourney.sales").references} == {"products"}


def test_datasets_are_loaded_behind_those_that_they_refer_to() -> None:
    order = load_catalog().loading_order

    assert order.index("product_categories") < order.index("products") < order.index("sales")
