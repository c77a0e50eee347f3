"""What conform makes of single rows and files: every value as written, or quarantined."""

from __future__ import annotations

import gzip
import json
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from include.privacy.pepper import Purpose
from tests.include.ingest.conforming import (
    PEPPER,
    SALES_HEADER,
    Outcome,
    conform,
    conform_text,
    sales_line,
)


def _sales(tmp_path: Path, *lines: str, header: str = SALES_HEADER, end: str = "\n") -> Outcome:
    text = end.join((header, *lines)) + end
    return conform_text(tmp_path, "fleet.sales", text)


def test_a_row_is_stored_as_written_with_its_utc_time_and_its_local_date(tmp_path: Path) -> None:
    outcome = _sales(tmp_path, sales_line(sold_at="2026-08-02T08:30:15+09:00", amount="120"))
    (row,) = outcome.rows
    assert row == {
        "machine_id": "VM0001",
        "transaction_id": "T1",
        "line_id": "1",
        "slot_number": 3,
        "product_id": "P0001",
        "sold_at": datetime(2026, 8, 1, 23, 30, 15),  # noqa: DTZ001 - stored in UTC without a zone
        "business_date": date(2026, 8, 2),
        "quantity": 1,
        "unit_price": Decimal("120.00"),
        "amount": Decimal("120.00"),
        "currency": "JPY",
        "payment_method_code": "cash",
        "transaction_type": "sale",
        "original_transaction_id": None,
        "customer_token": None,
        "_source": "fleet",
        "_load_id": outcome.load_id,
        "_extra": None,
    }
    assert outcome.counts == (1, 1, 0, 0)


@pytest.mark.parametrize("way", ["fast", "exact"])
@pytest.mark.parametrize(
    ("column", "text", "code"),
    [
        ("quantity", "1.5", "too_precise"),
        ("quantity", "0x1F", "invalid_value"),
        ("quantity", "1_000", "invalid_value"),
        ("quantity", "1e2", "invalid_value"),
        ("quantity", " 1", "invalid_value"),
        ("quantity", "１", "invalid_value"),
        ("quantity", "-1", "out_of_range"),
        ("quantity", "99999999999", "out_of_range"),
        ("quantity", "", "missing_value"),
        ("slot_number", "0", "out_of_range"),
        ("slot_number", "abc", "invalid_value"),
        ("amount", "1.239", "too_precise"),
        ("amount", "1,239", "malformed_row"),
        ("amount", "¥120", "invalid_value"),
        ("amount", "NaN", "invalid_value"),
        ("amount", "inf", "invalid_value"),
        ("amount", "12345678901234567", "out_of_range"),
        ("unit_price", "-0.01", "out_of_range"),
        ("sold_at", "2026-08-01T09:30:15", "invalid_value"),
        ("sold_at", "2026-08-01", "invalid_value"),
        ("sold_at", "2026-08-01T09:30:15+99:00", "invalid_value"),
        ("sold_at", "2026-08-01T09:30:15+14:01", "invalid_value"),
        ("sold_at", "2026-08-01T09:30:15 Asia/Tokyo", "invalid_value"),
        ("sold_at", "2026-02-30T09:30:15+09:00", "invalid_value"),
        ("sold_at", "2026-08-01T25:30:15+09:00", "invalid_value"),
        ("sold_at", "2026-08-01T09:30:15.1234567+09:00", "too_precise"),
        ("sold_at", "0026-08-01T09:30:15+09:00", "invalid_value"),
        ("sold_at", "1999-12-30T09:30:15+09:00", "out_of_range"),
        ("sold_at", "2100-01-02T09:30:15+09:00", "out_of_range"),
        ("sold_at", "infinity", "invalid_value"),
        ("sold_at", "", "missing_value"),
        ("transaction_type", "gift", "unknown_value"),
        ("transaction_type", "SALE", "unknown_value"),
        ("machine_id", "", "missing_value"),
    ],
)
def test_a_value_that_breaks_its_rule_is_quarantined_with_line_and_reason(
    tmp_path: Path, way: str, column: str, text: str, code: str
) -> None:
    bad = sales_line(transaction_id="T2", **{column: text})
    # A blank line is read exactly only, and changes nothing else.
    lines = [sales_line(), bad] if way == "fast" else ["", sales_line(), bad]
    outcome = _sales(tmp_path, *lines)
    assert outcome.counts == (2, 1, 1, 0)
    (rejected,) = outcome.quarantined
    assert rejected["first_reason"] == code
    assert rejected["row_number"] == len(lines) + 1
    (reason,) = json.loads(rejected["reasons"])
    assert reason["field"] == (None if code == "malformed_row" else column)


