"""What two vendors deliver over a week, and everything that can go wrong with it.

`BASELINE` is loaded first; each of `DELIVERIES` is one reason for which a row that dbt has already
built must change, move or vanish. Expected figures are worked out by hand.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from tests.dbt.raw_fixture import (
    Category,
    Machine,
    PaymentMethod,
    Product,
    RawWarehouse,
    Reading,
    Sale,
    Staff,
    Visit,
    Weather,
    at,
)

TEA = Decimal("150")
COLA = Decimal("120")


@dataclass(frozen=True)
class Delivery:
    """One change of raw, and what the marts must say afterwards for the source fleet."""

    name: str
    apply: Callable[[RawWarehouse], None]
    revenue: Decimal
    units_sold: int


def _first_day() -> list[Sale]:
    return [
        Sale("M1", "T1", at("2025-03-01 01:00"), 1, "TEA", TEA),
        Sale("M1", "T2", at("2025-03-01 02:00"), 1, "TEA", TEA),
        Sale("M1", "T3", at("2025-03-01 03:00"), 2, "COLA", COLA, quantity=1),
    ]


def _second_day() -> list[Sale]:
    return [
        Sale("M1", "T4", at("2025-03-02 01:00"), 1, "TEA", TEA),
        Sale("M1", "T5", at("2025-03-02 02:00"), 2, "COLA", COLA),
        Sale("M1", "T6", at("2025-03-02 03:00"), 2, "COLA", COLA),
    ]


def _baseline(warehouse: RawWarehouse) -> None:
    warehouse.land(
        "machines.csv",
        "2025-02-01 00:00",
        [
            Machine("M1", "Tokyo", date(2025, 1, 1)),
            Machine("M2", "Osaka", date(2025, 1, 1)),
        ],
    )
    warehouse.land(
        "products.csv",
        "2025-02-01 00:01",
        [
            Product("TEA", "drinks", TEA, date(2025, 1, 1)),
            Product("COLA", "drinks", COLA, date(2025, 1, 1)),
        ],
    )
    warehouse.land("categories.csv", "2025-02-01 00:02", [Category("drinks", "Drinks")])
    warehouse.land("payment.csv", "2025-02-01 00:03", [PaymentMethod("cash", "Cash")])
    warehouse.land("staff.csv", "2025-02-01 00:04", [Staff("W1", "R1")])
    warehouse.land(
        "visits_M1_1.csv",
        "2025-03-02 00:00",
        [
            Visit("M1", "V1", 1, "TEA", at("2025-02-28 23:00"), 3, counted_stock=3),
            Visit("M1", "V1", 2, "COLA", at("2025-02-28 23:00"), 5),
        ],
    )
    warehouse.land(
        "visits_M2_1.csv",
        "2025-03-02 00:01",
        [Visit("M2", "V1", 1, "TEA", at("2025-02-28 23:30"), 4)],
    )
    warehouse.land("sales_M1_1.csv", "2025-03-02 00:02", _first_day())
    warehouse.land("sales_M1_2.csv", "2025-03-03 00:00", _second_day())
    warehouse.land(
        "sales_M2_2.csv",
        "2025-03-03 00:01",
        [Sale("M2", "T1", at("2025-03-02 05:00"), 1, "TEA", TEA, quantity=2)],
    )
    warehouse.land(
        "transactions.csv",
        "2025-03-03 00:02",
        [
            Sale("S1", "B1", at("2025-03-01 20:00"), None, "MILK", Decimal("2.50"), currency="USD"),
            Sale(
                "S1",
                "B1",
                at("2025-03-01 20:00"),
                None,
                "TEA",
                Decimal("1.00"),
                currency="USD",
                line_id="2",
                quantity=0,
            ),
        ],
        source="retail",
    )
    warehouse.land(
        "page-1",
        "2025-03-03 00:03",
        [
            Reading("E1", "M1", at("2025-03-01 01:00"), slot_stock='{"1": 2, "2": 5}'),
            Reading("E2", "M1", at("2025-03-01 02:00"), error_code="E42"),
            Reading("E3", "M2", at("2025-03-02 02:00"), Decimal("16.50")),
        ],
    )
    warehouse.land(
        "weather-1",
        "2025-03-03 00:04",
        [
            Weather("Tokyo", date(2025, 3, 1), Decimal("12.0")),
            Weather("Osaka", date(2025, 3, 2), Decimal("14.0")),
        ],
        source="weather_service",
    )


def _late_files(warehouse: RawWarehouse) -> None:
    warehouse.land(
        "sales_M2_1.csv",
        "2025-03-04 00:00",
        [Sale("M2", "T0", at("2025-03-01 05:00"), 1, "TEA", TEA)],
    )
    warehouse.land(
        "visits_M1_0.csv",
        "2025-03-04 00:01",
        [Visit("M1", "V0", 2, "COLA", at("2025-02-27 23:00"), 1)],
    )


def _corrected_file(warehouse: RawWarehouse) -> None:
    """T5 vanished, T6 moved to slot 1 and costs 10 more, and an unknown machine sold something."""
    _, _, sixth = _second_day()
    warehouse.land(
        "sales_M1_2.csv",
        "2025-03-04 00:02",
        [
            _second_day()[0],
            Sale("M1", "T6", sixth.sold_at, 1, "TEA", Decimal("130")),
            Sale("M9", "T1", at("2025-03-02 04:00"), 7, "NEW", Decimal("200")),
        ],
    )


def _same_file_under_another_name(warehouse: RawWarehouse) -> None:
    """Landed later, so it wins: T2 costs 5 more, and T3 belongs to the next day."""
    first, second, _ = _first_day()
    warehouse.land(
        "copies/sales_M1_1.csv",
        "2025-03-04 00:03",
        [
            first,
            Sale("M1", "T2", second.sold_at, 1, "TEA", Decimal("155")),
            Sale("M1", "T3", at("2025-03-02 03:30"), 2, "COLA", COLA),
        ],
    )


def _copy_is_retired(warehouse: RawWarehouse) -> None:
    warehouse.retire("copies/sales_M1_1.csv")


def _late_masters(warehouse: RawWarehouse) -> None:
    """M1 had moved before the second day, M9 is known at last, tea has a new price."""
    warehouse.land(
        "machines_2.csv",
        "2025-03-05 00:00",
        [
            Machine("M1", "Kyoto", date(2025, 3, 2)),
            Machine("M2", "Osaka", date(2025, 3, 2)),
            Machine("M9", "Nara", None),
        ],
    )
    warehouse.land(
        "products_2.csv",
        "2025-03-05 00:01",
        [Product("TEA", "teas", Decimal("160"), date(2025, 3, 2))],
    )


def _voids_of_the_third_day(warehouse: RawWarehouse) -> None:
    """T1 of the first day was never dispensed; T4 was refunded; T7 is voided in its own file."""
    warehouse.land(
        "sales_M1_3.csv",
        "2025-03-06 00:00",
        [
            Sale("M1", "T7", at("2025-03-03 01:00"), 2, "COLA", COLA),
            Sale("M1", "T8", at("2025-03-03 01:01"), 2, "COLA", -COLA,
                 transaction_type="void", original_transaction_id="T7"),
            Sale("M1", "T9", at("2025-03-03 01:02"), 1, "TEA", -TEA,
                 transaction_type="void", original_transaction_id="T1"),
            Sale("M1", "T10", at("2025-03-03 01:03"), 1, "TEA", -TEA,
                 transaction_type="refund", original_transaction_id="T4"),
        ],
    )  # fmt: skip


def _void_names_another_sale(warehouse: RawWarehouse) -> None:
    """Corrected: T9 voids T2 and not T1, and T7 stands. The day's weather and a page change too."""
    warehouse.land(
        "sales_M1_3.csv",
        "2025-03-07 00:00",
        [
            Sale("M1", "T7", at("2025-03-03 01:00"), 2, "COLA", COLA),
            Sale("M1", "T9", at("2025-03-03 01:02"), 1, "TEA", -TEA,
                 transaction_type="void", original_transaction_id="T2"),
            Sale("M1", "T10", at("2025-03-03 01:03"), 1, "TEA", -TEA,
                 transaction_type="refund", original_transaction_id="T4"),
        ],
    )  # fmt: skip
    warehouse.land(
        "page-1",
        "2025-03-07 00:01",
        [Reading("E1", "M1", at("2025-03-01 01:00"), Decimal("11.00"), is_door_open=True)],
    )
    warehouse.land(
        "weather-2",
        "2025-03-07 00:02",
        [Weather("Tokyo", date(2025, 3, 1), Decimal("13.5"))],
        source="weather_service",
    )


