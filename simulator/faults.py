"""Which files are spoilt, and how. The plan follows from the state alone."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial

from simulator.broken_rows import (
    PRODUCT_KINDS,
    REPLENISHMENT_KINDS,
    SALES_KINDS,
    BrokenLine,
    BrokenRow,
    Row,
    RowShape,
    insert_broken_rows,
)
from simulator.clock import SECONDS_PER_DAY
from simulator.errors import SimulatorError
from simulator.files import (
    REPLENISHMENT_HEADER,
    SALES_HEADER,
    SourceFile,
    replenishment_name,
    sales_name,
)
from simulator.fleet import Fleet, Machine
from simulator.randomness import Purpose, stream

UNKNOWN_MACHINE_ID, UNKNOWN_PRODUCT_ID = "VMX001", "P999"
GARBLED_HEADER = b"machine_id,,\x1bn_id;slot,??,sold_at,qty"
_ROWS_OF_UNKNOWN_MACHINE = 12
_CORRECTED_FILES = 2


@dataclass(frozen=True)
class Treated:
    """A file's content as it is delivered, and the lines in it that were spoilt."""

    content: bytes
    lines: tuple[BrokenLine, ...] = ()


Treatment = Callable[[bytes], Treated]


@dataclass(frozen=True)
class Delivery:
    """One appearance of a file: the number of the day of delivery, its name, what is done to it."""

    day: int
    name: str
    treatment: Treatment = Treated


@dataclass(frozen=True)
class Target:
    """The file of a business day that a fault is planned for; without a machine, a master."""

    fault: str
    day: int
    name: str
    machine: Machine | None = None
    treatment: Treatment = Treated


@dataclass(frozen=True)
class FaultPlan:
    """`deliveries_by_file` holds only files that are not simply delivered once, on their day."""

    targets: tuple[Target, ...] = ()
    deliveries_by_file: dict[tuple[int, str], tuple[Delivery, ...]] = field(default_factory=dict)

    def deliveries(self, day: int, name: str) -> tuple[Delivery, ...]:
        """How a file of a business day appears at the first writing: once, twice, or not at all."""
        planned = self.deliveries_by_file.get((day, name))
        return (Delivery(day, name),) if planned is None else planned

    def deliver(self, files: Iterable[SourceFile]) -> Iterator[SourceFile]:
        """The files as they appear."""
        for file in files:
            for delivery in self.deliveries(file.day, file.name):
                treated = delivery.treatment(file.content)
                yield SourceFile(delivery.day, delivery.name, treated.content)


@dataclass
class _Candidates:
    """Machine-days and visits to choose from, in random order; each is given away once."""

    machine_days: list[tuple[Machine, int]]
    visits: list[tuple[Machine, int]]

    def sales(self, fleet: Fleet, fault: str, treatment: Treatment = Treated) -> Target:
        machine, day = _take(self.machine_days)
        name = sales_name(machine.machine_id, fleet.state.day(day))
        return Target(fault, day, name, machine, treatment)

    def replenishment(self, fleet: Fleet, fault: str, treatment: Treatment = Treated) -> Target:
        machine, day = _take(self.visits)
        name = replenishment_name(machine.machine_id, fleet.state.day(day))
        return Target(fault, day, name, machine, treatment)


def plan_faults(fleet: Fleet) -> FaultPlan:
    """The plan of the state's faults. A fault gets the same files whichever others are on.

    Raises SimulatorError when the fleet is too small to hold them.
    """
    enabled = fleet.state.faults
    if not enabled:
        return FaultPlan()
    targets = _choose_targets(fleet)
    chosen = tuple(target for target in targets if target.fault in enabled)
    return FaultPlan(chosen, _deliveries(fleet, chosen))


def targets_of(fleet: Fleet, fault: str) -> tuple[Target, ...]:
    """The files kept for a fault, whether or not the state switches it on.

    `deliver_duplicate` is the file that `deliver duplicate` sends again.
    """
    return tuple(target for target in _choose_targets(fleet) if target.fault == fault)


def _choose_targets(fleet: Fleet) -> tuple[Target, ...]:
    late, candidates = _late_targets(fleet), _candidates(fleet)
    late_names = {target.name for target in late}
    candidates.machine_days = [
        (machine, day)
        for machine, day in candidates.machine_days
        if sales_name(machine.machine_id, fleet.state.day(day)) not in late_names
    ]
    candidates.visits = [
        (machine, day)
        for machine, day in candidates.visits
        if replenishment_name(machine.machine_id, fleet.state.day(day)) not in late_names
    ]
    return (
        *late,
        candidates.sales(fleet, "duplicate_file"),
        candidates.replenishment(fleet, "duplicate_file"),
        *(candidates.sales(fleet, "corrected_resend") for _ in range(_CORRECTED_FILES)),
        *(
            candidates.sales(fleet, "broken_rows", partial(_break_sales, kinds=kinds))
            for kinds in SALES_KINDS
        ),
        *(
            candidates.replenishment(
                fleet, "broken_rows", partial(_break_replenishment, kinds=kinds)
            )
            for kinds in REPLENISHMENT_KINDS
        ),
        Target("broken_rows", 0, "products.csv", None, _break_products),
        candidates.sales(fleet, "unknown_machine", _as_unknown_machine),
        candidates.sales(fleet, "broken_file", _garble_header),
        candidates.sales(fleet, "deliver_duplicate"),
    )