@pytest.mark.parametrize(
    ("column", "text", "stored"),
    [
        ("amount", "1.1", Decimal("1.10")),
        ("amount", "1.10", Decimal("1.10")),
        ("amount", "001.100", Decimal("1.10")),
        ("amount", "-0.5", Decimal("-0.50")),
        ("amount", "+3", Decimal("3.00")),
        ("amount", ".5", Decimal("0.50")),
        ("amount", "9999999999999999.99", Decimal("9999999999999999.99")),
        ("quantity", "007", 7),
        ("quantity", "+7", 7),
        ("quantity", "7.0", 7),
        ("sold_at", "2026-08-01T00:30:15Z", datetime(2026, 8, 1, 0, 30, 15)),  # noqa: DTZ001
        ("sold_at", "2026-08-01 09:30:15+09:00", datetime(2026, 8, 1, 0, 30, 15)),  # noqa: DTZ001
        ("sold_at", "2026-07-31T19:30:15-05:00", datetime(2026, 8, 1, 0, 30, 15)),  # noqa: DTZ001
        (
            "sold_at",
            "2026-08-01T09:30:15.123456+09:00",
            datetime(2026, 8, 1, 0, 30, 15, 123456),  # noqa: DTZ001
        ),
    ],
)
def test_an_unusual_spelling_of_an_exact_value_is_stored_as_that_value(
    tmp_path: Path, column: str, text: str, stored: object
) -> None:
    outcome = _sales(tmp_path, sales_line(**{column: text}))
    assert [row[column] for row in outcome.rows] == [stored]


def test_a_row_is_quarantined_with_all_its_reasons(tmp_path: Path) -> None:
    outcome = _sales(tmp_path, sales_line(quantity="x", amount="1.239", transaction_type="gift"))
    (rejected,) = outcome.quarantined
    reasons = {(r["code"], r["field"]) for r in json.loads(rejected["reasons"])}
    assert reasons == {
        ("invalid_value", "quantity"),
        ("too_precise", "amount"),
        ("unknown_value", "transaction_type"),
    }
    assert json.loads(rejected["record"])["amount"] == "1.239"


def test_reordered_columns_do_not_swap_values(tmp_path: Path) -> None:
    header = ",".join(reversed(SALES_HEADER.split(",")))
    line = ",".join(reversed(sales_line(amount="7", quantity="3").split(",")))
    (row,) = _sales(tmp_path, line, header=header).rows
    assert (row["amount"], row["quantity"], row["machine_id"]) == (Decimal("7.00"), 3, "VM0001")


def test_files_with_their_columns_in_different_orders_are_read_in_one_batch(
    tmp_path: Path,
) -> None:
    header = ",".join(reversed(SALES_HEADER.split(",")))
    line = ",".join(reversed(sales_line(amount="7").split(",")))
    outcome = conform(
        tmp_path,
        "fleet.sales",
        {
            "a.csv": f"{SALES_HEADER}\n{sales_line(amount='5')}\n".encode(),
            "b.csv": f"{header}\n{line}\n".encode(),
            "c.csv": f"{SALES_HEADER}\r\n{sales_line(amount='6')}\r\n".encode(),
        },
    )
    assert sorted(row["amount"] for row in outcome.rows) == [5, 6, 7]
    assert len({row["_load_id"] for row in outcome.rows}) == 3


