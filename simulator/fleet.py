"""The machines: what is in which slot, where they stand, who fills them, and the prices.

Masters and history are both made from this, so what the files say about a day is what happened.
"""

from dataclasses import dataclass
from datetime import date
from functools import cached_property

import numpy as np

from simulator.catalogue import PRODUCTS
from simulator.clock import SECONDS_PER_DAY
from simulator.places import PREFECTURES, SITE_TYPES, Prefecture, SiteType
from simulator.randomness import Purpose, stream
from simulator.state import State
from simulator.weather import Weather, simulate_weather


@dataclass(frozen=True)
class Model:
    name: str
    slot_count: int
    slot_capacity: int


@dataclass(frozen=True)
class Placement:
    """A machine's site from the start of day `from_day` on."""

    from_day: int
    prefecture_index: int
    site_type_index: int
    site_name: str
    latitude: float
    longitude: float

    @property
    def prefecture(self) -> Prefecture:
        return PREFECTURES[self.prefecture_index]

    @property
    def site_type(self) -> SiteType:
        return SITE_TYPES[self.site_type_index]


@dataclass(frozen=True)
class Route:
    """A round through one prefecture; `weekdays` count from Monday = 0."""

    code: str
    weekdays: tuple[int, ...]
    staff_id: str


@dataclass(frozen=True)
class Machine:
    """One machine. Day numbers count from the first simulated day."""

    index: int
    machine_id: str
    machine_name: str
    model: Model
    installed_day: int
    placements: tuple[Placement, ...]
    slot_products: np.ndarray  # (slots,) index into PRODUCTS
    attraction: float
    closed_days: frozenset[int]

    def placement_on(self, day: int) -> Placement:
        """Where it stands on a day; before its installation, where it will stand."""
        return [p for p in self.placements if p.from_day <= max(day, self.installed_day)][-1]

    def prefectures(self, days: np.ndarray) -> np.ndarray:
        """Index into PREFECTURES for each of `days`."""
        return np.array([p.prefecture_index for p in self.placements])[self._placements(days)]

    def site_types(self, days: np.ndarray) -> np.ndarray:
        """Index into SITE_TYPES for each of `days`."""
        return np.array([p.site_type_index for p in self.placements])[self._placements(days)]

    def _placements(self, days: np.ndarray) -> np.ndarray:
        starts = np.array([p.from_day for p in self.placements])
        return np.maximum(np.searchsorted(starts, days, side="right") - 1, 0)


@dataclass(frozen=True)
class PriceChange:
    from_day: int
    product_index: int
    list_price: int


MODELS = (Model("VX-20", 20, 18), Model("VX-25", 25, 16), Model("VX-30", 30, 15))
ROUTE_WEEKDAYS = ((0, 2, 4), (1, 3, 5), (0, 3), (1, 4))
_NICKNAMES = ("青葉①号機", "髙砂", "日向②号機", "さくら", "海～風", "本町", "みどり", "若松")
_MOVED_ONE_IN, _LATER_ONE_IN = 10, 12
SHORTEST_HISTORY_WITH_CHANGES = 4


class Fleet:
    """Machines, prices, weather and visits of a state; cheap, everything else is derived."""

    def __init__(self, state: State) -> None:
        self.state = state

    @cached_property
    def machines(self) -> tuple[Machine, ...]:
        return tuple(_make_machine(self.state, index) for index in range(self.state.machines))

    @cached_property
    def dates(self) -> tuple[date, ...]:
        """The business date of each simulated day."""
        return tuple(self.state.day(number) for number in range(self.state.days))

    @cached_property
    def weather(self) -> Weather:
        return simulate_weather(self.state)

    @cached_property
    def price_changes(self) -> tuple[PriceChange, ...]:
        return _make_price_changes(self.state)

    @cached_property
    def prices(self) -> np.ndarray:
        """List price in yen of each product on each day, shape (days, products)."""
        first = np.array([product.list_price for product in PRODUCTS])
        prices = np.tile(first, (self.state.days, 1))
        for change in self.price_changes:
            prices[change.from_day :, change.product_index] = change.list_price
        return prices

    @cached_property
    def distinct_prices(self) -> tuple[int, ...]:
        """Every list price in yen of the history, ascending."""
        return tuple(np.unique(self.prices).tolist())

    @cached_property
    def routes(self) -> tuple[Route, ...]:
        """Two rounds a prefecture."""
        return tuple(
            Route(f"R{number:02d}", ROUTE_WEEKDAYS[number % 4], f"S{number + 1:03d}")
            for number in range(2 * len(PREFECTURES))
        )

    def route_numbers(self, machine: Machine, days: np.ndarray) -> np.ndarray:
        """Index into `routes` for each of `days`."""
        return 2 * machine.prefectures(days) + machine.index % 2

    def visit_times(self, machine: Machine) -> np.ndarray:
        """Seconds of the machine's visits, at most one a day; the first is its installation."""
        random = stream(self.state.seed, Purpose.VISITS, machine.index)
        days = np.arange(self.state.days)
        minute = random.integers(7 * 60, 16 * 60) + random.integers(-20, 21, days.size)
        is_skipped = random.random(days.size) < 0.06
        install = machine.installed_day * SECONDS_PER_DAY + int(random.integers(300, 390)) * 60
        weekday = (self.state.first_day.weekday() + days) % 7
        route = self.route_numbers(machine, days)
        is_visited = self._route_calendar[route, weekday] & (days > machine.installed_day)
        rounds = days * SECONDS_PER_DAY + minute * 60
        return np.append(install, rounds[is_visited & ~is_skipped])

    @cached_property
    def _route_calendar(self) -> np.ndarray:
        """Whether a route is driven on a weekday, shape (routes, 7)."""
        return np.array([[day in route.weekdays for day in range(7)] for route in self.routes])


