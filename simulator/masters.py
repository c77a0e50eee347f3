"""Master files as bytes: the whole content on a day, each row with the day it holds from."""

import csv
import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from simulator.catalogue import CATEGORIES, PAYMENT_METHODS, PRODUCTS
from simulator.files import SourceFile
from simulator.fleet import Fleet, Machine, Placement, PriceChange
from simulator.places import PREFECTURES

MACHINES_ENCODING = "cp932"
PRODUCTS_ENCODING = "utf-8-sig"

_PEOPLE = ("架空", "見本", "例示", "仮名", "模擬", "試験", "想定", "作例")
_GIVEN = ("一郎", "花子")


@dataclass(frozen=True)
class MasterChanges:
    """Changes that the fleet's own history does not hold: a move and prices told later."""

    placements: dict[str, Placement]
    price_changes: tuple[PriceChange, ...]


NO_CHANGES = MasterChanges({}, ())


def master_files(fleet: Fleet) -> Iterator[SourceFile]:
    """All masters on the first day, then each one again on the days on which it changed."""
    yield SourceFile(0, "vending_machines.csv", vending_machines(fleet, 0))
    yield SourceFile(0, "products.csv", products(fleet, 0))
    yield SourceFile(0, "product_categories.csv", _product_categories(fleet))
    yield SourceFile(0, "staff.csv", _staff(fleet))
    yield SourceFile(0, "payment_methods.csv", _payment_methods(fleet))
    for day in sorted({change.from_day for change in fleet.price_changes}):
        yield SourceFile(day, "products.csv", products(fleet, day))
    placed = {p.from_day for machine in fleet.machines for p in machine.placements}
    for day in sorted(placed - {0}):
        yield SourceFile(day, "vending_machines.csv", vending_machines(fleet, day))


def vending_machines(fleet: Fleet, day: int, changes: MasterChanges = NO_CHANGES) -> bytes:
    """CP932. Machines that are not yet installed on `day` are not in it."""
    header = (
        "machine_id,machine_name,prefecture,site_name,site_type,latitude,longitude,model,"
        "slot_count,slot_capacity,status,installed_on,effective_on"
    )
    rows = (
        _machine_row(fleet, machine, changes.placements.get(machine.machine_id), day)
        for machine in fleet.machines
        if machine.installed_day <= day
    )
    return _csv(header, rows, MACHINES_ENCODING)


def _machine_row(
    fleet: Fleet, machine: Machine, moved_to: Placement | None, day: int
) -> tuple[object, ...]:
    placement = moved_to or machine.placement_on(day)
    return (
        machine.machine_id,
        machine.machine_name,
        placement.prefecture.name,
        placement.site_name,
        placement.site_type.code,
        f"{placement.latitude:.6f}",
        f"{placement.longitude:.6f}",
        machine.model.name,
        machine.model.slot_count,
        machine.model.slot_capacity,
        "active",
        fleet.state.day(machine.installed_day),
        fleet.state.day(placement.from_day),
    )


def products(fleet: Fleet, day: int, changes: MasterChanges = NO_CHANGES) -> bytes:
    """UTF-8 with BOM."""
    header = "product_id,product_name,category_id,list_price,unit_cost,jan_code,effective_on"
    latest = {
        change.product_index: change
        for change in (*fleet.price_changes, *changes.price_changes)
        if change.from_day <= day
    }
    rows = []
    for index, product in enumerate(PRODUCTS):
        change = latest.get(index, PriceChange(0, index, product.list_price))
        rows.append(
            (
                product.product_id,
                product.product_name,
                product.category_id,
                change.list_price,
                product.unit_cost,
                product.jan_code,
                fleet.state.day(change.from_day),
            )
        )
    return _csv(header, rows, PRODUCTS_ENCODING)


def _product_categories(fleet: Fleet) -> bytes:
    first_day = fleet.state.first_day
    rows = ((c.category_id, c.category_name, c.parent_category_id, first_day) for c in CATEGORIES)
    return _csv("category_id,category_name,parent_category_id,effective_on", rows)


def _payment_methods(fleet: Fleet) -> bytes:
    header = "payment_method_code,payment_method_name,is_cashless,fee_rate,effective_on"
    first_day = fleet.state.first_day
    rows = (
        (
            method.payment_method_code,
            method.payment_method_name,
            str(method.is_cashless).lower(),
            method.fee_rate,
            first_day,
        )
        for method in PAYMENT_METHODS
    )
    return _csv(header, rows)


def _staff(fleet: Fleet) -> bytes:
    """Invented people: the names mean "fictitious", "specimen" and the like.

    Their numbers cannot exist (after 090 Japan's numbering plan never has a 0), their e-mail
    addresses are in a domain that RFC 2606 reserves, and no town is called 架空市.
    """
    header = (
        "staff_id,staff_name,phone,email,birth_date,home_address,route_code,employed_from,"
        "effective_on"
    )
    rows = []
    for number, route in enumerate(fleet.routes):
        name = f"{_PEOPLE[number % len(_PEOPLE)]} {_GIVEN[number // len(_PEOPLE) % len(_GIVEN)]}"
        phone, email = f"090-0000-{number + 1:04d}", f"staff{number + 1:03d}@example.com"
        born = f"{1962 + number * 7 % 40}-{1 + number % 12:02}-{1 + number % 28:02}"
        home = f"{PREFECTURES[number // 2].name}架空市例示町{1 + number % 9}-{1 + number % 20}"
        employed_from = f"{2012 + number % 12}-04-01"
        first_day = fleet.state.first_day
        person = (route.staff_id, name, phone, email, born, home)
        rows.append((*person, route.code, employed_from, first_day))
    return _csv(header, rows)


def _csv(header: str, rows: Iterable[tuple[object, ...]], encoding: str = "utf-8") -> bytes:
    text = io.StringIO()
    text.write(header + "\n")
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().encode(encoding)