def test_an_unclosed_quote_costs_one_row_and_not_the_rest_of_the_file(tmp_path: Path) -> None:
    lines = [sales_line(transaction_id=f"T{n}") for n in range(1000)]
    lines[500] = sales_line(transaction_id='"T500')
    outcome = _sales(tmp_path, *lines)
    assert outcome.counts == (1000, 999, 1, 0)
    assert [(r["row_number"], r["first_reason"]) for r in outcome.quarantined] == [
        (502, "malformed_row")
    ]


def test_two_unclosed_quotes_do_not_join_the_lines_between_them(tmp_path: Path) -> None:
    lines = [sales_line(transaction_id=f"T{n}") for n in range(10)]
    lines[3] = sales_line(transaction_id='"T3')
    lines[6] = sales_line(transaction_id='T6"')
    outcome = _sales(tmp_path, *lines)
    assert outcome.counts == (10, 9, 1, 0)
    assert outcome.quarantined[0]["row_number"] == 5
    assert 'T6"' in {row["transaction_id"] for row in outcome.rows}


def test_a_quoted_line_end_makes_two_malformed_rows_where_the_contract_knows_none(
    tmp_path: Path,
) -> None:
    outcome = _sales(tmp_path, sales_line(), sales_line(transaction_id='"T\n2"'))
    assert outcome.counts == (3, 1, 2, 0)
    assert [r["row_number"] for r in outcome.quarantined] == [3, 4]


def test_a_quoted_value_may_hold_delimiters_and_doubled_quotes(tmp_path: Path) -> None:
    outcome = _sales(tmp_path, sales_line(product_id='"P,""1"""'), sales_line(transaction_id="T2"))
    assert {row["product_id"] for row in outcome.rows} == {'P,"1"', "P0001"}


def test_a_blank_between_a_quote_and_the_delimiter_is_a_malformed_row(tmp_path: Path) -> None:
    outcome = _sales(tmp_path, sales_line(product_id='"P1" '), sales_line(transaction_id='"T2"'))
    assert outcome.counts == (2, 1, 1, 0)
    assert outcome.quarantined[0]["row_number"] == 2


def test_a_blank_before_a_quote_makes_both_part_of_the_value(tmp_path: Path) -> None:
    outcome = _sales(tmp_path, sales_line(product_id=' "P1"'), sales_line(transaction_id='"T2"'))
    assert {row["product_id"] for row in outcome.rows} == {' "P1"', "P0001"}


@pytest.mark.parametrize("place", ["first", "middle", "last"])
def test_a_trailing_delimiter_is_a_malformed_row(tmp_path: Path, place: str) -> None:
    lines = [sales_line(transaction_id=f"T{n}") for n in range(3)]
    lines[["first", "middle", "last"].index(place)] += ","
    outcome = _sales(tmp_path, *lines)
    assert outcome.counts == (3, 2, 1, 0)


def test_a_short_row_and_a_long_one_do_not_even_out(tmp_path: Path) -> None:
    short = sales_line(transaction_id="T1").rsplit(",", 1)[0]
    outcome = _sales(tmp_path, short, sales_line(transaction_id="T2") + ",")
    assert outcome.counts == (2, 0, 2, 0)


def test_blank_lines_are_no_rows_and_keep_line_numbers_right(tmp_path: Path) -> None:
    outcome = _sales(tmp_path, "", sales_line(), "", "", sales_line(quantity="x"), "")
    assert outcome.counts == (2, 1, 1, 0)
    assert outcome.quarantined[0]["row_number"] == 6


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_either_line_end_is_read(tmp_path: Path, end: str) -> None:
    outcome = _sales(tmp_path, sales_line(), sales_line(transaction_id="T2"), end=end)
    assert outcome.counts == (2, 2, 0, 0)
    assert {row["original_transaction_id"] for row in outcome.rows} == {None}


def test_mixed_line_ends_lose_no_row(tmp_path: Path) -> None:
    text = f"{SALES_HEADER}\r\n{sales_line()}\n{sales_line(transaction_id='T2')}\r\n"
    assert conform_text(tmp_path, "fleet.sales", text).counts == (2, 2, 0, 0)


