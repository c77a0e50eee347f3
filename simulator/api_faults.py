"""What goes wrong on purpose when the vendor API answers.

Each fault depends on the number of the request (per feed, from 1) or on the position of an item in
the feed, never on chance, so a test knows beforehand what it will meet.
"""

from dataclasses import dataclass

from simulator.feeds import Feed, Item

API_FAULT_NAMES = ("rate_limit", "server_error", "malformed_page", "malformed_items", "slow")
RETRY_AFTER_SECONDS = 1
SLOW_SECONDS = 1.0


@dataclass(frozen=True)
class BrokenItem:
    """An item of the feed that is served wrong, and the reason code that it must get."""

    feed: str
    position: int
    kind: str
    field: str
    reason: str


@dataclass(frozen=True)
class ApiFaults:
    """The faults that are switched on."""

    names: frozenset[str] = frozenset()

    def refusal(self, request_number: int) -> int | None:
        """The error status with which this request is answered instead of a page, if any."""
        if "rate_limit" in self.names and request_number % 10 == 2:
            return 429
        if "server_error" in self.names and request_number % 8 == 3:
            return 503 if request_number // 8 % 2 else 500
        return None

    def delay_seconds(self, request_number: int) -> float:
        """How long this request has to wait for its answer."""
        return SLOW_SECONDS if "slow" in self.names and request_number % 8 == 4 else 0.0

    def malformed_position(self, feed: Feed) -> int | None:
        """The item whose page is never JSON; only telemetry has one."""
        if "malformed_page" not in self.names or feed.name != "telemetry" or not len(feed):
            return None
        return len(feed) * 3 // 5

    def broken_items(self, feed: Feed) -> dict[int, BrokenItem]:
        """Items served wrong, by position; all in the first third, before the malformed page."""
        if "malformed_items" not in self.names:
            return {}
        kinds = _BROKEN_ITEMS[feed.name]
        positions = [
            (index + 1) * len(feed) // (3 * (len(kinds) + 1)) for index in range(len(kinds))
        ]
        return {
            position: BrokenItem(feed.name, position, *kind)
            for position, kind in zip(positions, kinds, strict=True)
        }


NO_API_FAULTS = ApiFaults()

_TEXT_TEMPERATURE = ("text_temperature", "temperature_c", "invalid_value")
_NO_MACHINE = ("missing_machine_id", "machine_id", "missing_value")
_BROKEN_ITEMS = {
    "telemetry": (
        _TEXT_TEMPERATURE,
        _NO_MACHINE,
        _TEXT_TEMPERATURE,
        _NO_MACHINE,
        _TEXT_TEMPERATURE,
    ),
    "weather": (("text_temperature", "temperature_max_c", "invalid_value"),),
}


def break_item(item: Item, broken: BrokenItem) -> Item:
    """The item as the faulty service sends it."""
    if broken.kind == "missing_machine_id":
        return {name: value for name, value in item.items() if name != broken.field}
    return item | {broken.field: "warm"}