def _last_day_was_the_day_before(warehouse: RawWarehouse) -> None:
    """Landed later, so it wins: nothing is left on the last business date, of any machine."""
    warehouse.land(
        "copies/sales_M1_3.csv",
        "2025-03-07 00:03",
        [
            Sale("M1", "T7", at("2025-03-02 05:00"), 2, "COLA", COLA),
            Sale("M1", "T9", at("2025-03-02 05:02"), 1, "TEA", -TEA,
                 transaction_type="void", original_transaction_id="T2"),
            Sale("M1", "T10", at("2025-03-02 05:03"), 1, "TEA", -TEA,
                 transaction_type="refund", original_transaction_id="T4"),
        ],
    )  # fmt: skip


def _last_day_and_masters_are_retired(warehouse: RawWarehouse) -> None:
    """The last business date is an earlier one again, and M1 has not moved after all."""
    warehouse.retire("copies/sales_M1_3.csv")
    warehouse.retire("sales_M1_3.csv")
    warehouse.retire("machines_2.csv")
    warehouse.retire("visits_M1_0.csv")


def _visit_fills_what_was_empty(warehouse: RawWarehouse) -> None:
    """Two days after slot 1 of M1 sold out. W1 drives another route."""
    warehouse.land(
        "visits_M1_4.csv",
        "2025-03-08 00:00",
        [Visit("M1", "V4", 1, "TEA", at("2025-03-04 00:00"), 2)],
    )
    warehouse.land("staff_2.csv", "2025-03-08 00:01", [Staff("W1", "R2")])