def test_a_lone_carriage_return_is_a_malformed_row_and_stops_no_other(tmp_path: Path) -> None:
    outcome = _sales(tmp_path, sales_line(), sales_line(transaction_id="T\r2"))
    assert outcome.counts == (2, 1, 1, 0)


def test_the_last_line_needs_no_line_end(tmp_path: Path) -> None:
    text = f"{SALES_HEADER}\n{sales_line()}\n{sales_line(transaction_id='T2')}"
    assert conform_text(tmp_path, "fleet.sales", text).counts == (2, 2, 0, 0)


def test_a_nul_character_is_a_malformed_row(tmp_path: Path) -> None:
    outcome = _sales(tmp_path, sales_line(), sales_line(transaction_id="T\x002"))
    assert outcome.counts == (2, 1, 1, 0)


def test_invalid_utf8_rejects_its_line_only(tmp_path: Path) -> None:
    content = f"{SALES_HEADER}\n{sales_line()}\n".encode()
    content += sales_line(transaction_id="T2").encode().replace(b"P0001", b"P\xff\xfe")
    outcome = conform(tmp_path, "fleet.sales", {"a.csv": content})
    assert outcome.counts == (2, 1, 1, 0)
    assert outcome.quarantined[0]["first_reason"] == "invalid_encoding"
    assert outcome.quarantined[0]["record"] is None


def test_a_repeated_line_is_skipped_and_counted(tmp_path: Path) -> None:
    outcome = _sales(tmp_path, sales_line(), sales_line(), sales_line(amount="120.00"))
    assert outcome.counts == (3, 1, 0, 2)


def test_all_rows_of_a_key_are_quarantined_where_their_values_differ(tmp_path: Path) -> None:
    outcome = _sales(
        tmp_path, sales_line(amount="100"), sales_line(amount="200"), sales_line(amount="100")
    )
    assert outcome.counts == (3, 0, 3, 0)
    assert {row["first_reason"] for row in outcome.quarantined} == {"conflicting_key"}
    assert {
        row["row_number"]: json.loads(row["record"])["amount"] for row in outcome.quarantined
    } == {2: "100", 3: "200", 4: "100"}


def test_the_same_key_in_two_files_stays_in_both(tmp_path: Path) -> None:
    content = f"{SALES_HEADER}\n{sales_line()}\n".encode()
    outcome = conform(tmp_path, "fleet.sales", {"a.csv": content, "b.csv": content})
    assert len(outcome.rows) == 2
    assert len({row["_load_id"] for row in outcome.rows}) == 2


def test_an_unknown_column_is_kept_as_json(tmp_path: Path) -> None:
    outcome = _sales(
        tmp_path,
        sales_line() + ",sunny",
        sales_line(transaction_id="T2") + ",",
        header=SALES_HEADER + ",天気",
    )
    extras = {row["transaction_id"]: row["_extra"] for row in outcome.rows}
    assert extras == {"T1": '{"天気": "sunny"}', "T2": None}


def test_a_missing_optional_column_is_null(tmp_path: Path) -> None:
    header, line = (text.rsplit(",", 1)[0] for text in (SALES_HEADER, sales_line()))
    outcome = _sales(tmp_path, line, header=header)
    assert outcome.rows[0]["original_transaction_id"] is None
    assert outcome.counts == (1, 1, 0, 0)


@pytest.mark.parametrize(
    ("header", "problem"),
    [
        (SALES_HEADER.replace("quantity", "qty"), "lacks quantity"),
        (SALES_HEADER.replace("quantity", "amount"), "names a column twice"),
        (SALES_HEADER.replace("quantity", ""), "without a name"),
        ("", "is missing"),
        (SALES_HEADER.replace("quantity", '"quantity'), "is no delimited line"),
    ],
)
def test_a_file_with_a_malformed_header_is_quarantined_whole(
    tmp_path: Path, header: str, problem: str
) -> None:
    outcome = _sales(tmp_path, sales_line(), sales_line(transaction_id="T2"), header=header)
    assert outcome.counts == (2, 0, 2, 0)
    (rejected,) = outcome.quarantined
    assert rejected["first_reason"] == "malformed_header"
    assert rejected["row_number"] is None
    assert problem in json.loads(rejected["reasons"])[0]["message"]