def _make_machine(state: State, index: int) -> Machine:
    random = stream(state.seed, Purpose.MACHINE, index)
    model = MODELS[random.integers(len(MODELS))]
    popularity = np.array([product.popularity for product in PRODUCTS])
    slots = random.choice(len(PRODUCTS), model.slot_count, p=popularity / popularity.sum())
    installed_day = _later_day(state, random, index % _LATER_ONE_IN == 5)
    placements = [_make_placement(random, installed_day)]
    moved_day = _later_day(state, random, index % _MOVED_ONE_IN == 1)
    if moved_day > installed_day:
        placements.append(_make_placement(random, moved_day))
    return Machine(
        index=index,
        machine_id=f"VM{index + 1:04d}",
        machine_name=f"{_NICKNAMES[index % len(_NICKNAMES)]} {index + 1}",
        model=model,
        installed_day=installed_day,
        placements=tuple(placements),
        slot_products=np.sort(slots),
        attraction=float(random.lognormal(0, 0.12)),
        closed_days=_closed_days(state, random),
    )


def _make_placement(random: np.random.Generator, from_day: int) -> Placement:
    shares = np.array([prefecture.share for prefecture in PREFECTURES])
    prefecture_index = int(random.choice(len(PREFECTURES), p=shares / shares.sum()))
    site_type_index = int(random.integers(len(SITE_TYPES)))
    names = SITE_TYPES[site_type_index].names
    north, east = random.uniform(-0.12, 0.12, 2)
    return Placement(
        from_day=from_day,
        prefecture_index=prefecture_index,
        site_type_index=site_type_index,
        site_name=names[random.integers(len(names))],
        latitude=round(PREFECTURES[prefecture_index].latitude + north, 6),
        longitude=round(PREFECTURES[prefecture_index].longitude + east, 6),
    )


def _later_day(state: State, random: np.random.Generator, is_later: bool) -> int:
    """A day in the middle of the history, or 0. Always draws, so streams stay aligned."""
    share = random.uniform(0.25, 0.75)
    return int(share * state.days) if is_later and _has_room(state) else 0


def _has_room(state: State) -> bool:
    return state.days >= SHORTEST_HISTORY_WITH_CHANGES


def _closed_days(state: State, random: np.random.Generator) -> frozenset[int]:
    """Now and then a machine is out of order for one to three days: files without a sale."""
    starts = np.flatnonzero(random.random(state.days) < 0.004)
    lengths = random.integers(1, 4, starts.size)
    return frozenset(
        int(day)
        for start, length in zip(starts, lengths, strict=True)
        for day in range(start, start + length)
    )


def _make_price_changes(state: State) -> tuple[PriceChange, ...]:
    """Some products cost ten or twenty yen more (one in four: less) from a day on."""
    if not _has_room(state):
        return ()
    random = stream(state.seed, Purpose.PRICES)
    count = max(3, len(PRODUCTS) // 5)
    products = random.choice(len(PRODUCTS), count, replace=False)
    days = np.sort(random.integers(max(1, state.days // 5), max(2, state.days * 4 // 5), count))
    # Prices change on few days, several products at a time, as an operator would do it.
    days = days[np.arange(count) // 3 * 3]
    steps = random.choice([10, 10, 20, -10], count)
    return tuple(
        PriceChange(int(day), int(product), PRODUCTS[product].list_price + int(step))
        for day, product, step in zip(days, products, steps, strict=True)
    )
