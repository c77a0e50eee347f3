"""What the vendors of the parity run deliver, on the first day and on the second."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

from include.contracts import load_catalog
from include.ingest.api import ApiAccess, fetch_pages
from include.lake import Lake
from simulator.__main__ import main as simulator
from simulator.api import VendorApi, VendorServer
from simulator.feeds import TelemetryFeed, WeatherFeed
from simulator.fleet import Fleet
from simulator.state import read_state

MACHINES = 8
DAYS = 28
TOKEN = "parity"
END = date(2026, 3, 31)


@dataclass(frozen=True)
class Vendors:
    """A simulated fleet whose files go to a lake. ``folder`` is where it keeps them.

    ``delivered`` has the content of what is in the lake already.
    """

    folder: Path
    lake: Lake
    delivered: dict[str, bytes] = field(default_factory=dict)

    def first_day(self) -> None:
        """The history, of which some files are withheld, and every page of the APIs."""
        self._run(
            *("write", "--out", self._sources, "--state", self._state, "--seed", "11"),
            *("--machines", MACHINES, "--days", DAYS, "--end-date", END, "--faults", "all"),
        )
        self._upload()
        self._fetch_pages()

    def second_day(self) -> None:
        """Late files, corrected files, copies, changed masters, and a file that lost its rows."""
        for phase in ("late", "corrected", "duplicate", "master-change"):
            self._run("deliver", "--state", self._state, "--out", self._sources, phase)
        self._remove_rows()
        self._upload()

    def _remove_rows(self) -> None:
        """The second half of one good file is taken back by the vendor."""
        path = sorted(self._sources.rglob("sales_*_20260320.csv"))[0]
        lines = path.read_bytes().splitlines(keepends=True)
        path.write_bytes(b"".join(lines[: len(lines) // 2]))

    def _upload(self) -> None:
        for path in sorted(path for path in self._sources.rglob("*") if path.is_file()):
            key = f"sources/{path.relative_to(self._sources).as_posix()}"
            content = path.read_bytes()
            if self.delivered.get(key) != content:
                self.lake.write_bytes(key, content)
                self.delivered[key] = content

    def _fetch_pages(self) -> None:
        with self._serving() as address:
            for contract in load_catalog().api_sources:
                fetch_pages(self.lake, contract, ApiAccess(address, TOKEN))

    @contextmanager
    def _serving(self) -> Iterator[str]:
        fleet = Fleet(read_state(self._state))
        api = VendorApi((TelemetryFeed(fleet), WeatherFeed(fleet)), TOKEN)
        server = VendorServer(api)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.port}"
        finally:
            server.shutdown()
            thread.join()
            server.server_close()

    def _run(self, *arguments: object) -> None:
        assert simulator([str(argument) for argument in arguments]) == 0

    @property
    def _sources(self) -> Path:
        return self.folder / "sources"

    @property
    def _state(self) -> Path:
        return self.folder / "state.json"
