"""Two small fleets, written once: one as it should be, one with every fault."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from simulator.__main__ import main
from simulator.fleet import Fleet
from simulator.state import read_state

END_DATE = "2026-10-31"


@dataclass(frozen=True)
class WrittenFleet:
    out: Path
    state_file: Path

    @property
    def fleet(self) -> Fleet:
        return Fleet(read_state(self.state_file))

    def contents(self) -> dict[str, bytes]:
        """Content of every file by object key."""
        files = (path for path in self.out.rglob("*") if path.is_file())
        return {path.relative_to(self.out).as_posix(): path.read_bytes() for path in files}


def write_fleet_to(folder: Path, *options: str, end_date: str = END_DATE) -> WrittenFleet:
    """Run `write` with an end date and further options."""
    written = WrittenFleet(folder / "sources", folder / "simulator.json")
    paths = ["--out", str(written.out), "--state", str(written.state_file)]
    assert main(["write", *paths, "--end-date", end_date, *options]) == 0
    return written


@pytest.fixture(scope="session")
def clean_fleet(tmp_path_factory: pytest.TempPathFactory) -> WrittenFleet:
    """Six machines (one moves, one is installed later) for twenty days; not to be changed."""
    folder = tmp_path_factory.mktemp("clean")
    return write_fleet_to(folder, "--machines", "6", "--days", "20")


@pytest.fixture
def faulty_fleet(tmp_path: Path) -> WrittenFleet:
    """Six machines for fourteen days with every fault; a copy for each test."""
    return write_fleet_to(tmp_path, "--machines", "6", "--days", "14", "--faults", "all")