def test_an_empty_file_is_in_quarantine_with_no_rows(tmp_path: Path) -> None:
    outcome = conform(tmp_path, "fleet.sales", {"a.csv": b""})
    assert outcome.counts == (0, 0, 0, 0)
    assert [r["first_reason"] for r in outcome.quarantined] == ["malformed_header"]


def test_a_file_with_a_header_only_has_no_rows(tmp_path: Path) -> None:
    outcome = _sales(tmp_path)
    assert outcome.counts == (0, 0, 0, 0)
    assert outcome.quarantined == []


def test_a_file_name_with_glob_characters_and_quotes_is_read(tmp_path: Path) -> None:
    content = f"{SALES_HEADER}\n{sales_line()}\n".encode()
    outcome = conform(tmp_path, "fleet.sales", {"sales_[a]*?'{1}.csv": content})
    assert outcome.counts == (1, 1, 0, 0)


def test_cp932_text_is_read_with_its_extensions_and_trimmed(tmp_path: Path) -> None:
    header = (
        "machine_id,machine_name,prefecture,site_name,site_type,latitude,longitude,model,"
        "slot_count,slot_capacity,status,installed_on,effective_on"
    )
    line = "VM0001,　①髙島～駅 ,東京都,髙島ビル,station,35.681236,139.767125,M1,24,10,,2020-04-01,"
    content = f"{header}\r\n{line}\r\n".encode("cp932")
    (row,) = conform(tmp_path, "fleet.vending_machines", {"m.csv": content}).rows
    assert row["machine_name"] == "①髙島～駅"
    assert row["site_name"] == "髙島ビル"
    assert row["latitude"] == Decimal("35.681236")
    assert row["installed_on"] == date(2020, 4, 1)
    assert row["effective_on"] is None


def test_a_byte_order_mark_is_no_part_of_the_first_column(tmp_path: Path) -> None:
    text = (
        "product_id,product_name,category_id,list_price,unit_cost,jan_code,effective_on\n"
        "P0001,緑茶 500ml,C1,150,60.5,4901234567894,2026-01-01\n"
    )
    outcome = conform(tmp_path, "fleet.products", {"p.csv": text.encode("utf-8-sig")})
    assert outcome.counts == (1, 1, 0, 0)
    assert outcome.rows[0]["product_id"] == "P0001"
    assert outcome.files[0].business_date_from == date(2026, 1, 1)


def test_personal_values_reach_rows_masked_and_quarantine_not_at_all(tmp_path: Path) -> None:
    text = (
        "staff_id,staff_name,phone,email,route_code,employed_from,effective_on\n"
        "S1,山田太郎,090-1234-5678,taro@example.com,R1,2020-04-01,2026-01-01\n"
        "S2,佐藤花子,090-8765-4321,hanako@example.com,R2,2020-13-01,2026-01-01\n"
        "S1,別人一郎,090-0000-0000,other@example.com,R9,2020-04-01,2026-01-01\n"
        "S3,鈴木次郎,090-1111-1111,jiro@example.com,R3,2020-04-01,2026-01-01\n"
    )
    outcome = conform_text(tmp_path, "fleet.staff", text)
    assert outcome.counts == (4, 1, 3, 0)
    everything = repr((outcome.rows, outcome.quarantined))
    for personal in ("山田", "佐藤", "別人", "鈴木", "090-", "example.com"):
        assert personal not in everything
    (stored,) = outcome.rows
    assert stored["phone"] == "****1111"
    assert stored["email"] == PEPPER.masked(Purpose.KEYED_HASH, "jiro@example.com")
    (refused,) = (row for row in outcome.quarantined if row["row_number"] == 3)
    assert json.loads(refused["record"]) == {
        "staff_id": "S2",
        "route_code": "R2",
        "employed_from": "2020-13-01",
        "effective_on": "2026-01-01",
    }


