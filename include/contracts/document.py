"""One contract file: YAML that keeps to the Open Data Contract Standard, and what its mistakes say.

Every mistake is a ContractError of one sentence that names the file, the field and the remedy.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from pathlib import Path
from typing import Any, TypeVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import yaml
from open_data_contract_standard.model import (
    CustomProperty,
    OpenDataContractStandard,
    SchemaObject,
)
from pydantic import BaseModel, ValidationError

from include.contracts.model import ContractError, FieldType

# Every task reads the contracts, and libyaml's loader takes a tenth of the time.
_SafeLoader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

_Choice = TypeVar("_Choice", bound=StrEnum)

NAME = re.compile(r"[a-z][a-z0-9_]*")
_VERSION = re.compile(r"\d+\.\d+\.\d+")


@dataclass(frozen=True)
class Document:
    """One YAML file, checked against the standard's models."""

    path: Path
    contract: OpenDataContractStandard

    @classmethod
    def read(cls, path: Path) -> Document:
        try:
            text = path.read_text(encoding="utf-8")
            content = yaml.load(text, Loader=_SafeLoader)  # nosec B506
            contract = OpenDataContractStandard.model_validate(content)
        except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
            reason = " ".join(str(error).split())
            raise ContractError(f"{path.name}: cannot be read as YAML ({reason}).") from error
        except ValidationError as error:
            mistake = error.errors()[0]
            where = ".".join(str(part) for part in mistake["loc"]) or "the document"
            raise ContractError(
                f"{path.name}: {where}: {mistake['msg']}; see the Open Data Contract Standard v3."
            ) from None
        document = cls(path, contract)
        document._refuse_unknown_keys(content, contract, "")
        return document

    def error(self, where: str, problem: str) -> ContractError:
        return ContractError(f"{self.path.name}: {where} {problem}.")

    def properties(
        self, owner: list[CustomProperty] | None, allowed: frozenset[str], where: str
    ) -> dict[str, Any]:
        """The custom properties as names and values; an unknown name is a mistake."""
        values = {entry.property: entry.value for entry in owner or ()}
        for name in values:
            if name not in allowed:
                known = ", ".join(sorted(allowed))
                raise self.error(f"{where} custom property {name}", f"is unknown; use {known}")
        return values

    def table(self) -> SchemaObject:
        """The one schema object of the contract."""
        objects = self.contract.schema_ or []
        if len(objects) != 1 or not objects[0].properties:
            raise self.error("schema", "must hold exactly one object with properties")
        return objects[0]

    def text(self, value: Any, where: str, remedy: str) -> str:
        if not isinstance(value, str) or not value.strip():
            raise self.error(where, f"is missing; {remedy}")
        return value.strip()

    def version(self) -> str:
        version = self.contract.version or ""
        if not _VERSION.fullmatch(version):
            raise self.error("version", f"is {version!r}; write three numbers, as in 1.0.0")
        return version

    def time_zone(self, value: Any, where: str) -> str:
        try:
            return ZoneInfo(str(value)).key
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise self.error(
                where, f"is {value!r}; name an IANA time zone such as Asia/Tokyo"
            ) from None

    def _refuse_unknown_keys(self, content: Any, parsed: Any, where: str) -> None:
        # The standard's models ignore unknown keys below the top level, so that a misspelt
        # `required` would be no rule at all.
        if isinstance(parsed, BaseModel):
            fields = {f.alias or name: name for name, f in type(parsed).model_fields.items()}
            for key, value in content.items():
                if key not in fields:
                    raise self.error(
                        f"{where}{key}", "is not in the standard; correct or remove it"
                    )
                self._refuse_unknown_keys(value, getattr(parsed, fields[key]), f"{where}{key}.")
        elif isinstance(parsed, list):
            for index, (raw, item) in enumerate(zip(content, parsed, strict=True)):
                name = getattr(item, "name", None) or index
                self._refuse_unknown_keys(raw, item, f"{where}{name}.")


def one_of(document: Document, choices: type[_Choice], value: Any, where: str) -> _Choice:
    try:
        return choices(value)
    except ValueError:
        known = ", ".join(choice.value for choice in choices)
        raise document.error(where, f"is {value!r}; use one of {known}") from None


def refuse_repeated(document: Document, names: list[str], what: str) -> None:
    for name in names:
        if not name or names.count(name) > 1:
            raise document.error(f"{what} {name!r}", "must have a name of its own")


def read_bound(
    document: Document, kind: FieldType, value: Any, where: str
) -> Decimal | date | None:
    if value is None:
        return None
    try:
        if kind in (FieldType.INTEGER, FieldType.DECIMAL):
            return Decimal(str(value))
        if kind in (FieldType.DATE, FieldType.TIMESTAMP):
            return date.fromisoformat(str(value))
    except (InvalidOperation, ValueError):
        raise document.error(where, f"is {value!r}, which is no {kind.value}") from None
    raise document.error(where, f"makes no sense for a {kind.value}; remove it")


def read_pattern(document: Document, value: Any, where: str) -> str | None:
    if value is None:
        return None
    try:
        re.compile(str(value))
    except re.error as error:
        raise document.error(where, f"is no regular expression ({error})") from None
    return str(value)
