"""`make pictures`: the pictures of README, taken from the Airflow that `make up` keeps running."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.console import Console

from deploy.local.airflow_api import AirflowApi
from deploy.local.errors import LocalError
from deploy.local.follow import TRANSFORM
from deploy.local.layout import REPOSITORY, Layout
from deploy.local.stack import find_staying

if TYPE_CHECKING:
    from playwright.sync_api import Page

FOLDER = REPOSITORY / "docs" / "pictures"
SIZE = {"width": 1200, "height": 760}
BROWSERS = ("chromium", "google-chrome")
# For what a page still draws once it has loaded.
SETTLED_MILLISECONDS = 3_000


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture's file name and the page that it shows."""

    name: str
    path: str


def take_pictures(layout: Layout, console: Console) -> int:
    """Take each picture again; exit status 0. Raises LocalError."""
    running = find_staying(layout)
    if running is None:
        raise LocalError("Nothing is up to take pictures of: `make up` and `make run` first.")
    api = AirflowApi(running.address)
    api.log_in(layout.passwords)
    FOLDER.mkdir(exist_ok=True)
    with _browser(running.address, api.token) as page:
        for picture in _pictures(api):
            page.goto(running.address + picture.path)
            page.wait_for_timeout(SETTLED_MILLISECONDS)
            path = FOLDER / f"{picture.name}.png"
            page.screenshot(path=path)
            console.print(f"{path.relative_to(REPOSITORY)}: {path.stat().st_size // 1000} kB")
    return 0


def _pictures(api: AirflowApi) -> tuple[Picture, ...]:
    runs = api.runs([TRANSFORM], states=["success"])
    if not runs:
        raise LocalError("No transform has succeeded yet: `make run` first.")
    return (
        Picture("transform", f"/dags/{TRANSFORM}/runs/{runs[0].run_id}"),
        Picture("data-health", "/plugin/data-health"),
        Picture("dbt-documentation", "/data-health/dbt/#!/model/model.vending.fct_sales"),
    )


@contextmanager
def _browser(address: str, token: str) -> Iterator[Page]:
    """A page of the distribution's browser, logged in."""
    from playwright.sync_api import sync_playwright

    executable = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    if executable is None:
        raise LocalError("There is no browser: install the Debian package chromium.")
    with sync_playwright() as playwright:
        # Only our own pages are opened, and containers allow no sandbox.
        browser = playwright.chromium.launch(executable_path=executable, args=["--no-sandbox"])
        context = browser.new_context(viewport=SIZE, color_scheme="light", locale="en-GB")
        context.add_cookies([{"name": "_token", "value": token, "url": address}])
        yield context.new_page()
        browser.close()
