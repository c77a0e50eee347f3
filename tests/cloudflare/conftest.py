"""One Cloudflare on this machine for all tests of this folder (see deploy/cloudflare/local)."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.cloudflare.local_catalog import LocalCatalog, running_catalog
from deploy.cloudflare.local_cloudflare import LocalCloudflare, is_installed, running_cloudflare


def require_installed() -> None:
    """Skip the test without the local Cloudflare; fail it in CI, which installs it."""
    if not is_installed():
        missing = "no local Cloudflare: run npm install --prefix deploy/cloudflare --no-save"
        pytest.fail(missing) if os.environ.get("CI") else pytest.skip(missing)


@pytest.fixture(scope="session")
def cloudflare(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCloudflare]:
    require_installed()
    with running_cloudflare(tmp_path_factory.mktemp("cloudflare")) as running:
        yield running


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[LocalCatalog]:
    """A catalog of Iceberg tables, which lie in a folder."""
    with running_catalog(tmp_path / "catalog") as running:
        yield running


@pytest.fixture
def scratch(tmp_path: Path) -> Path:
    folder = tmp_path / "scratch"
    folder.mkdir()
    return folder
