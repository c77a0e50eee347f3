"""What was injected, for tests to compare with what the pipeline made of it."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass

from simulator.api_faults import NO_API_FAULTS, ApiFaults
from simulator.broken_rows import QUARANTINED, SKIPPED
from simulator.deliveries import correct, good_content
from simulator.faults import FaultPlan, Target, plan_faults
from simulator.feeds import Feed
from simulator.fleet import Fleet
from simulator.writer import object_key


@dataclass(frozen=True)
class Injection:
    """One thing that is wrong.

    `line` counts from 1, the header's; None means the whole file. `outcome`: `quarantined` with
    the reason code `reason`, `duplicate` (skipped within its file), `loaded` (as it is: later
    steps have to cope), `withheld` until `deliver late`, or `corrected` by `deliver corrected`.
    `also` is another file that belongs to it: the original of a copy, the place of a late file.
    """

    fault: str
    kind: str
    file: str
    line: int | None
    field: str | None
    reason: str | None
    outcome: str
    also: str | None = None


@dataclass(frozen=True)
class ApiInjection:
    """One item that is served wrong; `position` is its place in the feed, from 0."""

    fault: str
    kind: str
    feed: str
    position: int
    item: str
    field: str | None
    reason: str


@dataclass(frozen=True)
class Expectation:
    """All injections, and how many rows or files must be in quarantine for each reason."""

    injections: tuple[Injection, ...]
    api_injections: tuple[ApiInjection, ...]

    def as_json(self) -> dict[str, object]:
        by_fault: dict[str, list[dict[str, object]]] = {}
        for injection in (*self.injections, *self.api_injections):
            by_fault.setdefault(injection.fault, []).append(asdict(injection))
        quarantined = [i.reason for i in self.injections if i.outcome == QUARANTINED]
        return {
            "faults": by_fault,
            "quarantined_by_reason": dict(sorted(Counter(quarantined).items())),
            "duplicate_rows": sum(i.outcome == SKIPPED for i in self.injections),
        }


def expect(
    fleet: Fleet, feeds: tuple[Feed, ...] = (), faults: ApiFaults = NO_API_FAULTS
) -> Expectation:
    """What the fleet's files hold, and, with `faults`, what its API serves."""
    plan = plan_faults(fleet)
    injections = tuple(
        injection for target in plan.targets for injection in _of_target(fleet, plan, target)
    )
    return Expectation(injections, tuple(_of_api(feeds, faults)))


def _of_target(fleet: Fleet, plan: FaultPlan, target: Target) -> Iterator[Injection]:
    file = object_key(fleet, target.day, target.name)
    deliveries = plan.deliveries(target.day, target.name)
    keys = [object_key(fleet, delivery.day, delivery.name) for delivery in deliveries]
    match target.fault:
        case "late_day":
            late = object_key(fleet, fleet.state.days, target.name)
            yield Injection("late_day", "withheld", file, None, None, None, "withheld", late)
        case "duplicate_file":
            yield Injection("duplicate_file", "copy", keys[1], None, None, None, "loaded", file)
        case "broken_file":
            reason = "malformed_header"
            yield Injection(
                "broken_file", "garbled_header", keys[1], None, None, reason, QUARANTINED, file
            )
        case "unknown_machine":
            yield Injection(
                "unknown_machine", "machine_and_product", keys[1], None, None, None, "loaded", file
            )
        case "corrected_resend":
            yield from _of_correction(fleet, target, file)
        case "broken_rows":
            treated = deliveries[0].treatment(good_content(fleet, target))
            for line in treated.lines:
                yield Injection(
                    "broken_rows", line.kind, file, line.line, line.field, line.reason, line.outcome
                )


def _of_correction(fleet: Fleet, target: Target, file: str) -> Iterator[Injection]:
    correction = correct(fleet, target)
    for line in correction.changed:
        yield Injection(target.fault, "amount", file, line, "amount", None, "corrected")
    for kind, identity in (("vanished", correction.vanished), ("added", correction.added)):
        yield Injection(target.fault, kind, file, None, None, None, "corrected", identity)


def _of_api(feeds: tuple[Feed, ...], faults: ApiFaults) -> Iterator[ApiInjection]:
    for feed in feeds:
        for position, broken in faults.broken_items(feed).items():
            yield ApiInjection(
                "malformed_items",
                broken.kind,
                feed.name,
                position,
                _identity(feed, position),
                broken.field,
                broken.reason,
            )
        malformed = faults.malformed_position(feed)
        if malformed is not None:
            yield ApiInjection(
                "malformed_page",
                "not_json",
                feed.name,
                malformed,
                _identity(feed, malformed),
                None,
                "malformed_page",
            )


def _identity(feed: Feed, position: int) -> str:
    item = feed.items(position, position + 1)[0]
    return str(item.get("event_id") or f"{item['prefecture']} {item['date']}")