def _slot_sells_out_again(warehouse: RawWarehouse) -> None:
    warehouse.land(
        "sales_M1_5.csv",
        "2025-03-09 00:00",
        [
            Sale("M1", "T11", at("2025-03-05 01:00"), 1, "TEA", TEA),
            Sale("M1", "T12", at("2025-03-05 02:00"), 1, "TEA", TEA),
        ],
    )


def _late_visit_ended_a_stockout(warehouse: RawWarehouse) -> None:
    """A day before the visit that was known: the first stock-out ends, the second begins later."""
    warehouse.land(
        "visits_M1_3.csv",
        "2025-03-10 00:00",
        [Visit("M1", "V3", 1, "TEA", at("2025-03-03 00:00"), 1)],
    )


def _late_visit_is_retired(warehouse: RawWarehouse) -> None:
    warehouse.retire("visits_M1_3.csv")


BASELINE = Delivery("baseline", _baseline, revenue=Decimal("960"), units_sold=8)
DELIVERIES = (
    Delivery("late files", _late_files, Decimal("1110"), 9),
    Delivery("a corrected file", _corrected_file, Decimal("1200"), 9),
    Delivery("the same file under another name", _same_file_under_another_name, Decimal("1205"), 9),
    Delivery("the copy is retired", _copy_is_retired, Decimal("1200"), 9),
    Delivery("late masters", _late_masters, Decimal("1200"), 9),
    Delivery("voids of earlier sales", _voids_of_the_third_day, Decimal("900"), 8),
    Delivery("a void names another sale", _void_names_another_sale, Decimal("1020"), 9),
    Delivery("the last day was the day before", _last_day_was_the_day_before, Decimal("1020"), 9),
    Delivery(
        "the last day and masters are retired",
        _last_day_and_masters_are_retired,
        Decimal("1200"),
        9,
    ),
    Delivery("a visit fills what was empty", _visit_fills_what_was_empty, Decimal("1200"), 9),
    Delivery("the slot sells out again", _slot_sells_out_again, Decimal("1500"), 11),
    Delivery("a late visit ended a stock-out", _late_visit_ended_a_stockout, Decimal("1500"), 11),
    Delivery("the late visit is retired", _late_visit_is_retired, Decimal("1500"), 11),
)
