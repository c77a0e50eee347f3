"""docs/adding-a-source.md, followed for a vendor whose format the simulator does not produce.

``vendors/`` holds the vendor's file and the two contracts that came of its draft.
"""

from __future__ import annotations

import json
import shutil
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path

import pytest
import yaml

from include.contracts import Catalog, load_catalog
from include.contracts.draft import draft_contract, main
from include.contracts.reader import CONTRACTS_ROOT
from tests.include.ingest.conforming import conform_with

_VENDORS = Path(__file__).parent / "vendors"
_FILE = _VENDORS / "vending_sales_202201.csv"


@pytest.fixture
def catalog(tmp_path: Path) -> Catalog:
    root = tmp_path / "contracts"
    for folder in ("datasets", "sources"):
        shutil.copytree(CONTRACTS_ROOT / folder, root / folder)
    for path in _VENDORS.glob("*.yaml"):
        shutil.copy(path, root / "sources")
    return load_catalog(root)


def test_the_draft_says_what_the_sample_shows_and_what_is_left_to_do() -> None:
    draft = draft_contract(_FILE, load_catalog(), "eastcoast")
    document = yaml.safe_load(draft.text)
    assert draft.contract_id == document["id"] == "eastcoast.sales"
    custom = {entry["property"]: entry["value"] for entry in document["customProperties"]}
    assert (custom["skippedLines"], custom["footerLines"]) == (2, 1)
    columns = {entry["name"]: entry for entry in document["schema"][0]["properties"]}
    sold_at = {e["property"]: e["value"] for e in columns["TransDate"]["customProperties"]}
    assert sold_at == {"fields": ["sold_at"], "formats": ["%A, %B %-d, %Y"]}
    amount = {e["property"]: e["value"] for e in columns["LineTotal"]["customProperties"]}
    assert amount == {"fields": ["amount"], "number": {"currency": ["$"]}}
    assert any("currency is required" in step for step in draft.remaining)
    assert any("not unique by Device ID, Transaction" in step for step in draft.remaining)


def test_the_vendors_file_feeds_two_datasets_through_contracts_alone(
    catalog: Catalog, tmp_path: Path
) -> None:
    products, sales = catalog.sources_for(f"eastcoast/{_FILE.name}")
    content = {"file.csv": _FILE.read_bytes()}
    lines = conform_with(tmp_path, sales, content)
    assert lines.counts == (6, 6, 0, 0)
    assert lines.files[0].drift == ()
    assert sum(row["amount"] for row in lines.rows) == Decimal("14.50")
    two_lines = [row for row in lines.rows if row["transaction_id"] == "14516018629"]
    assert sorted(row["line_id"] for row in two_lines) == ["123", "148"]
    assert {row["payment_method_code"] for row in lines.rows} == {"card", "cash"}
    assert {row["business_date"] for row in lines.rows} == {date(2022, 1, d) for d in (1, 2, 3)}
    found = conform_with(tmp_path, products, content)
    assert found.counts == (6, 4, 0, 2)
    assert {row["category_id"] for row in found.rows} == {"Carbonated", "Food"}


# As a Japanese back office exports it: a title, a total, full-width digits, weekdays, △ for minus.
# The file lies here in UTF-8 with plain line ends, so that it can be looked at.
_STATEMENT = (
    (_VENDORS / "nishinihon_statement.csv").read_text("utf-8").replace("\n", "\r\n").encode("cp932")
)


def test_a_statement_in_cp932_is_drafted_with_its_title_total_and_full_width_digits(
    tmp_path: Path,
) -> None:
    path = tmp_path / "売上明細_202610.csv"
    path.write_bytes(_STATEMENT)

    draft = draft_contract(path, load_catalog(), "nishinihon")

    document = yaml.safe_load(draft.text)
    custom = {entry["property"]: entry["value"] for entry in document["customProperties"]}
    assert (custom["dataset"], custom["skippedLines"], custom["footerLines"]) == ("sales", 4, 2)
    columns = {
        column["name"]: {e["property"]: e["value"] for e in column["customProperties"]}
        for column in document["schema"][0]["properties"]
    }
    assert columns["数量"] == {"fields": ["quantity"], "normalize": "NFKC"}
    assert columns["販売日（曜日）"]["remove"] == r"\([月火水木金土日]\)"
    assert columns["金額"]["number"]["negatives"] == ["triangle"]
    assert any("has no time: if another column has it" in step for step in draft.remaining)


