"""Personal data on its way through conform: stored masked, rejected masked, counted, never told."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from include.contracts import load_catalog
from include.ingest.conform import conform_files
from include.ingest.plan import PersonalFinding
from include.privacy.pepper import PepperError, Purpose
from include.settings import PepperConnection, load_settings
from tests.include.ingest.conforming import LIMITS, PEPPER, conform_text, conform_with

STAFF = "staff_id,staff_name,phone,email,birth_date,home_address,route_code\n"
HANAKO = "S1,山田花子,090-1234-5678,hanako@example.com,1985-04-01,大阪府大阪市北区梅田1-1-1,R1\n"
VISITS = (
    "machine_id,replenishment_id,slot_number,product_id,replenished_at,quantity_added,"
    "quantity_removed,counted_stock,staff_id,note\n"
)
VISIT = "VM0001,R{},1,P1,2026-08-01T10:00:00+09:00,5,0,5,S1,{}\n"
PRODUCTS = "product_id,product_name,category_id,list_price,unit_cost,jan_code\n"


def test_the_fast_and_the_exact_way_mask_the_same(tmp_path: Path) -> None:
    fast = conform_text(tmp_path, "fleet.staff", STAFF + HANAKO)
    exact = conform_text(tmp_path, "fleet.staff", STAFF + HANAKO + "S2,a\n")
    assert exact.counts == (2, 1, 1, 0)
    (row,), (same,) = fast.rows, exact.rows
    assert {**row, "_load_id": 0} == {**same, "_load_id": 0}
    assert row["phone"] == "****5678"
    assert row["email"] == PEPPER.masked(Purpose.KEYED_HASH, "hanako@example.com")
    assert (row["birth_years"], row["home_prefecture"]) == ("1980-1989", "大阪府")
    assert row["staff_name"] not in (None, "山田花子")


def test_the_same_value_is_masked_the_same_in_every_file(tmp_path: Path) -> None:
    contract = load_catalog().source("fleet.staff")
    contents = {f"{n}.csv": (STAFF + HANAKO).encode() for n in range(2)}
    names = {row["staff_name"] for row in conform_with(tmp_path, contract, contents).rows}
    assert len(names) == 1


@pytest.mark.parametrize("bad_row", ["", "VM1,R9\n"], ids=["fast", "exact"])
def test_free_text_that_is_not_released_is_withheld_and_what_was_found_in_it_counted(
    tmp_path: Path, bad_row: str
) -> None:
    notes = ("鍵が固い", "山田様 090-1234-5678 と 03-1234-5678", "", "a@example.com")
    text = VISITS + "".join(VISIT.format(n, note) for n, note in enumerate(notes)) + bad_row
    outcome = conform_text(tmp_path, "fleet.replenishment", text)
    stored = {row["replenishment_id"]: row["note"] for row in outcome.rows}
    assert stored == {
        "R0": "[masked]",
        "R1": "[masked] [masked:phone] [masked:phone]",
        "R2": None,
        "R3": "[masked] [masked:email]",
    }
    assert outcome.files[0].personal == (
        PersonalFinding(field="note", kind="email", matches=1),
        PersonalFinding(field="note", kind="phone", matches=2),
    )


def test_what_is_found_in_a_name_that_people_read_is_masked_and_the_rest_stays(
    tmp_path: Path,
) -> None:
    outcome = conform_text(
        tmp_path, "fleet.products", PRODUCTS + "P1,緑茶 tel 0312345678,C1,1,1,\n"
    )
    assert outcome.rows[0]["product_name"] == "緑茶 tel [masked:phone]"


@pytest.mark.parametrize("bad_row", ["", "P9,Tea\n"], ids=["fast", "exact"])
def test_columns_that_no_contract_knows_keep_numbers_and_codes_only(
    tmp_path: Path, bad_row: str
) -> None:
    header = PRODUCTS.replace("\n", ",shelf,buyer,contact,a@example.com\n")
    text = header + "P1,Tea,C1,1,1,,a-12,山田花子,090-1234-5678,1.5\n" + bad_row
    outcome = conform_text(tmp_path, "fleet.products", text)
    assert json.loads(outcome.rows[0]["_extra"]) == {
        "shelf": "a-12",
        "buyer": "[masked]",
        "contact": "[masked:phone]",
        "[masked:email]": "1.5",
    }
    assert "[masked:email]" in {drift.column for drift in outcome.files[0].drift}


def test_a_rejected_row_shows_numbers_and_codes_only(tmp_path: Path) -> None:
    """A shifted row has names and telephones in columns that are for other things."""
    row = "VM0001,R1,two,山田花子,2026-08-01T10:00:00+09:00,hanako@example.com,0,5,S1,a secret\n"
    outcome = conform_text(tmp_path, "fleet.replenishment", VISITS + row)
    (rejected,) = outcome.quarantined
    assert json.loads(rejected["record"]) == {
        "machine_id": "VM0001",
        "replenishment_id": "R1",
        "slot_number": "two",
        "product_id": "[masked]",
        "replenished_at": "2026-08-01T10:00:00+09:00",
        "quantity_added": "[masked] [masked:email]",
        "quantity_removed": "0",
        "counted_stock": "5",
        "staff_id": "S1",
    }
    assert outcome.files[0].personal == (PersonalFinding(field="record", kind="email", matches=1),)


def test_the_first_row_of_a_file_without_a_header_is_not_told_as_column_names(
    tmp_path: Path,
) -> None:
    outcome = conform_text(tmp_path, "fleet.staff", HANAKO)
    assert outcome.counts[1] == 0
    assert "山田花子" not in repr(outcome)
    assert "hanako" not in repr(outcome)


def test_without_a_pepper_nothing_that_needs_one_is_read(tmp_path: Path) -> None:
    with pytest.raises(PepperError, match="give conform the pepper"):
        conform_files(load_catalog().source("fleet.staff"), [], tmp_path, LIMITS, "run")


def test_staging_and_prod_have_no_pepper_of_their_own() -> None:
    for environment in ("staging", "prod"):
        variables = {"VENDING_ENV": environment, "VENDING_COMPANY": "acme"}
        if environment == "prod":
            variables["VENDING_KMS_KEY_ID"] = "key"
        assert isinstance(load_settings(variables).pepper, PepperConnection)
