"""A day of a small fleet whose staff can be told apart by what an export must suppress."""

from __future__ import annotations

from datetime import date

STAFF = [
    # Two routes that many drive, and one that tells who drives it.
    *((f"S{n}", f"山田{n}", f"090-1234-500{n}", f"yamada{n}@vending.jp", "R1") for n in range(5)),
    *(
        (f"S{n}", f"鈴木{n}", f"090-1234-500{n}", f"suzuki{n}@vending.jp", "R2")
        for n in range(5, 9)
    ),
    ("S9", "佐藤", "090-1234-5009", "sato@vending.jp", "R9"),
]


def staff() -> bytes:
    """The master, with a column that no contract knows."""
    header = "staff_id,staff_name,phone,email,route_code,employed_from,locker"
    rows = (f"{','.join(person)},2020-04-01,4711" for person in STAFF)
    return "\n".join([header, *rows, ""]).encode()


def replenishment(day: date) -> bytes:
    """Twenty visits to a machine, two of each person."""
    header = (
        "machine_id,replenishment_id,slot_number,product_id,replenished_at,"
        "quantity_added,quantity_removed,counted_stock,staff_id"
    )
    rows = (f"VM001,V{n},{n + 1},P1,{day}T11:00:00+09:00,5,0,,S{n % 10}" for n in range(20))
    return "\n".join([header, *rows, ""]).encode()
