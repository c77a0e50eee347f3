"""Reads which folders are deployed to Pages (sites.yaml)."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator

from include.publish.sinks import PublishSpecError

SITES_FILE = Path(__file__).with_name("sites.yaml")

# A Pages project is a label of a host name.
Project = Annotated[str, Field(pattern=r"^[a-z0-9]([a-z0-9-]{0,56}[a-z0-9])?$")]


class Site(BaseModel):
    """A folder of the lake or of the disk, and what of a zone's cache shows it."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    lake: str | None = None
    folder: Path | None = None
    branch: str = "main"
    purge_tags: tuple[str, ...] = ()
    purge_prefixes: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _lies_in_one_place(self) -> Self:
        if (self.lake is None) == (self.folder is None):
            raise ValueError("say either lake or folder")
        return self

    @property
    def purges(self) -> bool:
        return bool(self.purge_tags or self.purge_prefixes)


def load_sites(path: Path | None = None) -> dict[str, Site]:
    """The sites by their Pages project. Raises PublishSpecError."""
    path = path or SITES_FILE
    document = yaml.safe_load(path.read_text(encoding="utf-8"))
    try:
        return TypeAdapter(dict[Project, Site]).validate_python(document)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise PublishSpecError(
            f"{path.name} is wrong at {where} ({first['msg']}); mend include/publish/{path.name}."
        ) from None