def _late_targets(fleet: Fleet) -> tuple[Target, ...]:
    """Every file of one day in the middle, of one machine in ten; the first was visited then."""
    visits = (fleet.visit_times(fleet.machines[0]) // SECONDS_PER_DAY).tolist()
    day = visits[len(visits) // 2] if len(visits) > 1 else fleet.state.days // 2
    installed = [machine for machine in fleet.machines if machine.installed_day < day]
    targets = []
    for machine in installed[: max(1, fleet.state.machines // 10)]:
        names = [sales_name(machine.machine_id, fleet.state.day(day))]
        if day in (fleet.visit_times(machine) // SECONDS_PER_DAY).tolist():
            names.append(replenishment_name(machine.machine_id, fleet.state.day(day)))
        targets += [Target("late_day", day, name, machine) for name in names]
    return tuple(targets)


def _candidates(fleet: Fleet) -> _Candidates:
    """Full days of open machines, weekdays first: offices and schools sell little on Sundays."""
    random = stream(fleet.state.seed, Purpose.FAULTS)
    # Enough to choose from, and the plan of a large fleet stays cheap.
    machines = fleet.machines[:200]
    machine_days = [
        (machine, day)
        for machine in machines
        for day in range(machine.installed_day + 1, fleet.state.days)
        if day not in machine.closed_days
    ]
    visits = [
        (machine, day)
        for machine in machines
        for day in (fleet.visit_times(machine)[1:] // SECONDS_PER_DAY).tolist()
    ]
    shuffled = [machine_days[index] for index in random.permutation(len(machine_days))]
    shuffled.sort(key=lambda choice: fleet.state.day(choice[1]).weekday() > 4)
    return _Candidates(shuffled, [visits[index] for index in random.permutation(len(visits))])


def _take(choices: list[tuple[Machine, int]]) -> tuple[Machine, int]:
    if not choices:
        raise SimulatorError(
            "The fleet is too small to hold the faults: ask for at least 4 machines and 7 days."
        )
    return choices.pop(0)


def _deliveries(
    fleet: Fleet, targets: tuple[Target, ...]
) -> dict[tuple[int, str], tuple[Delivery, ...]]:
    return {(target.day, target.name): _deliveries_of(fleet, target) for target in targets}


def _deliveries_of(fleet: Fleet, target: Target) -> tuple[Delivery, ...]:
    plain = Delivery(target.day, target.name)
    match target.fault:
        case "late_day":
            return ()
        case "duplicate_file" | "broken_file":
            return plain, Delivery(target.day + 1, target.name, target.treatment)
        case "unknown_machine":
            name = sales_name(UNKNOWN_MACHINE_ID, fleet.state.day(target.day))
            return plain, Delivery(target.day, name, target.treatment)
        case _:
            return (Delivery(target.day, target.name, target.treatment),)


def _names(header: bytes) -> tuple[str, ...]:
    return tuple(header.decode().strip().split(","))


_SALES = RowShape(
    _names(SALES_HEADER),
    key="transaction_id",
    required="machine_id",
    number="quantity",
    time="sold_at",
    choice="transaction_type",
    conflict="amount",
)
_REPLENISHMENT = RowShape(
    _names(REPLENISHMENT_HEADER),
    key="replenishment_id",
    required="machine_id",
    number="quantity_added",
    time="replenished_at",
    conflict="counted_stock",
)


def sales_row(line: bytes) -> Row:
    return Row(_SALES, tuple(line.split(b",")))


def _break_sales(content: bytes, kinds: tuple[BrokenRow, ...]) -> Treated:
    sale = sales_row(first_sale(content))
    refund = (
        sale.get("machine_id"),
        b"",
        sale.get("slot_number"),
        sale.get("product_id"),
        sale.get("sold_at"),
        b"1",
        sale.get("unit_price"),
        b"-" + sale.get("unit_price"),
        sale.get("payment_method"),
        b"refund",
        sale.get("transaction_id"),
    )
    return Treated(*insert_broken_rows(content, Row(_SALES, refund), kinds))


def _break_replenishment(content: bytes, kinds: tuple[BrokenRow, ...]) -> Treated:
    row = Row(_REPLENISHMENT, tuple(content.splitlines()[1].split(b",")))
    template = row.replaced("quantity_added", b"0").replaced("quantity_removed", b"0")
    return Treated(*insert_broken_rows(content, template, kinds))


def _break_products(content: bytes) -> Treated:
    lines = content.decode("utf-8-sig").splitlines()
    shape = RowShape(
        tuple(lines[0].split(",")),
        key="product_id",
        required="product_name",
        number="list_price",
        conflict="list_price",
    )
    template = Row(shape, tuple(lines[1].encode().split(b",")))
    return Treated(*insert_broken_rows(content, template, PRODUCT_KINDS))


def first_sale(content: bytes) -> bytes:
    """The first row of a sales file that is a sale."""
    return next(line for line in content.splitlines() if b",sale," in line)


def _garble_header(content: bytes) -> Treated:
    return Treated(GARBLED_HEADER + content[content.index(b"\n") :])


def _as_unknown_machine(content: bytes) -> Treated:
    """Some sales under a machine that no master knows, every third of a product like that."""
    header, *lines = content.splitlines()
    sales = [sales_row(line) for line in lines if b",sale," in line][:_ROWS_OF_UNKNOWN_MACHINE]
    rows = [header]
    for number, sale in enumerate(sales):
        row = sale.replaced("machine_id", UNKNOWN_MACHINE_ID.encode())
        if number % 3 == 1:
            row = row.replaced("product_id", UNKNOWN_PRODUCT_ID.encode())
        rows.append(row.line())
    return Treated(b"\n".join(rows) + b"\n")
