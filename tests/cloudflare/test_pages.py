"""Pages: a folder becomes a site by the real wrangler, against a simulated API of Pages.

Simulated in deploy/cloudflare/local: the projects, the upload of files, the site itself, and the
purge of a cache, which is only written down.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from deploy.cloudflare.local_cloudflare import LocalCloudflare
from include.cloudflare.errors import CloudflareError
from include.publish import sites, tasks
from include.publish.marts import PublishError
from include.publish.pages import PagesSink
from include.publish.services import open_pages_sink
from include.publish.sites import load_sites
from include.publish.spec import PublishSpecError
from include.settings import Settings, load_settings
from tests.cloudflare.published import journal


@pytest.fixture
def settings(
    cloudflare: LocalCloudflare, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Settings]:
    """Settings with a connection to the local Cloudflare, which has the zone `shop`."""
    connection = {
        "conn_type": "generic",
        "host": cloudflare.access.base_url,
        "login": cloudflare.access.account_id,
        "password": cloudflare.access.token,
        "extra": {"requests_per_window": 100_000_000, "zone_id": "shop"},
    }
    monkeypatch.setenv("AIRFLOW_CONN_CLOUDFLARE", json.dumps(connection))
    made = load_settings(
        {"VENDING_DATA_DIR": str(tmp_path), "VENDING_CLOUDFLARE_CONNECTION": "cloudflare"}
    )
    monkeypatch.setattr(tasks, "current_settings", lambda: made)
    return made


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A site of two files, below the lake."""
    made = tmp_path / "published" / "docs"
    (made / "style").mkdir(parents=True)
    (made / "index.html").write_text("<title>Marts</title>", "utf-8")
    (made / "style" / "page.css").write_text("body { color: black }", "utf-8")
    return made


@pytest.fixture
def declare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Writes sites.yaml."""

    def write(**declared: Any) -> None:
        file = tmp_path / "sites.yaml"
        file.write_text(json.dumps({name.replace("_", "-"): s for name, s in declared.items()}))
        monkeypatch.setattr(sites, "SITES_FILE", file)

    return write


def deployments(cloudflare: LocalCloudflare, project: str) -> int:
    return journal(cloudflare).count(f"POST pages/projects/{project}/deployments")


def purges(cloudflare: LocalCloudflare) -> list[dict[str, Any]]:
    return httpx.get(f"{cloudflare.api}/__local/purges").json()


def test_a_folder_of_the_lake_is_deployed_when_it_has_changed_and_then_purged(
    settings: Settings, cloudflare: LocalCloudflare, folder: Path, declare: Any
) -> None:
    declare(marts_docs={"lake": "published/docs", "purge_tags": ["docs"]})
    first = tasks.deploy_site.function("marts-docs")
    assert httpx.get(f"{first['url']}/index.html").text == "<title>Marts</title>"
    assert httpx.get(f"{first['url']}/style/page.css").headers["content-type"] == "text/css"
    assert purges(cloudflare)[-1] == {"zone": "shop", "tags": ["docs"]}

    before = len(journal(cloudflare))
    assert tasks.deploy_site.function("marts-docs") == first
    assert journal(cloudflare)[before:] == []

    (folder / "style" / "page.css").rename(folder / "style" / "other.css")
    assert tasks.deploy_site.function("marts-docs")["version"] != first["version"]
    assert httpx.get(f"{first['url']}/style/other.css").status_code == 200
    assert httpx.get(f"{first['url']}/style/page.css").status_code == 404
    assert deployments(cloudflare, "marts-docs") == 2


def test_a_deployment_that_died_before_the_purge_is_made_again(
    settings: Settings, cloudflare: LocalCloudflare, folder: Path, declare: Any
) -> None:
    declare(died={"folder": str(folder), "purge_prefixes": ["shop.example/docs"]})
    with open_pages_sink(settings, "died") as sink:
        assert isinstance(sink, PagesSink)
        cache = sink.cache
        assert cache is not None
        cache.purge_prefixes = die  # type: ignore[method-assign]
        with pytest.raises(KeyboardInterrupt):
            sink.publish()
    with open_pages_sink(settings, "died") as sink:
        assert sink.publish()[1]
    assert purges(cloudflare)[-1] == {"zone": "shop", "prefixes": ["shop.example/docs"]}
    assert deployments(cloudflare, "died") == 2


def test_what_wrangler_refuses_is_told_with_cloudflares_code_and_not_the_token(
    settings: Settings, folder: Path, declare: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    declare(refused={"folder": str(folder)})
    connection = json.loads(os.environ["AIRFLOW_CONN_CLOUDFLARE"])
    wrong = json.dumps(connection | {"password": "some-wrong-token"})
    monkeypatch.setenv("AIRFLOW_CONN_CLOUDFLARE", wrong)
    with pytest.raises(CloudflareError, match=r"Wrangler refused .*\[code: 10000\]") as raised:
        tasks.deploy_site.function("refused")
    assert "some-wrong-token" not in str(raised.value)


def test_a_folder_that_pages_cannot_hold_is_refused_before_anything_is_sent(
    settings: Settings, cloudflare: LocalCloudflare, folder: Path, declare: Any, tmp_path: Path
) -> None:
    (tmp_path / "empty").mkdir()
    declare(empty={"folder": str(tmp_path / "empty")}, large={"folder": str(folder)})
    before = len(journal(cloudflare))
    with pytest.raises(PublishError, match="has no files in empty"):
        tasks.deploy_site.function("empty")
    with (folder / "large.bin").open("wb") as file:
        file.truncate(25 * 1024 * 1024 + 1)
    with pytest.raises(PublishError, match=r"large\.bin of 26214401 bytes"):
        tasks.deploy_site.function("large")
    assert journal(cloudflare)[before:] == []


def test_without_wrangler_the_task_says_what_to_install(
    settings: Settings, folder: Path, declare: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    declare(docs={"folder": str(folder)})
    without = settings._replace(wrangler_command=("/nowhere/wrangler",))
    monkeypatch.setattr(tasks, "current_settings", lambda: without)
    with pytest.raises(CloudflareError, match="install wrangler as docs"):
        tasks.deploy_site.function("docs")


@pytest.mark.parametrize(
    ("declared", "wrong"),
    [
        ({"docs": {}}, "docs .*say either lake or folder"),
        ({"docs": {"lake": "a", "folder": "b"}}, "say either lake or folder"),
        ({"docs": {"lake": "a", "tags": ["b"]}}, r"docs\.tags"),
        ({"Docs!": {"lake": "a"}}, "Docs!"),
    ],
)
def test_a_wrong_site_is_told_by_its_place(
    tmp_path: Path, declared: dict[str, Any], wrong: str
) -> None:
    file = tmp_path / "sites.yaml"
    file.write_text(json.dumps(declared))
    with pytest.raises(PublishSpecError, match=wrong):
        load_sites(file)


def test_the_file_of_the_project_can_be_read() -> None:
    assert isinstance(load_sites(), dict)


def die(*arguments: object) -> None:
    raise KeyboardInterrupt
