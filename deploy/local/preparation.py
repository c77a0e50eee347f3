"""What is made before a run: the dbt manifest and the vendors' files, each by its own command."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum

from deploy.local.errors import LocalError
from deploy.local.layout import REPOSITORY, Layout


class Data(StrEnum):
    """Where the files come from."""

    FLEET = "fleet"
    COMPLETEJOURNEY = "completejourney"


@dataclass(frozen=True, slots=True)
class Fleet:
    """The simulator's size; None leaves the choice to the simulator or to its earlier state."""

    machines: int | None = None
    days: int | None = None
    seed: int | None = None
    faults: str | None = None
    api_faults: str | None = None

    @property
    def arguments(self) -> list[str]:
        """What `python -m simulator write` takes."""
        values = {
            "--machines": self.machines,
            "--days": self.days,
            "--seed": self.seed,
            "--faults": self.faults,
        }
        given = {name: value for name, value in values.items() if value is not None}
        return [part for name, value in given.items() for part in (name, str(value))]


class Preparation:
    """A command at work in the background; its last line is its result, in one sentence."""

    def __init__(
        self,
        arguments: Sequence[str],
        environment: Mapping[str, str],
        on_end: Callable[[str], None],
    ) -> None:
        self._on_end = on_end
        # A session of its own: Ctrl-C goes to the command that started it, which then ends it.
        self._process = subprocess.Popen(
            [sys.executable, "-m", *arguments],
            cwd=REPOSITORY,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self._lines: list[str] = []
        # Read on a thread, so that a command that says much never waits for its reader.
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def check(self) -> None:
        """Raise LocalError when the command has failed already."""
        if self._process.poll():
            self.wait()

    def wait(self) -> None:
        """Wait for the end; raises LocalError with the command's own last line if it failed."""
        status = self._process.wait()
        self._reader.join()
        last = self._lines[-1] if self._lines else f"it ended with exit code {status}."
        if status:
            raise LocalError(last)
        self._on_end(last)

    def stop(self) -> None:
        with suppress(ProcessLookupError):
            self._process.kill()
        self._process.wait()

    def _read(self) -> None:
        assert self._process.stdout is not None
        self._lines += [line.strip() for line in self._process.stdout if line.strip()]


def build_manifest() -> list[str]:
    return ["include.transform.manifest"]


def write_files(layout: Layout, data: Data, fleet: Fleet) -> list[str]:
    """The command that writes the vendors' files, those that are there already excepted."""
    out = ["--out", str(layout.sources)]
    if data is Data.COMPLETEJOURNEY:
        return ["simulator.completejourney", *out]
    return ["simulator", "write", *out, "--state", str(layout.simulator_state), *fleet.arguments]