def test_the_statement_feeds_sales_and_products_through_contracts_alone(
    catalog: Catalog, tmp_path: Path
) -> None:
    products, sales = catalog.sources_for("nishinihon/売上明細_202610.csv")

    lines = conform_with(tmp_path, sales, {"file.csv": _STATEMENT})
    found = conform_with(tmp_path, products, {"file.csv": _STATEMENT})

    assert (lines.counts, lines.files[0].drift) == ((5, 5, 0, 0), ())
    rows = sorted(lines.rows, key=lambda row: (row["machine_id"], row["transaction_id"]))
    assert [(row["machine_id"], row["slot_number"], int(row["amount"])) for row in rows[2:]] == [
        ("N001", 12, 1130), ("N002", 3, 130), ("N002", 3, -130),
    ]  # fmt: skip
    # Five past midnight in Tokyo.
    assert (rows[3]["sold_at"], rows[3]["business_date"]) == (
        datetime(2026, 10, 4, 15, 5),  # noqa: DTZ001 - UTC, as the table holds it
        date(2026, 10, 5),
    )
    assert {row["product_name"] for row in found.rows} == {
        "①お～いお茶", "天然水 550ml", "コーヒー,微糖",
    }  # fmt: skip
    assert not any("髙島　花子" in str(row) for row in (*lines.rows, *found.rows))


def _drafted(path: Path, dataset: str | None = None) -> dict[str, object]:
    return yaml.safe_load(draft_contract(path, load_catalog(), "vendor", dataset).text)


def test_a_complete_draft_can_be_read_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "商品_20260801.csv"
    text = "商品コード;商品名;分類;価格\nP1;①髙島～;C1;1.200,50\nP2; 緑茶;-;130,00\n"
    path.write_bytes(text.encode("cp932"))
    root = tmp_path / "contracts"
    for folder in ("datasets", "sources"):
        shutil.copytree(CONTRACTS_ROOT / folder, root / folder)
    draft = draft_contract(path, load_catalog(), "vendor")
    assert draft.contract_id == "vendor.products"
    (root / "sources" / "vendor.products.yaml").write_text(draft.text, encoding="utf-8")
    contract = load_catalog(root).source("vendor.products")
    assert contract.matches("商品_20260802.csv")
    outcome = conform_with(tmp_path, contract, {"p.csv": path.read_bytes()})
    assert [(r["product_name"], r["category_id"], r["list_price"]) for r in outcome.rows] == [
        ("①髙島～", "C1", Decimal("1200.50")),
        ("緑茶", None, Decimal("130.00")),
    ]


def test_json_is_drafted_too(tmp_path: Path) -> None:
    items = [{"product_id": f"P{n}", "product_name": "Tea", "list_price": 1.5} for n in range(3)]
    path = tmp_path / "items.json"
    path.write_text(json.dumps({"count": 3, "items": items}))
    document = _drafted(path)
    assert (document["id"], document["servers"][0]["format"]) == ("vendor.products", "json")
    path.write_text("\n".join(map(json.dumps, items)))
    assert _drafted(path)["servers"][0]["format"] == "jsonl"


@pytest.mark.parametrize("content", [b"", b"one column\nonly\n", b"[]", b'{"a":', b"\x1f\x8bno"])
def test_a_sample_without_a_table_is_refused_in_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes
) -> None:
    path = tmp_path / "sample.csv"
    path.write_bytes(content)
    assert main([str(path), "--folder", str(tmp_path)]) == 1
    assert capsys.readouterr().err.count("\n") == 1


def test_the_command_writes_a_draft_that_no_run_reads(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(_FILE), "--source", "eastcoast", "--folder", str(tmp_path)]) == 0
    written = {"eastcoast.sales.yaml.draft", "eastcoast.sales.profile.html"}
    assert {path.name for path in tmp_path.iterdir()} == written
    assert "Before it is renamed to eastcoast.sales.yaml" in capsys.readouterr().out
