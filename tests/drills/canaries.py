"""Personal data that nobody has, planted wherever a vendor could put some, and what finds it."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping
from urllib.parse import quote

NAMES = ("Canary Hanako", "鳥籠花子", "鳥籠太郎")
EMAIL = "canary@example.com"
PHONE = "090-0000-1234"
CARD = "4111 1111 1111 1111"
MY_NUMBER = "1234 5678 9018"
SSN = "219-09-9999"
ADDRESS = "東京都千代田区鳥籠町1-2-3"
BORN = "1985-04-17"
CANARIES = (*NAMES, EMAIL, PHONE, CARD, MY_NUMBER, SSN, ADDRESS, BORN)

_ALL = " ".join(CANARIES)
_STAFF = "staff_id,staff_name,phone,email,birth_date,home_address,route_code,employed_from"
_SALES = (
    "machine_id,transaction_id,slot_number,product_id,sold_at,quantity,unit_price,amount,"
    "payment_method,transaction_type,original_transaction_id"
)
_BASKETS = (
    "household_id,store_id,basket_id,product_id,quantity,sales_value,retail_disc,coupon_disc,"
    "coupon_match_disc,week,transaction_timestamp"
)
_VISITS = (
    "machine_id,replenishment_id,slot_number,product_id,replenished_at,quantity_added,"
    "quantity_removed,counted_stock,staff_id,note"
)


def files() -> Iterator[tuple[str, str]]:
    """By name the files of a delivery: each field, unknown columns, free text, broken rows."""
    person = f"{NAMES[1]},{PHONE},{EMAIL},{BORN},{ADDRESS}"
    yield (
        "staff.csv",
        f"{_STAFF},spouse,account\n"
        f"S1,{person},R1,2020-04-01,{NAMES[2]},{CARD}\n"
        f"S2,{person},R1,not a day of {NAMES[0]},{_ALL},{_ALL}\n"
        f"S3,{person},{_ALL}\n"
        f'S4,"{person}\n',
    )
    # The first row stands where the header should.
    yield "without_header/staff.csv", f"S1,{person},R1,2020-04-01\nS2,{person},R1,2020-04-01\n"
    visit = ("VM1", "R{}", "1", "P1", "2026-01-01T10:00:00+09:00", "5", "0", "5", "S1")
    rows = [",".join((*visit, _ALL)).format(0)]
    # One row for each column that holds numbers or times, with everything in it.
    for place in (2, 4, 5, 6, 7):
        rows.append(",".join((*visit[:place], _ALL, *visit[place + 1 :], "")).format(place))
    yield "replenishment_records_VM1_20260101.csv", "\n".join((_VISITS, *rows, ""))
    sold = "VM1,T{},1,P1,2026-01-01T11:00:00+09:00,1,120,{},cash,sale,,{}\n"
    yield (
        "sales_VM1_20260101.csv",
        f"{_SALES},customer\n" + sold.format(1, 120, NAMES[1]) + sold.format(2, _ALL, EMAIL),
    )
    yield (
        "completejourney/transactions_20260101.csv",
        f"{_BASKETS}\n{CARD},367,B1,1004906,1,1.39,0,0,0,1,2026-01-01 11:30:00\n"
        f"{NAMES[0]},367,{EMAIL},1004906,{PHONE},1.39,0,0,0,1,2026-01-01 11:30:00\n",
    )
    yield from _masters()


def _masters() -> Iterator[tuple[str, str]]:
    """Names of things, in which no name of a person is expected, but all that has a form."""
    found = f"{EMAIL} {PHONE} {CARD} {MY_NUMBER} {SSN} {ADDRESS}"
    yield (
        "products.csv",
        f"product_id,product_name,category_id,list_price,jan_code\nP1,Tea {found},C1,1,\n"
        f"P2,Tea,C1,{_ALL},\nP3,Tea,C1,1,{_ALL}\n",
    )
    yield "product_categories.csv", f"category_id,category_name\nC1,Drinks {found}\n"
    yield (
        "payment_methods.csv",
        f"payment_method_code,payment_method_name,is_cashless\ncash,Cash {found},false\n",
    )
    yield (
        "completejourney/products.csv",
        "product_id,manufacturer_id,department,brand,product_category,product_type,package_size\n"
        f"1004906,69,PRODUCE,Private,POTATOES,{found},5 LB\n",
    )
    yield (
        "vending_machines.csv",
        f"machine_id,machine_name,site_name,status,{EMAIL}\nVM1,{found},Station,active,1\n",
    )


def telemetry() -> dict[str, object]:
    """An item of the vendor's API with fields that no contract knows."""
    return {
        "event_id": "canary",
        "machine_id": "VM1",
        "measured_at": "2026-01-01T01:00:00Z",
        "technician": {"name": NAMES[0], "phones": [PHONE], "card": int(CARD.replace(" ", ""))},
        "remark": _ALL,
    }


def weather() -> dict[str, object]:
    """A day of the weather service, signed by its observer."""
    return {
        "prefecture": "Tokyo",
        "date": "2026-01-01",
        "temperature_max_c": 9.5,
        "observer": {"name": NAMES[1], "born": _ALL},
    }


def traces(kept: Mapping[str, bytes]) -> list[tuple[str, str]]:
    """Where a canary is, in any form in which it may have been written, and which one."""
    return sorted(
        (name, canary)
        for canary in CANARIES
        for form in _forms(canary)
        for name, content in kept.items()
        if form in content
    )


def _forms(text: str) -> set[bytes]:
    """The bytes of a text: in several encodings, escaped, and inside base64 wherever it begins."""
    whole = text.encode()
    forms = {text.encode(encoding) for encoding in ("utf-8", "utf-16-le", "utf-16-be", "cp932")}
    forms |= {json.dumps(text)[1:-1].encode(), quote(text).encode()}
    digits = "".join(character for character in text if character.isdigit())
    if len(digits) > 8:
        forms.add(digits.encode())
    for shift in range(3):
        # What stands beside the text changes the characters at both ends.
        encoded = base64.b64encode(b"\0" * shift + whole)
        forms.add(encoded[4 if shift else 0 : len(encoded) // 4 * 4 - 4])
    return forms
