"""The sink Pages: a folder as the site of a Pages project, then what caches show of it purged.

published/pages/<account>/<project>.json says what was deployed last. It is written when both are
done, so a deployment that was killed in between is made again, which uploads no file twice.
"""

from __future__ import annotations

import hashlib
import shutil
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from include.cloudflare.cache import ZoneCache
from include.cloudflare.wrangler import Wrangler
from include.lake import Lake, Zone
from include.publish.marts import PublishError
from include.publish.sites import Site
from include.settings import CODE_ROOT

# https://developers.cloudflare.com/pages/platform/limits/
FILES = 20_000
FILE_BYTES = 25 * 1024 * 1024


class Deployment(BaseModel):
    """What was deployed last: a digest of the folder, and where it can be looked at."""

    model_config = ConfigDict(frozen=True)

    project: str
    version: str
    files: int
    url: str


@dataclass(frozen=True)
class PagesSink:
    """Deploys one site. ``cache`` is that of the zone which shows it, None where none does."""

    project: str
    site: Site
    lake: Lake
    wrangler: Wrangler
    cache: ZoneCache | None
    scratch: Path

    def publish(self) -> tuple[Deployment, bool]:
        """Bring the project to the folder; also says whether it had changed.

        Raises PublishError for a folder that Pages cannot hold, CloudflareError if it is refused.
        """
        if self.site.purges and self.cache is None:
            raise PublishError(
                f"The site {self.project} purges a cache and the Cloudflare connection has no "
                "zone_id; set it as docs/cloudflare.md says."
            )
        folder = self._folder()
        files = _files(self.project, folder)
        version = _digest(folder, files, self.site)
        before = self._last()
        if before is not None and before.version == version:
            return before, False
        url = self.wrangler.deploy_pages(folder, self.project, self.site.branch)
        if self.cache is not None:
            self.cache.purge_tags(self.site.purge_tags)
            self.cache.purge_prefixes(self.site.purge_prefixes)
        deployed = Deployment(project=self.project, version=version, files=len(files), url=url)
        self.lake.write_bytes(self._key, deployed.model_dump_json().encode())
        return deployed, True

    def _folder(self) -> Path:
        if self.site.folder is not None:
            return CODE_ROOT / self.site.folder
        assert self.site.lake is not None
        folder = self.scratch / "site"
        for stored in self.lake.list(self.site.lake):
            path = folder / stored.key.removeprefix(f"{self.site.lake}/")
            path.parent.mkdir(parents=True, exist_ok=True)
            with self.lake.open(stored.key) as source, path.open("wb") as target:
                shutil.copyfileobj(source, target)
        return folder

    def _last(self) -> Deployment | None:
        if not self.lake.exists(self._key):
            return None
        try:
            return Deployment.model_validate_json(self.lake.read_bytes(self._key))
        except ValidationError:
            return None

    @property
    def _key(self) -> str:
        account = self.wrangler.access.account_id
        return self.lake.key(Zone.PUBLISHED, "pages", account, f"{self.project}.json")


def _files(project: str, folder: Path) -> list[Path]:
    """Every file below the folder. Raises PublishError if Pages would refuse them."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    if not files:
        raise PublishError(
            f"The site {project} has no files in {folder.name}; make them first, or take the site "
            "out of include/publish/sites.yaml."
        )
    if len(files) > FILES:
        raise PublishError(f"The site {project} has {len(files)} files and Pages takes {FILES}.")
    for path in files:
        if path.stat().st_size > FILE_BYTES:
            raise PublishError(
                f"The site {project} has {path.name} of {path.stat().st_size} bytes and Pages "
                f"takes {FILE_BYTES} a file; make it smaller."
            )
    return files


def _digest(folder: Path, files: list[Path], site: Site) -> str:
    """Of the names and contents, and of how the site is deployed."""
    digest = hashlib.sha256(site.model_dump_json().encode())
    for path in files:
        with path.open("rb") as stream:
            content = hashlib.file_digest(stream, "sha256").hexdigest()
        digest.update(f"\0{path.relative_to(folder).as_posix()}\0{content}".encode())
    return digest.hexdigest()[:16]