_RETAIL_HEADER = (
    "household_id,store_id,basket_id,product_id,quantity,sales_value,retail_disc,coupon_disc,"
    "coupon_match_disc,week,transaction_timestamp"
)


def _retail(tmp_path: Path, *lines: str) -> Outcome:
    return conform_text(tmp_path, "completejourney.sales", "\n".join((_RETAIL_HEADER, *lines)))


def test_another_vendors_columns_are_mapped_and_its_business_date_is_its_own(
    tmp_path: Path,
) -> None:
    outcome = _retail(tmp_path, "900,330,31198570044,1095275,0,2.49,0,0,0,1,2018-01-01 04:01:20")
    (row,) = outcome.rows
    assert row["machine_id"] == "330"
    assert row["transaction_id"] == "31198570044"
    assert row["line_id"] == row["product_id"] == "1095275"
    assert row["amount"] == Decimal("2.49")
    assert (row["currency"], row["transaction_type"]) == ("USD", "sale")
    assert row["sold_at"] == datetime(2018, 1, 1, 4, 1, 20)  # noqa: DTZ001
    assert row["business_date"] == date(2017, 12, 31)
    assert row["unit_price"] is row["_extra"] is None
    assert "900" not in {value for value in row.values() if isinstance(value, str)}


@pytest.mark.parametrize(
    ("text", "stored"),
    [
        ("1.776357e-15", Decimal("0.00")),
        ("0.30000000000000004", Decimal("0.30")),
        ("1.49", Decimal("1.49")),
    ],
)
def test_declared_noise_of_binary_floating_point_is_taken_off(
    tmp_path: Path, text: str, stored: Decimal
) -> None:
    outcome = _retail(tmp_path, f"900,330,1,2,1,{text},0,0,0,1,2017-01-01 11:53:26")
    assert [row["amount"] for row in outcome.rows] == [stored]


def test_a_third_decimal_is_no_noise(tmp_path: Path) -> None:
    outcome = _retail(tmp_path, "900,330,1,2,1,0.305,0,0,0,1,2017-01-01 11:53:26")
    assert [r["first_reason"] for r in outcome.quarantined] == ["too_precise"]
    assert "household_id" not in json.loads(outcome.quarantined[0]["record"])


@pytest.mark.parametrize("text", ["2017-01-01 11:53:26+00:00", "2017-01-01", "2017-01-01 24:61:00"])
def test_a_time_that_must_have_no_offset_is_refused_otherwise(tmp_path: Path, text: str) -> None:
    outcome = _retail(tmp_path, f"900,330,1,2,1,1,0,0,0,1,{text}")
    assert [r["first_reason"] for r in outcome.quarantined] == ["invalid_value"]


def test_the_first_of_several_columns_that_has_a_value_gives_the_field(tmp_path: Path) -> None:
    text = (
        "product_id,manufacturer_id,department,brand,product_category,product_type,package_size\n"
        "1,2,GROCERY,National,FRZN ICE,ICE,22 LB\n"
        "2,2,GROCERY,National,FRZN ICE,,\n"
        "3,2,MISCELLANEOUS,National,,,\n"
    )
    outcome = conform_text(tmp_path, "completejourney.products", text)
    names = {row["product_id"]: row["product_name"] for row in outcome.rows}
    assert names == {"1": "ICE", "2": "FRZN ICE", "3": "MISCELLANEOUS"}


def _page(*lines: str) -> bytes:
    return gzip.compress(
        "".join(f"{line}\n" for line in ('{"_page":{}}', *lines)).encode(), mtime=0
    )


def _event(**changes: object) -> str:
    event = {
        "event_id": "e1",
        "machine_id": "VM0001",
        "measured_at": "2026-08-01T00:00:00+09:00",
        "temperature_c": 4.5,
        "door_open": False,
        "error_code": None,
        "stock": {"10": 2, "1": 12},
    }
    return json.dumps(event | changes)


