"""`make pictures`: takes the pictures of README from the Airflow that `make up` keeps running."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote

from deploy.local.airflow_api import AirflowApi
from deploy.local.errors import LocalError
from deploy.local.follow import TRANSFORM
from deploy.local.layout import REPOSITORY
from deploy.local.stack import find_staying

if TYPE_CHECKING:
    from playwright.sync_api import Browser
    from rich.console import Console

    from deploy.local.commands import Request

FOLDER = REPOSITORY / "docs" / "pictures"
# In CSS pixels.
SIZE = {"width": 1280, "height": 800}
BROWSERS = ("chromium", "google-chrome")
HEALTH_PAGE = "/plugin/data-health"
HEALTH_TEXT = "Last runs of the DAGs"
# A busy laptop answers slowly, and what has come is still to be drawn.
LOADED_MILLISECONDS = 120_000.0
DRAWN_MILLISECONDS = 2_000.0


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture's file name, the page that it shows, and what is clicked or waited for there.

    ``framed`` is a text in the page's frame, which is loaded after the page itself.
    """

    name: str
    path: str
    scheme: str = "light"
    button: str | None = None
    framed: str | None = None


def take_pictures(request: Request, console: Console) -> int:
    """Take each picture again; exit status 0. Raises LocalError."""
    layout = request.layout
    running = find_staying(layout)
    if running is None:
        raise LocalError("Nothing is up to take pictures of: `make up` and `make run` first.")
    api = AirflowApi(running.address)
    api.log_in(layout.passwords)
    FOLDER.mkdir(exist_ok=True)
    pictures = _pictures(api)
    with _browser() as browser:
        for picture in pictures:
            _take(browser, api, picture)
            size = (FOLDER / f"{picture.name}.png").stat().st_size
            console.print(f"docs/pictures/{picture.name}.png: {size // 1000} kB")
    return 0


def _pictures(api: AirflowApi) -> tuple[Picture, ...]:
    runs = api.runs([TRANSFORM], states=["success"])
    if not runs:
        raise LocalError("No transform has succeeded yet: `make run` first.")
    return (
        Picture(
            "transform",
            f"/dags/{TRANSFORM}/runs/{quote(runs[0].run_id)}",
            button="Expand all task groups",
        ),
        Picture("data-health", HEALTH_PAGE, framed=HEALTH_TEXT),
        Picture("data-health-dark", HEALTH_PAGE, scheme="dark", framed=HEALTH_TEXT),
    )


def _take(browser: Browser, api: AirflowApi, picture: Picture) -> None:
    context = browser.new_context(viewport=SIZE, color_scheme=picture.scheme, locale="en-GB")
    context.set_default_timeout(LOADED_MILLISECONDS)
    context.add_cookies([{"name": "_token", "value": api.token, "url": api.address}])
    page = context.new_page()
    page.goto(api.address + picture.path, wait_until="networkidle")
    if picture.button:
        page.get_by_label(picture.button).click()
        page.wait_for_load_state("networkidle")
    if picture.framed:
        page.frame_locator("iframe").get_by_text(picture.framed).wait_for()
    page.wait_for_timeout(DRAWN_MILLISECONDS)
    page.screenshot(path=FOLDER / f"{picture.name}.png")
    context.close()


@contextmanager
def _browser() -> Iterator[Browser]:
    """The browser of the distribution. Raises LocalError without one."""
    # Imported here: no other command needs it.
    from playwright.sync_api import sync_playwright

    executable = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    if executable is None:
        raise LocalError("There is no browser: install the Debian package chromium.")
    with sync_playwright() as playwright:
        # Only our own pages are opened, and containers allow no sandbox.
        arguments = ["--no-sandbox", "--disable-dev-shm-usage"]
        browser = playwright.chromium.launch(executable_path=executable, args=arguments)
        yield browser
        browser.close()
