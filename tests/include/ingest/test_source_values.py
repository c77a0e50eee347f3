"""Every way in which a contract can say how a vendor writes values, and what rules it adds."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from include.contracts import ContractError
from include.ingest.plan import ConformedBatch
from include.warehouse.ledger import NewLoad
from include.warehouse.rows import ledger_row
from tests.include.ingest.conforming import Outcome, conform_with
from tests.include.ingest.contract_file import catalog_with, column, source_document


def _conform(
    folder: Path, dataset: str, columns: tuple[dict[str, Any], ...], text: str, **custom: Any
) -> Outcome:
    document = source_document(f"vendor.{dataset}", columns, **custom)
    contract = catalog_with(folder, document).source(f"vendor.{dataset}")
    return conform_with(folder, contract, {"file.csv": text.encode()})


def _products(
    folder: Path, *rows: str, price: dict[str, Any] | None = None, **custom: Any
) -> Outcome:
    """Products with columns ``id``, ``name`` and ``price``, delimited by semicolons."""
    columns = (
        column("id", "product_id"),
        column("name", "product_name"),
        column("price", "list_price", kind="number", **(price or {})),
    )
    text = "\n".join(("id;name;price", *rows, ""))
    return _conform(folder, "products", columns, text, delimiter=";", **custom)


def _codes(outcome: Outcome) -> list[str]:
    return [row["first_reason"] for row in outcome.quarantined]


@pytest.mark.parametrize(
    ("number", "text", "stored"),
    [
        ({"thousands": ","}, "1,234.50", "1234.50"),
        ({"thousands": ","}, "1234.50", "1234.50"),
        ({"thousands": ","}, "12,34", None),
        ({"thousands": ",", "negatives": ["brackets"]}, "(1,234)", "-1234"),
        ({"thousands": ".", "decimal": ","}, "1.234,5", "1234.50"),
        ({"thousands": ".", "decimal": ","}, "1.5", None),
        ({"decimal": ","}, "0,99", "0.99"),
        ({"decimal": ","}, "0.99", None),
        ({"thousands": " "}, "12 345", "12345"),
        ({"currency": ["¥", "円"]}, "¥120", "120"),
        ({"currency": ["¥", "円"]}, "120 円", "120"),
        ({"currency": ["$"], "negatives": ["brackets"]}, "($1.50)", "-1.50"),
        ({"currency": ["$"]}, "-$1.50", "-1.50"),
        ({"currency": ["$"]}, "€1.50", None),
        ({"negatives": ["trailingMinus"]}, "12.30-", "-12.30"),
        ({"negatives": ["triangle"], "thousands": ","}, "△1,200", "-1200"),
        ({"negatives": ["triangle"]}, "▲5", "-5"),
        ({"negatives": ["brackets"]}, "(-5)", None),
        ({"fullWidth": True, "thousands": ",", "currency": ["円"]}, "１，２３４円", "1234"),
        ({"fullWidth": True}, "−１２．５", "-12.50"),
        ({}, "１２", None),
        ({"thousands": ","}, "1,234.567", None),
    ],
)
def test_a_number_is_read_as_the_contract_says_it_is_written_or_not_at_all(
    tmp_path: Path, number: dict[str, Any], text: str, stored: str | None
) -> None:
    columns = (
        *(column(name, name) for name in ("machine_id", "transaction_id", "product_id")),
        column("sold_at", "sold_at", kind="timestamp"),
        column("quantity", "quantity", kind="integer"),
        column("amount", "amount", kind="number", **({"number": number} if number else {})),
    )
    constants = {"line_id": "1", "currency": "JPY", "transaction_type": "sale"}
    header = "machine_id;transaction_id;product_id;sold_at;quantity;amount"
    text = f"{header}\nM;T;P;2026-08-01 09:00:00;1;{text}\n"
    outcome = _conform(tmp_path, "sales", columns, text, delimiter=";", constants=constants)
    assert [row["amount"] for row in outcome.rows] == ([] if stored is None else [Decimal(stored)])
    assert len(outcome.quarantined) == (stored is None)


@pytest.mark.parametrize(
    ("formats", "text", "stored"),
    [
        (["%Y/%m/%d"], "2026/08/01", "2026-08-01"),
        (["%Y/%m/%d"], "2026/8/1", None),
        (["%Y/%-m/%-d"], "2026/8/1", "2026-08-01"),
        (["%Y年%-m月%-d日"], "2026年8月1日", "2026-08-01"),
        (["%A, %B %-d, %Y"], "Saturday, January 1, 2022", "2022-01-01"),
        (["%A, %B %-d, %Y"], "saturday, JANUARY 1, 2022", "2022-01-01"),
        # The first of January 2022 was a Saturday.
        (["%A, %B %-d, %Y"], "Sunday, January 1, 2022", None),
        (["%a %d %b %Y"], "Sat 01 Jan 2022", "2022-01-01"),
        (["%d/%m/%Y"], "31/02/2026", None),
        (["%d/%m/%Y", "iso"], "2026-02-01", "2026-02-01"),
        (["%d/%m/%Y", "%Y%m%d"], "20260801", "2026-08-01"),
        (["%d/%m/%Y"], "2026-02-01", None),
    ],
)
def test_a_date_is_read_in_the_contracts_formats_only(
    tmp_path: Path, formats: list[str], text: str, stored: str | None
) -> None:
    columns = (
        column("id", "product_id"),
        column("name", "product_name"),
        column("from", "effective_on", kind="date", formats=formats),
    )
    text = f"id;name;from\nP1;Tea;{text}\n"
    outcome = _conform(tmp_path, "products", columns, text, delimiter=";")
    expected = [] if stored is None else [date.fromisoformat(stored)]
    assert [row["effective_on"] for row in outcome.rows] == expected
    assert _codes(outcome) == (["invalid_value"] if stored is None else [])


_WRITTEN = {"timezone": True}
_NEW_YORK = {"timezone": False, "defaultTimezone": "America/New_York"}


@pytest.mark.parametrize(
    ("options", "formats", "text", "stored"),
    [
        (None, ["%Y/%m/%d %H:%M"], "2026/08/01 09:30", "2026-08-01 00:30:00"),
        (None, ["%m/%d/%Y %-I:%M %p"], "08/01/2026 9:30 PM", "2026-08-01 12:30:00"),
        (None, ["%A, %B %-d, %Y"], "Saturday, January 1, 2022", "2021-12-31 15:00:00"),
        (_WRITTEN, ["%d.%m.%Y %H:%M:%S %z"], "01.08.2026 09:30:00 +02:00", "2026-08-01 07:30:00"),
        (_WRITTEN, ["%d.%m.%Y %H:%M:%S%z"], "01.08.2026 09:30:00-0530", "2026-08-01 15:00:00"),
        (_WRITTEN, ["%d.%m.%Y %H:%M:%S%z"], "01.08.2026 09:30:00Z", "2026-08-01 09:30:00"),
        (_WRITTEN, ["%d.%m.%Y %H:%M:%S%z"], "01.08.2026 09:30:00+99:00", None),
        (_WRITTEN, ["%d.%m.%Y %H:%M:%S%z"], "01.08.2026 09:30:00", None),
        (_WRITTEN, ["epoch"], "1785542400", "2026-08-01 00:00:00"),
        (_WRITTEN, ["epoch_ms"], "1785542400123", "2026-08-01 00:00:00.123000"),
        (_WRITTEN, ["epoch"], "-1", None),
        (_NEW_YORK, ["%Y/%m/%d %H:%M"], "2026/03/08 02:30", None),
        (_NEW_YORK, ["%Y/%m/%d %H:%M"], "2026/11/01 01:30", None),
        (_NEW_YORK, ["%Y/%m/%d %H:%M", "iso"], "2026-07-01 20:00:00", "2026-07-02 00:00:00"),
    ],
)
def test_a_time_is_read_in_the_contracts_formats_and_zone_only(
    tmp_path: Path,
    options: dict[str, Any] | None,
    formats: list[str],
    text: str,
    stored: str | None,
) -> None:
    columns = (
        column("id", "event_id"),
        column("machine", "machine_id"),
        column("at", "measured_at", kind="timestamp", options=options, formats=formats),
    )
    text = f"id;machine;at\nE1;M1;{text}\n"
    outcome = _conform(tmp_path, "machine_telemetry", columns, text, delimiter=";")
    expected = [] if stored is None else [datetime.fromisoformat(stored)]
    assert [row["measured_at"] for row in outcome.rows] == expected
    assert _codes(outcome) == (["invalid_value"] if stored is None else [])


def test_booleans_null_words_and_words_of_the_vendor_become_the_datasets(tmp_path: Path) -> None:
    columns = (
        column("支払", "payment_method_code", values={"現金": "cash", "電子": "emoney"}),
        column("名", "payment_method_name", normalize="NFKC", trim=True),
        column("電子か", "is_cashless", kind="boolean", trueWords=["はい"], falseWords=["いいえ"]),
        column("料率", "fee_rate", kind="number", nullWords=["-", "N/A"], remove="%$"),
    )
    rows = ("現金,　Ｃａｓｈ①,いいえ,-", "電子,ｶｰﾄﾞ,はい,0.0325%", "小切手,x,はい,1", "現金,y,yes,1")
    text = "\n".join(("支払,名,電子か,料率", *rows, ""))
    outcome = _conform(tmp_path, "payment_methods", columns, text)
    assert [
        (r["payment_method_code"], r["payment_method_name"], r["is_cashless"], r["fee_rate"])
        for r in outcome.rows
    ] == [("cash", "Cash1", False, None), ("emoney", "カード", True, Decimal("0.0325"))]
    assert _codes(outcome) == ["unknown_value", "invalid_value"]


def test_a_lookup_can_give_all_other_words_one_meaning(tmp_path: Path) -> None:
    columns = (
        column("code", "payment_method_code", values={"1": "cash"}, otherwise="other"),
        column("name", "payment_method_name"),
    )
    outcome = _conform(tmp_path, "payment_methods", columns, "code,name\n1,a\n7,b\n,c\n")
    assert [row["payment_method_code"] for row in outcome.rows] == ["cash", "other"]
    assert _codes(outcome) == ["missing_value"]


_SALE_COLUMNS = (
    column("店", "machine_id"),
    column("レシート"),
    column("行"),
    column("日"),
    column("時"),
    column("商品", "product_id"),
    column("数", "quantity", kind="integer"),
    column("金額", "amount", kind="number"),
)
_SALE_TEMPLATES = {
    "transaction_id": "{店}-{レシート}",
    "line_id": {"template": "{行}"},
    "sold_at": {"template": "{日} {時}", "formats": ["%Y%m%d %H%M"], "timeZone": "Asia/Tokyo"},
}


def _till_document(**custom: Any) -> dict[str, Any]:
    columns = [dict(entry) for entry in _SALE_COLUMNS]
    for entry in columns:
        # Columns of templates feed no field themselves.
        if {"property": "ignored", "value": True} in entry["customProperties"]:
            entry["customProperties"] = []
    constants = {"currency": "JPY", "transaction_type": "sale"}
    return source_document(
        "till.sales", columns, constants=constants, templates=_SALE_TEMPLATES, **custom
    )


_TILL = """店,レシート,行,日,時,商品,数,金額
S1,7,1,20260801,0915,P1,1,120
S1,7,2,20260801,0915,P2,2,260
"""


def test_templates_put_columns_together_and_keep_the_lines_of_a_transaction_apart(
    tmp_path: Path,
) -> None:
    contract = catalog_with(tmp_path, _till_document()).source("till.sales")
    text = _TILL + "S1,,3,20260801,0915,P1,1,120\nS1,8,1,20260801,2515,P1,1,120\n"
    outcome = conform_with(tmp_path, contract, {"a.csv": text.encode()})
    assert [(r["transaction_id"], r["line_id"], r["sold_at"]) for r in outcome.rows] == [
        ("S1-7", "1", datetime(2026, 8, 1, 0, 15)),  # noqa: DTZ001 - stored in UTC
        ("S1-7", "2", datetime(2026, 8, 1, 0, 15)),  # noqa: DTZ001
    ]
    assert _codes(outcome) == ["missing_value", "invalid_value"]


def test_one_file_can_feed_two_datasets(tmp_path: Path) -> None:
    products = source_document(
        "till.products", (column("商品", "product_id", "product_name"),), otherColumns="ignore"
    )
    catalog = catalog_with(tmp_path, _till_document(), products)
    contracts = catalog.sources_for("till/20260801.txt")
    assert [contract.id for contract in contracts] == ["till.products", "till.sales"]
    text = _TILL + "S1,8,1,20260801,0915,P1,1,120\n"
    by_dataset = [conform_with(tmp_path, c, {"a.csv": text.encode()}) for c in contracts]
    assert [outcome.counts for outcome in by_dataset] == [(3, 2, 0, 1), (3, 3, 0, 0)]
    assert {row["_extra"] for row in by_dataset[0].rows} == {None}


def test_the_header_may_call_a_column_differently_over_time(tmp_path: Path) -> None:
    columns = (
        column("id", "product_id"),
        column("name", "product_name"),
        column("product name", "product_name"),
    )
    document = source_document("vendor.products", columns)
    contract = catalog_with(tmp_path, document).source("vendor.products")
    contents = {"a.csv": b"id,name\nP1,Tea\n", "b.csv": b"id,product name\nP2,Water\n"}
    outcome = conform_with(tmp_path, contract, contents)
    assert sorted(row["product_name"] for row in outcome.rows) == ["Tea", "Water"]
    assert [file.drift for file in outcome.files] == [(), ()]


def test_a_source_adds_rules_to_those_of_the_dataset(tmp_path: Path) -> None:
    columns = (
        column("id", "product_id", options={"pattern": "P[0-9]+"}),
        column("name", "product_name", enum=["Tea", "Water"]),
        column("price", "list_price", kind="number", required=True, options={"maximum": 500}),
    )
    rows = ("P1,Tea,1", "X1,Tea,1", "P2,Beer,1", "P3,Tea,501", "P4,Tea,", "P5,Tea,-1")
    outcome = _conform(tmp_path, "products", columns, "\n".join(("id,name,price", *rows)))
    assert outcome.counts == (6, 1, 5, 0)
    expected = ["invalid_value", "unknown_value", "out_of_range", "missing_value", "out_of_range"]
    assert _codes(outcome) == expected


def test_a_rule_may_warn_reject_the_row_or_fail_the_file(tmp_path: Path) -> None:
    rows = ("P1;Tea;1", "P2;Water;900", "P3;;3")
    price = {"options": {"maximum": 500}}
    usual = _products(tmp_path / "a", *rows, price=price)
    assert (usual.counts, _codes(usual)) == ((3, 1, 2, 0), ["out_of_range", "missing_value"])
    warned = _products(
        tmp_path / "b", *rows, price=price, severity={"list_price.out_of_range": "warn"}
    )
    assert warned.counts == (3, 2, 1, 0)
    assert [(w.field, w.code, w.rows) for w in warned.files[0].warnings] == [
        ("list_price", "out_of_range", 1)
    ]
    failed = _products(tmp_path / "c", *rows, severity={"product_name.missing_value": "fail"})
    assert failed.counts == (3, 0, 3, 0)
    (reason,) = json.loads(failed.quarantined[0]["reasons"])
    assert failed.quarantined[0]["row_number"] is None
    assert reason == {
        "code": "missing_value",
        "field": "product_name",
        "message": "1 rows break a rule that fails the whole file",
    }


def test_what_only_warns_is_noted_in_the_ledger(tmp_path: Path) -> None:
    warned = _products(
        tmp_path,
        "P1;Tea;900",
        "P2;Tea;901",
        price={"options": {"maximum": 500}},
        severity={"list_price.out_of_range": "warn"},
    )
    batch = ConformedBatch(
        batch_id="batch",
        source_contract="vendor.products",
        source="vendor",
        dataset="products",
        contract_version="1.0.0",
        contract_fingerprint="0" * 16,
        files=warned.files,
    )
    row = ledger_row(batch, NewLoad(warned.files[0]), 1, "run", datetime.now(UTC))
    assert row["note"] == "2 rows break list_price.out_of_range, which only warns."


@pytest.mark.parametrize(("threshold", "counts"), [(25, (4, 3, 1, 0)), (24.9, (4, 0, 4, 0))])
def test_a_file_with_too_many_rejected_rows_is_quarantined_whole(
    tmp_path: Path, threshold: float, counts: tuple[int, int, int, int]
) -> None:
    rows = ("P1;Tea;1", "P2;Tea;2", "P3;Tea;3", "P4;Tea;x")
    outcome = _products(tmp_path, *rows, rejectThreshold=threshold)
    assert outcome.counts == counts
    if counts[1] == 0:
        (rejected,) = outcome.quarantined
        assert rejected["first_reason"] == "too_many_rejected"
        assert "list_price invalid_value 1" in rejected["reasons"]


def test_rules_with_quotes_and_brackets_can_be_counted(tmp_path: Path) -> None:
    columns = (
        column("id", "product_id", options={"pattern": '[^"\\\\,{}]+'}),
        column("name", "product_name", values={"a": "Tea", "b'\"]": "Water"}),
    )
    text = "id;name\nP1;a\nP{2};a\nP3;c\n"
    warn = {"product_id.invalid_value": "warn", "product_name.unknown_value": "warn"}
    warned = _conform(
        tmp_path / "a", "products", columns, text, delimiter=";", severity=warn, rejectThreshold=0
    )
    assert warned.counts == (3, 3, 0, 0)
    assert [(w.code, w.rows) for w in warned.files[0].warnings] == [
        ("invalid_value", 1),
        ("unknown_value", 1),
    ]
    refused = _conform(tmp_path / "b", "products", columns, text, delimiter=";", rejectThreshold=50)
    assert refused.counts == (3, 0, 3, 0)


def test_the_threshold_spares_the_other_files_of_a_batch(tmp_path: Path) -> None:
    columns = (column("id", "product_id"), column("name", "product_name"))
    document = source_document("vendor.products", columns, rejectThreshold=10)
    contract = catalog_with(tmp_path, document).source("vendor.products")
    contents = {"a.csv": b"id,name\nP1,\nP2,Tea\n", "b.csv": b"id,name\nP1,Tea\n"}
    outcome = conform_with(tmp_path, contract, contents)
    assert [(f.rows_conformed, f.rows_quarantined) for f in outcome.files] == [(0, 2), (1, 0)]


def _drift(folder: Path, header: str, *rows: str) -> list[tuple[str, str, str | None, str | None]]:
    columns = (
        column("id", "product_id"),
        column("name", "product_name"),
        column("price", "list_price", kind="number"),
        column("cost", "unit_cost", kind="number"),
    )
    outcome = _conform(folder, "products", columns, "\n".join((header, *rows, "")))
    return [(d.kind.value, d.column, d.expected, d.found) for d in outcome.files[0].drift]


def test_drift_of_a_header_is_recognised(tmp_path: Path) -> None:
    assert _drift(tmp_path / "same", "id,name,price,cost", "1,a,2,1") == []
    assert _drift(tmp_path / "added", "id,name,price,cost,stock", "1,a,2,1,7") == [
        ("added", "stock", None, "column 5")
    ]
    assert _drift(tmp_path / "missing", "id,name,price", "1,a,2") == [
        ("missing", "cost", "column 4", None)
    ]
    assert _drift(tmp_path / "renamed", "id,name,Price ¥,cost", "1,a,2,1") == [
        ("renamed", "Price ¥", "price", "Price ¥")
    ]
    assert _drift(tmp_path / "reordered", "id,price,name,cost", "1,2,a,1") == [
        ("reordered", "price", "column 3", "column 2")
    ]


def test_a_missing_required_column_is_drift_as_well(tmp_path: Path) -> None:
    assert _drift(tmp_path, "id,title,price,cost", "1,a,2,1") == [
        ("renamed", "title", "name", "title")
    ]


def test_a_column_that_holds_another_type_is_drift(tmp_path: Path) -> None:
    rows = [f"{n},a,cheap{n},1" for n in range(5)]
    assert _drift(tmp_path, "id,name,price,cost", *rows) == [
        ("retyped", "price", "number", "string")
    ]
    mostly_right = [*(f"{n},a,1,1" for n in range(20)), *rows]
    assert _drift(tmp_path / "few", "id,name,price,cost", *mostly_right) == []


_ITEM: dict[str, object] = {"id": "1", "name": "緑茶", "price": 120, "cost": 60}


def _object_drift(
    folder: Path, *items: dict[str, object]
) -> tuple[tuple[int, int, int, int], list[tuple[str, str, str | None, str | None]]]:
    columns = (
        column("id", "product_id"),
        column("name", "product_name"),
        column("price", "list_price", kind="number"),
        column("cost", "unit_cost", kind="number"),
    )
    document = source_document("vendor.products", columns, {"format": "jsonl"})
    contract = catalog_with(folder, document).source("vendor.products")
    text = "".join(f"{json.dumps(item)}\n" for item in items)
    outcome = conform_with(folder, contract, {"p.jsonl": text.encode()})
    drift = [(d.kind.value, d.column, d.expected, d.found) for d in outcome.files[0].drift]
    return outcome.counts, drift


def _without(name: str, **others: object) -> dict[str, object]:
    return {key: value for key, value in _ITEM.items() if key != name} | others


@pytest.mark.parametrize(
    ("items", "quarantined", "drift"),
    [
        ([_ITEM, _ITEM | {"id": "2"}], 0, []),
        ([_without("cost"), _ITEM | {"id": "2"}], 0, []),
        ([_ITEM | {"stock": 7}], 0, [("added", "stock", None, None)]),
        ([_without("cost")], 0, [("missing", "cost", None, None)]),
        ([_without("cost", Costs=60)], 0, [("renamed", "Costs", "cost", "Costs")]),
        ([_without("name", Name="緑茶")], 1, [("renamed", "Name", "name", "Name")]),
        ([_without("name")], 1, [("missing", "name", None, None)]),
        ([_ITEM | {"id": "2", "note": '"cost"'}, _without("cost", note='"cost"')], 0,
         [("added", "note", None, None)]),
        ([_ITEM | {"id": str(n), "price": {"yen": 120}} for n in range(5)], 5,
         [("retyped", "price", "number", "string")]),
    ],
    ids=["same", "omitted once", "added", "missing", "renamed", "required renamed",
         "required missing", "a value that looks like a name", "retyped"],
)  # fmt: skip
def test_drift_of_objects_is_recognised_and_nothing_of_them_lost(
    tmp_path: Path,
    items: list[dict[str, object]],
    quarantined: int,
    drift: list[tuple[str, str, str | None, str | None]],
) -> None:
    counts, found = _object_drift(tmp_path, *items)

    assert counts == (len(items), len(items) - quarantined, quarantined, 0)
    assert found == drift


@pytest.mark.parametrize(
    ("custom", "message"),
    [
        ({"templates": {"product_id": "constant"}}, "must name columns in braces"),
        ({"templates": {"jan_code": "{gone}"}}, "'gone', which is not declared"),
        ({"severity": {"list_price.typo": "warn"}}, "severity.list_price.typo"),
        ({"severity": {"list_price.invalid_value": "warn"}}, "cannot warn"),
        ({"rejectThreshold": 101}, "rejectThreshold is 101"),
        ({"otherColumns": "drop"}, "otherColumns is 'drop'"),
        ({"defaults": {"formats": ["%Q"]}}, "%Q"),
        ({"defaults": {"typo": 1}}, "defaults.typo"),
        ({"delimiter": '"'}, "must differ"),
        ({"skippedLines": -1}, "skippedLines"),
        ({"compression": "rar"}, "compression is 'rar'"),
        ({"footerPattern": "("}, "footerPattern is no regular expression"),
    ],
)
def test_a_mistake_in_a_contract_is_named(
    tmp_path: Path, custom: dict[str, Any], message: str
) -> None:
    columns = (
        column("id", "product_id"),
        column("name", "product_name"),
        column("price", "list_price", kind="number"),
        column("from", "effective_on", kind="date"),
    )
    with pytest.raises(ContractError) as error:
        _conform(tmp_path, "products", columns, "", **custom)
    assert message in str(error.value)
