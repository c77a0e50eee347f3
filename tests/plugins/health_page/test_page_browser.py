"""The page in a real browser: logged in, on a healthy day and on a bad one, for everybody."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, sync_playwright

from include.lake import DiskLake
from include.settings import Environment
from include.transform.documentation import store_documentation
from include.transform.manifest import build_manifest, load_manifest
from include.transform.project import DbtProject
from tests.plugins.health_page.snapshots import bad_day, healthy_day

if TYPE_CHECKING:
    from tests.plugins.health_page.conftest import Server, Show

WIDE = {"width": 1280, "height": 900}
TELEPHONE = {"width": 360, "height": 740}


@pytest.fixture(scope="module")
def browser(chromium: str) -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium,
            # Only the pages of this test are opened, and containers allow no sandbox.
            args=["--no-sandbox", "--disable-dev-shm-usage"],
        )
        yield browser
        browser.close()


@pytest.fixture
def visit(browser: Browser, server: Server) -> Iterator[Visit]:
    visit = Visit(browser, server)
    yield visit
    visit.close()


class Visit:
    """Opens the page as a logged-in person; remembers what the browser complained about."""

    def __init__(self, browser: Browser, server: Server) -> None:
        self._browser, self._server = browser, server
        self._contexts = []
        self.complaints: list[str] = []
        self.hosts: set[str] = set()

    def __call__(self, path: str = "", *, viewport=WIDE, scheme: str = "light") -> Page:
        context = self._browser.new_context(viewport=viewport, color_scheme=scheme, locale="en-GB")
        self._contexts.append(context)
        context.add_cookies(
            [{"name": "_token", "value": self._server.token, "url": self._server.address}]
        )
        page = context.new_page()
        page.on("console", lambda m: m.type == "error" and self.complaints.append(m.text))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("request", lambda request: self.hosts.add(request.url.split("/")[2]))
        page.goto(self._server.page + path)
        return page

    def log_in(self) -> Page:
        context = self._browser.new_context(viewport=WIDE, locale="en-GB")
        self._contexts.append(context)
        page = context.new_page()
        page.goto(self._server.address)
        page.fill("input[name=username]", "admin")
        page.fill("input[name=password]", self._server.password)
        page.click("button[type=submit]")
        page.wait_for_url(lambda url: "/auth/login" not in url)
        return page

    def close(self) -> None:
        for context in self._contexts:
            context.close()


def violations(page: Page) -> list[str]:
    found = Axe().run(page).response["violations"]
    return [f"{each['id']}: {each['nodes'][0]['html'][:150]}" for each in found]


def overflow(page: Page) -> int:
    return page.evaluate("document.documentElement.scrollWidth - window.innerWidth")


def test_a_person_logs_in_and_finds_the_page_in_the_ui(
    visit: Visit, server: Server, show: Show, screenshots: Path
) -> None:
    show(healthy_day())
    page = visit.log_in()
    page.goto(f"{server.address}/plugin/data-health")
    frame = page.frame_locator("iframe")
    frame.get_by_role("heading", name="Data health").wait_for()
    assert frame.get_by_text("Yes", exact=True).count() == 4
    page.screenshot(path=screenshots / "in-the-ui.png")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("language", ["en", "ja"])
@pytest.mark.parametrize("day", ["healthy", "bad"])
def test_every_view_is_accessible_and_loads_nothing_from_elsewhere(
    visit: Visit, show: Show, screenshots: Path, day: str, language: str, scheme: str
) -> None:
    show(healthy_day() if day == "healthy" else bad_day())
    page = visit(f"?lang={language}", scheme=scheme)
    page.screenshot(path=screenshots / f"{day}-{language}-{scheme}.png", full_page=True)
    assert visit.complaints == []
    assert len(visit.hosts) == 1
    # Axe is put into the page, which the policy forbids to everybody but the browser's driver.
    assert violations(page) == []


def test_a_models_page_is_accessible_and_leads_back(visit: Visit, show: Show) -> None:
    show(healthy_day())
    page = visit("models/fct_daily_inventory")
    assert violations(page) == []
    page.get_by_role("link", name="All of the data's health").click()
    page.get_by_role("heading", name="Marts").wait_for()
    assert visit.complaints == []


def test_dbts_documentation_opens_under_its_policy(
    visit: Visit, server: Server, screenshots: Path
) -> None:
    project = DbtProject.of_target(Environment.DEV)
    build_manifest(project)
    manifest = load_manifest(project.manifest_path)
    store_documentation(DiskLake(server.layout.data), project.manifest_path, manifest, ())
    page = visit("dbt/#!/model/model.vending.fct_sales")
    page.get_by_text("One line of a sale or refund that counts").first.wait_for()
    page.screenshot(path=screenshots / "dbt-documentation.png")
    assert not [each for each in visit.complaints if "Content Security Policy" in each]
    assert len(visit.hosts) == 1


@pytest.mark.parametrize("day", ["healthy", "bad"])
def test_on_a_telephone_nothing_is_wider_than_the_screen(
    visit: Visit, show: Show, screenshots: Path, day: str
) -> None:
    show(healthy_day() if day == "healthy" else bad_day())
    page = visit(viewport=TELEPHONE)
    page.screenshot(path=screenshots / f"{day}-telephone.png", full_page=True)
    assert overflow(page) == 0
    assert violations(page) == []


def test_the_theme_that_the_person_chose_in_airflow_counts(visit: Visit, show: Show) -> None:
    show(healthy_day())
    page = visit(scheme="light")
    light = page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.evaluate("localStorage.setItem('theme', 'dark')")
    page.reload()
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") != light


def test_every_link_is_reached_by_the_keyboard_and_seen(visit: Visit, show: Show) -> None:
    show(healthy_day())
    page = visit()
    reached = []
    for _ in range(2):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.textContent"))
        assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    assert reached == ["Skip to the details", "日本語"]
    page.keyboard.press("Enter")
    page.wait_for_url("**/?lang=ja")
    assert page.locator("html").get_attribute("lang") == "ja"


def test_data_cannot_become_markup(visit: Visit, show: Show) -> None:
    show(bad_day())
    page = visit()
    assert page.title() == "Data health"
    assert page.locator("td img").count() == 0
    assert page.get_by_text("<img src=x").count() == 1
