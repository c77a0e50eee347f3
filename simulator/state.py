"""What a simulated fleet is made from. The state file is the authority once it exists."""

import json
from dataclasses import asdict, dataclass
from datetime import date, timedelta
from pathlib import Path

from simulator.clock import yesterday_in_tokyo
from simulator.disk import write_atomically
from simulator.errors import SimulatorError

FAULT_NAMES = (
    "duplicate_file",
    "late_day",
    "corrected_resend",
    "broken_rows",
    "unknown_machine",
    "broken_file",
)


@dataclass(frozen=True)
class State:
    """Everything that decides the data; `end_date` is the last business date, in Asia/Tokyo.

    More than one of `machines_per_file` is what a site's controller would deliver: fewer and larger
    files, each of one day.
    """

    seed: int
    machines: int
    days: int
    end_date: date
    faults: tuple[str, ...]
    machines_per_file: int = 1

    @property
    def first_day(self) -> date:
        return self.end_date - timedelta(days=self.days - 1)

    def day(self, index: int) -> date:
        """The business date `index` days after the first (it may lie after the end)."""
        return self.first_day + timedelta(days=index)


@dataclass(frozen=True)
class Request:
    """What a caller asked for on the command line; None where nothing was said."""

    seed: int | None = None
    machines: int | None = None
    days: int | None = None
    end_date: date | None = None
    faults: tuple[str, ...] | None = None
    machines_per_file: int | None = None


DEFAULTS = Request(seed=7, machines=50, days=90, faults=(), machines_per_file=1)


def parse_names(text: str, known: tuple[str, ...], what: str) -> tuple[str, ...]:
    """`none`, `all`, or names separated by commas, in the order of `known`."""
    if text == "none":
        return ()
    if text == "all":
        return known
    asked = {name.strip() for name in text.split(",") if name.strip()}
    unknown = sorted(asked - set(known))
    if unknown:
        raise SimulatorError(
            f"There is no {what} named {', '.join(unknown)}: use none, all, or some of "
            f"{', '.join(known)}."
        )
    return tuple(name for name in known if name in asked)


def read_state(path: Path) -> State:
    """Read the state file; raises SimulatorError where it is missing or not readable as one."""
    try:
        raw = json.loads(path.read_text("utf-8"))
        return State(
            seed=int(raw["seed"]),
            machines=int(raw["machines"]),
            days=int(raw["days"]),
            end_date=date.fromisoformat(raw["end_date"]),
            faults=tuple(raw["faults"]),
            machines_per_file=int(raw.get("machines_per_file", 1)),
        )
    except FileNotFoundError:
        raise SimulatorError(
            f"There is no simulator state at {path}: run `python -m simulator write` first."
        ) from None
    except (ValueError, KeyError, TypeError) as error:
        raise SimulatorError(
            f"The simulator state at {path} cannot be read ({error!r}): run `make clean` to start "
            "over."
        ) from error


def agreed_state(path: Path, request: Request) -> State:
    """The state at `path`, or one from `request` and the defaults when there is none yet.

    Raises SimulatorError when the stored state contradicts what was explicitly asked for.
    """
    if not path.exists():
        return _new_state(request)
    state = read_state(path)
    _refuse_contradiction(path, state, request)
    return state


def keep_state(path: Path, state: State) -> None:
    """Write the state unless there is one."""
    if not path.exists():
        write_atomically(path, _as_json(state))


def _new_state(request: Request) -> State:
    asked = {name: value for name, value in vars(request).items() if value is not None}
    values = vars(DEFAULTS) | {"end_date": yesterday_in_tokyo()} | asked
    state = State(**values)
    if state.machines < 1 or state.days < 1 or state.seed < 0:
        raise SimulatorError(
            "A fleet needs at least one machine and one day, and a seed that is not negative: "
            f"got --machines {state.machines} --days {state.days} --seed {state.seed}."
        )
    if state.machines_per_file < 1 or (state.machines_per_file > 1 and state.faults):
        raise SimulatorError(
            "Faults are of single machines: ask for none with --machines-per-file "
            f"{state.machines_per_file}, or for one machine a file."
        )
    return state


def _refuse_contradiction(path: Path, state: State, request: Request) -> None:
    stored = asdict(state)
    differing = [
        f"{name} is {stored[name]}, not {wanted}"
        for name, wanted in vars(request).items()
        if wanted is not None and wanted != stored[name]
    ]
    if differing:
        raise SimulatorError(
            f"{path} already fixes the fleet ({'; '.join(differing)}): run `make clean` to start a "
            "new one, or leave these options out."
        )


def _as_json(state: State) -> bytes:
    content = asdict(state) | {"end_date": state.end_date.isoformat()}
    return (json.dumps(content, indent=2) + "\n").encode()
