"""A platform below one folder, driven by the commands that a person would type."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from deploy.local.layout import REPOSITORY, Layout

RUN_SECONDS = 600


@dataclass(frozen=True)
class LocalPlatform:
    """Everything below one temporary folder."""

    root: Path

    @property
    def layout(self) -> Layout:
        return Layout(self.root / "data", self.root / "airflow")

    def simulate(self, command: str, *arguments: str) -> str:
        """The output of a command of the simulator on this platform's state."""
        return self._succeeds("simulator", command, *self._state, *arguments)

    def simulate_sources(self, command: str, *arguments: str) -> None:
        """The same, for a command that writes the vendor's files."""
        self.simulate(command, "--out", str(self.layout.sources), *arguments)

    def local(self, command: str, *arguments: str) -> str:
        """The output of a command of `deploy.local`, which must succeed."""
        return self._succeeds("deploy.local", command, *arguments, *self._folders)

    def try_local(
        self, command: str, *arguments: str, **variables: str
    ) -> subprocess.CompletedProcess[str]:
        """The same, with more environment variables; it may fail."""
        return _run("deploy.local", command, *arguments, *self._folders, **variables)

    def is_running(self) -> bool:
        """Whether any process has been left that names this folder."""
        processes = subprocess.run(
            ["ps", "-eo", "args"], capture_output=True, text=True, check=True
        )
        return str(self.root) in processes.stdout

    def _succeeds(self, module: str, *arguments: str) -> str:
        completed = _run(module, *arguments)
        assert completed.returncode == 0, completed.stdout + completed.stderr
        return completed.stdout

    @property
    def _state(self) -> tuple[str, ...]:
        return ("--state", str(self.layout.simulator_state))

    @property
    def _folders(self) -> tuple[str, ...]:
        layout = self.layout
        return ("--data-dir", str(layout.data), "--airflow-home", str(layout.airflow_home))


def _run(module: str, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", module, *arguments],
        cwd=REPOSITORY, env=os.environ | variables,
        capture_output=True, text=True, timeout=RUN_SECONDS, check=False,
    )  # fmt: skip
