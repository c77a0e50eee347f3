"""`make contract FILE=…`: profiles a sample file and writes the first draft of a source contract.

The draft lies beside the contracts under a name that is not read (``.yaml.draft``), with what was
found in the file and what a person must still decide as comments; beside it a page describes the
columns (``.profile.html``).
"""

from __future__ import annotations

import argparse
import re
import sys
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from pathlib import Path
from typing import Any

import yaml

from include.contracts import Catalog, DatasetContract, Field, FieldType, load_catalog
from include.contracts.column_summary import SummaryError, summarise_columns
from include.contracts.profile import ColumnProfile, profile_column
from include.contracts.reader import CONTRACTS_ROOT
from include.contracts.sample import Sample, SampleError, read_sample

# Below this a column's name says nothing about a field.
_ALIKE = 0.62
# Other words that vendors use for a field.
_WORDS: dict[str, tuple[str, ...]] = {
    "machine_id": ("machine", "device", "device id", "terminal", "store", "自販機", "機番", "店舗"),
    "transaction_id": (
        "transaction",
        "receipt",
        "order",
        "basket",
        "取引番号",
        "伝票番号",
        "伝票no",
    ),
    "line_id": ("line", "item no", "行", "明細番号"),
    "product_id": ("product", "product code", "sku", "item", "商品コード", "コード"),
    "product_name": ("name", "product", "description", "商品名", "品名"),
    "category_id": ("category", "department", "分類", "カテゴリ"),
    "sold_at": (
        "time",
        "timestamp",
        "date",
        "transdate",
        "sale time",
        "販売日時",
        "販売日",
        "日時",
        "日付",
    ),
    "quantity": ("qty", "units", "count", "数量", "個数"),
    "unit_price": ("price", "unit price", "単価"),
    "amount": ("total", "sales", "linetotal", "value", "revenue", "金額", "売上", "合計"),
    "transaction_type": ("type", "kind", "区分", "取引区分"),
    "original_transaction_id": ("original receipt", "元取引番号", "元伝票no"),
    "payment_method_code": ("payment", "tender", "支払方法", "支払", "決済"),
    "slot_number": ("slot", "coil", "column", "コラム", "スロット"),
    "list_price": ("price", "価格", "単価"),
    "unit_cost": ("cost", "原価"),
    "prefecture": ("都道府県", "region", "state"),
    "machine_name": ("machine", "name", "機名"),
    "site_name": ("location", "site", "設置場所"),
}