def _telemetry(tmp_path: Path, content: bytes) -> Outcome:
    return conform(tmp_path, "fleet.machine_telemetry", {"page-00000001.jsonl.gz": content})


def test_an_api_item_is_stored_as_written(tmp_path: Path) -> None:
    item = _event().replace("4.5", "4.50")
    (row,) = _telemetry(tmp_path, _page(item)).rows
    assert row["temperature_c"] == Decimal("4.50")
    assert row["is_door_open"] is False
    assert row["error_code"] is None
    assert row["slot_stock"] == '{"1":12,"10":2}'
    assert row["business_date"] == date(2026, 8, 1)


def test_unknown_fields_of_an_item_are_kept_with_their_numbers_as_written(tmp_path: Path) -> None:
    item = _event().replace("{", '{"fan":{"rpm":[1.50]},', 1)
    (row,) = _telemetry(tmp_path, _page(item)).rows
    assert row["_extra"] == '{"fan":{"rpm":[1.50]}}'


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("[]", "malformed_row"),
        ("{", "malformed_row"),
        ('{"event_id": NaN}', "malformed_row"),
        ('{"event_id":"a","event_id":"b"}', "malformed_row"),
        ("[" * 100_000, "malformed_row"),
        (_event(event_id="\ud800"), "malformed_row"),
        (_event(event_id="a\0"), "malformed_row"),
        (_event(measured_at=5), "invalid_value"),
        (_event(stock=[1]), "invalid_value"),
        (_event(door_open="maybe"), "invalid_value"),
        (_event(event_id=None), "missing_value"),
    ],
)
def test_a_bad_item_is_quarantined_and_stops_no_other(tmp_path: Path, line: str, code: str) -> None:
    outcome = _telemetry(tmp_path, _page(_event(), line))
    assert outcome.counts == (2, 1, 1, 0)
    assert [(r["row_number"], r["first_reason"]) for r in outcome.quarantined] == [(3, code)]


@pytest.mark.parametrize(
    ("content", "code", "rows"),
    [
        (_page('{"_malformed": "<html>"}'), "malformed_page", 1),
        (gzip.compress(b"<html>\n", mtime=0), "malformed_page", 0),
        (b"not gzip", "unreadable_compression", 0),
        (
            _page(*(_event(event_id=str(n)) for n in range(2000)))[:-30],
            "unreadable_compression",
            None,
        ),
    ],
)
def test_a_page_that_cannot_be_read_is_quarantined_whole(
    tmp_path: Path, content: bytes, code: str, rows: int | None
) -> None:
    outcome = _telemetry(tmp_path, content)
    read, conformed, quarantined, _ = outcome.counts
    assert (conformed, quarantined) == (0, read)
    assert rows is None or read == rows
    assert [(r["row_number"], r["first_reason"]) for r in outcome.quarantined] == [(None, code)]


def test_weather_has_its_day_from_the_service(tmp_path: Path) -> None:
    item = {
        "prefecture": "東京都",
        "date": "2026-08-01",
        "temperature_max_c": 35.1,
        "temperature_min_c": -0.5,
        "precipitation_mm": 0,
        "condition": "sunny",
    }
    content = _page(json.dumps(item, ensure_ascii=False))
    (row,) = conform(tmp_path, "weather_service.weather", {"p.jsonl.gz": content}).rows
    assert row["business_date"] == date(2026, 8, 1)
    assert row["temperature_max_c"] == Decimal("35.1")
    assert row["precipitation_mm"] == 0


def test_a_quarantine_row_leads_back_to_its_file_and_contract(tmp_path: Path) -> None:
    outcome = _sales(tmp_path, sales_line(quantity="x"))
    (rejected,) = outcome.quarantined
    assert rejected["load_id"] == outcome.load_id
    assert rejected["source_contract"] == "fleet.sales"
    assert (rejected["source"], rejected["dataset"]) == ("fleet", "sales")
    assert rejected["object_key"] == outcome.files[0].landed.object_key
    assert rejected["raw_location"] == outcome.files[0].landed.raw_location
    assert rejected["run_id"] == "test-run"