@dataclass(frozen=True, slots=True)
class Draft:
    """A draft contract as YAML, and what its author must still do."""

    contract_id: str
    text: str
    remaining: tuple[str, ...]
    columns: tuple[ColumnProfile, ...]


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Drafts a source contract from a sample file.")
    parser.add_argument("file", type=Path)
    parser.add_argument("--source", help="the vendor's name: small letters, digits and _")
    parser.add_argument("--dataset", help="the dataset that the file feeds")
    parser.add_argument("--folder", type=Path, default=CONTRACTS_ROOT / "sources")
    options = parser.parse_args(arguments)
    source = options.source or _source_name(options.file)
    try:
        draft = draft_contract(options.file, load_catalog(), source, options.dataset)
    except (SampleError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    path = options.folder / f"{draft.contract_id}.yaml.draft"
    path.write_text(draft.text, encoding="utf-8")
    print(f"Draft written to {path}. Before it is renamed to {path.stem}:")
    for step in draft.remaining:
        print(f"  - {step}")
    _write_summary(options.folder / f"{draft.contract_id}.profile.html", options.file, draft)
    return 0


def _write_summary(path: Path, sample: Path, draft: Draft) -> None:
    try:
        path.write_text(summarise_columns(sample.name, draft.columns), encoding="utf-8")
    except SummaryError as error:
        # The draft needs no page.
        print(error, file=sys.stderr)
    else:
        print(f"Profile of the columns written to {path}.")


def draft_contract(path: Path, catalog: Catalog, source: str, dataset: str | None = None) -> Draft:
    """The draft for a sample file; the dataset that fits best if none is named.

    Raises SampleError if no table can be found in the file, OSError.
    """
    sample = read_sample(path)
    profiles = [profile_column(name, values) for name, values in sample.columns.items()]
    chosen = _dataset(catalog, profiles, dataset)
    fields = _suggest_fields(chosen, profiles)
    remaining = tuple(_remaining(chosen, profiles, fields, sample))
    document = _document(path, sample, profiles, chosen, fields, source)
    body = yaml.safe_dump(document, allow_unicode=True, sort_keys=False, width=96)
    facts = [f"{profile.name}: {profile.found}" for profile in profiles]
    comment = "\n".join(
        f"# {line}"
        for line in (
            f"Drafted from {path.name}: {sample.rows} rows, {sample.described}.",
            "To do:",
            *(f"  - {step}" for step in remaining),
            "Found in the columns:",
            *(f"  - {fact}" for fact in facts),
        )
    )
    return Draft(f"{source}.{chosen.name}", f"{comment}\n{body}", remaining, tuple(profiles))


def _source_name(path: Path) -> str:
    name = re.sub(r"[^a-z0-9]+", "_", path.stem.lower()).strip("_")
    return name if re.match(r"[a-z]", name) else "vendor"


def _dataset(
    catalog: Catalog, profiles: Sequence[ColumnProfile], name: str | None
) -> DatasetContract:
    if name is not None:
        try:
            return catalog.dataset(name)
        except KeyError:
            known = ", ".join(dataset.name for dataset in catalog.datasets)
            raise SampleError(f"There is no dataset {name!r}; use one of {known}.") from None

    def fit(dataset: DatasetContract) -> tuple[float, float]:
        given = {
            field for fields in _suggest_fields(dataset, profiles).values() for field in fields
        }
        required = [field.name for field in dataset.fields if field.required and not field.derived]
        share = sum(field in given for field in required) / len(required)
        return share * len(given), share

    return max(catalog.datasets, key=fit)


def _suggest_fields(
    dataset: DatasetContract, profiles: Sequence[ColumnProfile]
) -> dict[str, list[str]]:
    """Of each column the field that it feeds: the best pair of all first, each used once."""
    pairs = sorted(
        (
            (_likeness(profile, field), -place, profile.name, field.name)
            for field in dataset.fields
            if not field.derived
            for place, profile in enumerate(profiles)
        ),
        reverse=True,
    )
    fields: dict[str, list[str]] = {profile.name: [] for profile in profiles}
    given: set[str] = set()
    for likeness, _, column, field in pairs:
        if likeness > _ALIKE and not fields[column] and field not in given:
            fields[column].append(field)
            given.add(field)
    return fields


def _likeness(profile: ColumnProfile, field: Field) -> float:
    """Between 0 and 1: how well a column's name and type fit a field."""
    if not _can_hold(field, profile):
        return 0
    names = (field.name, *_WORDS.get(field.name, ()))
    likeness = max(_alike(profile.name, name) for name in names)
    return likeness if profile.type is field.type else likeness * 0.95


def _alike(first: str, second: str) -> float:
    left, right = (
        re.sub(r"[\W_]+", "", unicodedata.normalize("NFKC", name).casefold())
        for name in (first, second)
    )
    return SequenceMatcher(None, left, right).ratio() if left and right else 0


def _can_hold(field: Field, profile: ColumnProfile) -> bool:
    if field.type is FieldType.TEXT or profile.filled == 0:
        return True
    if field.type is FieldType.TIMESTAMP:
        return profile.type in (FieldType.TIMESTAMP, FieldType.DATE)
    if field.type in (FieldType.DECIMAL, FieldType.INTEGER):
        return profile.type in (FieldType.INTEGER, FieldType.DECIMAL)
    return profile.type is field.type


def _remaining(
    dataset: DatasetContract,
    profiles: Sequence[ColumnProfile],
    fields: dict[str, list[str]],
    sample: Sample,
) -> Iterable[str]:
    yield "say in description.purpose what the file is, and check timeZone and servers.path"
    given = {field: column for column, names in fields.items() for field in names}
    for field in dataset.fields:
        if field.required and not field.derived and field.name not in given:
            yield f"{field.name} is required and nothing feeds it: a column, constant or template"
    key = [given[name] for name in dataset.key if name in given]
    if key and not sample.is_unique(key):
        yield (
            f"the key ({', '.join(dataset.key)}) is not unique by {', '.join(key)}: let another "
            "column or a template of several feed one of its fields"
        )
    for profile in profiles:
        if not fields[profile.name]:
            yield f"column {profile.name!r} is ignored: map it, or declare it personal if it is"
        elif profile.type is FieldType.DATE and dataset.field(fields[profile.name][0]).type is (
            FieldType.TIMESTAMP
        ):
            yield f"{profile.name!r} has no time: if another column has it, use a template of both"
        elif profile.type is FieldType.TIMESTAMP and not profile.options["timezone"]:
            yield f"check the time zone of {profile.name!r}, which is written without an offset"


def _document(
    path: Path,
    sample: Sample,
    profiles: Sequence[ColumnProfile],
    dataset: DatasetContract,
    fields: dict[str, list[str]],
    source: str,
) -> dict[str, Any]:
    contract_id = f"{source}.{dataset.name}"
    custom = {"source": source, "dataset": dataset.name, "timeZone": "Asia/Tokyo"} | sample.custom
    return {
        "apiVersion": "v3.2.0",
        "kind": "DataContract",
        "id": contract_id,
        "name": contract_id,
        "version": "1.0.0",
        "status": "draft",
        "domain": "vending",
        "description": {"purpose": f"Drafted from {path.name}."},
        "servers": [
            {
                "server": "files",
                "type": "local",
                "path": _file_pattern(path.name),
                "format": sample.format,
                "encoding": sample.encoding,
            }
        ],
        "customProperties": _properties(custom),
        "schema": [
            {
                "name": contract_id.replace(".", "_"),
                "logicalType": "object",
                "properties": [
                    _column(profile, fields[profile.name], dataset) for profile in profiles
                ],
            }
        ],
    }


def _column(
    profile: ColumnProfile, fields: Sequence[str], dataset: DatasetContract
) -> dict[str, Any]:
    kinds = {dataset.field(name).type for name in fields}
    column: dict[str, Any] = {"name": profile.name, "logicalType": profile.type.value}
    custom = dict(profile.properties)
    if FieldType.TIMESTAMP in kinds:
        column["logicalType"] = FieldType.TIMESTAMP.value
        has_offset = bool(profile.options.get("timezone"))
        column["logicalTypeOptions"] = {"timezone": has_offset}
        if not has_offset:
            column["logicalTypeOptions"]["defaultTimezone"] = "Asia/Tokyo"
        if profile.type is FieldType.DATE:
            custom.setdefault("formats", ["%Y-%m-%d"])
    if kinds == {FieldType.TEXT}:
        # Text is kept as it is written.
        column["logicalType"] = FieldType.TEXT.value
        custom = {name: value for name, value in custom.items() if name in ("trim", "nullWords")}
    if not fields:
        custom = {"ignored": True}
        column["logicalType"] = FieldType.TEXT.value
    elif list(fields) != [profile.name]:
        custom = {"fields": list(fields)} | custom
    if custom:
        column["customProperties"] = _properties(custom)
    return column


def _properties(values: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"property": name, "value": value} for name, value in values.items()]


def _file_pattern(name: str) -> str:
    """The file's name with its digits left open."""
    return re.sub(r"\d+", r"\\d+", re.escape(name).replace(r"\-", "-"))


if __name__ == "__main__":
    sys.exit(main())
