"""What a contract says of a file as a whole, once its rows are judged.

A rule can fail the file, and so can too many rejected rows; a rule that only warns is counted; a
column whose values are mostly of another type has been retyped.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from include.contracts import FieldType, JsonFormat, Severity, SourceContract
from include.contracts.profile import guess_type
from include.ingest.drift import header_drift, object_drift, retyped
from include.ingest.json_fields import absent_fields
from include.ingest.plan import ColumnDrift, PersonalFinding, RuleWarning
from include.ingest.reasons import Reason, ReasonCode
from include.ingest.spelling import literal
from include.ingest.workspace import RawFile, Workspace
from include.privacy.findings import count_in_quarantine, count_in_rows

_RETYPED_CODES = frozenset({ReasonCode.INVALID_VALUE.value, ReasonCode.TOO_PRECISE.value})
# Fewer bad values than this are mistakes, not another type.
_LEAST_RETYPED = 3
_SAMPLE = 100
_REASONS_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Rejections:
    """Of each load the rejected rows, and how many of them have which code and field."""

    rows: Mapping[int, int]
    reasons: Mapping[int, Mapping[tuple[str, str | None], int]]


def count_rejections(work: Workspace) -> Rejections:
    """The rows in the table ``rejected``, files that are in it as a whole left out."""
    rows = dict(
        work.rows("SELECT load_id, count(*) FROM rejected WHERE line_number IS NOT NULL GROUP BY 1")
    )
    reasons: dict[int, dict[tuple[str, str | None], int]] = defaultdict(dict)
    if rows:
        for load_id, code, field, count in work.rows(
            "SELECT load_id, reason->>'code', reason->>'field', count(*) "
            "FROM (SELECT load_id, unnest(CAST(CAST(reasons AS JSON) AS JSON[])) AS reason "
            "FROM rejected WHERE line_number IS NOT NULL) GROUP BY ALL ORDER BY ALL"
        ):
            reasons[load_id][code, field] = count
    return Rejections(rows, reasons)


def refusals(
    contract: SourceContract, rejections: Rejections, read: Mapping[int, int]
) -> Iterator[tuple[int, Reason]]:
    """The loads that are to be quarantined whole, each with why."""
    failing = {
        (code, mapping.field.name)
        for mapping in contract.mappings
        for code, severity in mapping.severities
        if severity is Severity.FAIL
    }
    most = contract.most_rejected_percent
    for load_id, rejected in rejections.rows.items():
        reasons = rejections.reasons[load_id]
        if broken := [key for key in reasons if key in failing]:
            code, field = broken[0]
            message = f"{reasons[code, field]} rows break a rule that fails the whole file"
            yield load_id, Reason(ReasonCode(code), field, message)
        elif most is not None and rejected * 100 > most * read[load_id]:
            usual = sorted(reasons.items(), key=lambda item: -item[1])[:_REASONS_SHOWN]
            shown = ", ".join(f"{field or 'line'} {code} {n}" for (code, field), n in usual)
            message = (
                f"{rejected} of {read[load_id]} rows are rejected, more than {most} %: {shown}"
            )
            yield load_id, Reason(ReasonCode.TOO_MANY_REJECTED, None, message)


def drift(
    work: Workspace,
    files: Sequence[RawFile],
    headers: Mapping[int, tuple[str, ...]],
    rejections: Rejections,
    read: Mapping[int, int],
) -> dict[int, tuple[ColumnDrift, ...]]:
    """In what each load's file differs from the contract; loads that do not are left out."""
    of_header: dict[tuple[str, ...], tuple[ColumnDrift, ...]] = {}
    found: dict[int, tuple[ColumnDrift, ...]] = defaultdict(tuple)
    for load_id, columns in headers.items():
        if columns not in of_header:
            of_header[columns] = header_drift(work.contract, columns)
        found[load_id] += of_header[columns]
    if isinstance(form := work.contract.format, JsonFormat):
        added = _added_fields(work)
        for file in files:
            absent = absent_fields(file, work.contract, form)
            found[file.load_id] += object_drift(work.contract, added[file.load_id], absent)
    for load_id, reasons in rejections.reasons.items():
        found[load_id] += tuple(_retyped(work, load_id, reasons, read[load_id]))
    return {load_id: columns for load_id, columns in found.items() if columns}


def warnings(work: Workspace, parquet: str | None) -> dict[int, tuple[RuleWarning, ...]]:
    """The stored rows of each load that break a rule that only warns."""
    rules = work.expressions.warnings()
    if parquet is None or not rules:
        return {}
    counts = ", ".join(f"count(*) FILTER ({condition})" for _, _, condition in rules)
    return {
        load_id: tuple(
            RuleWarning(field=field, code=code, rows=rows)
            for (field, code, _), rows in zip(rules, broken, strict=True)
            if rows
        )
        for load_id, *broken in work.rows(
            f"SELECT _load_id, {counts} FROM read_parquet({literal(parquet)}) GROUP BY 1"
        )
    }


def count_personal(work: Workspace, parquet: Path | None) -> dict[int, tuple[PersonalFinding, ...]]:
    """What was found in the text of each load's rows, stored and rejected, and masked."""
    queries = [count_in_quarantine("rejected")]
    if parquet is not None:
        stored = f"read_parquet({literal(str(parquet))})"
        queries.append(count_in_rows(work.contract.dataset, stored))
    found: dict[int, tuple[PersonalFinding, ...]] = defaultdict(tuple)
    for load_id, field, kind, matches in work.rows(f"{' UNION ALL '.join(queries)} ORDER BY ALL"):
        found[load_id] += (PersonalFinding(field=field, kind=kind, matches=matches),)
    return found


def _added_fields(work: Workspace) -> defaultdict[int, list[str]]:
    """Of each load the fields of its objects, rejected ones included, that no contract knows."""
    names: defaultdict[int, list[str]] = defaultdict(list)
    for load_id, found in work.rows(
        "SELECT load_id, list(DISTINCT name) FROM ("
        "SELECT _load_id AS load_id, unnest(json_keys(_extra)) AS name FROM exact_rows "
        "WHERE _extra IS NOT NULL UNION ALL "
        "SELECT load_id, unnest(json_keys(record)) FROM rejected WHERE record IS NOT NULL"
        ") GROUP BY load_id"
    ):
        names[load_id] += work.contract.unknown_columns(found)
    return names


def _retyped(
    work: Workspace,
    load_id: int,
    reasons: Mapping[tuple[str, str | None], int],
    rows: int,
) -> Iterator[ColumnDrift]:
    for mapping in work.contract.mappings:
        field = mapping.field
        if field.type is FieldType.TEXT or not mapping.columns:
            continue
        bad = sum(
            n
            for (code, name), n in reasons.items()
            if name == field.name and code in _RETYPED_CODES
        )
        if bad < _LEAST_RETYPED or bad * 2 <= rows:
            continue
        column = mapping.columns[0]
        found = guess_type(_values(work, load_id, column))
        if found is not field.type:
            yield retyped(column, field.type, found)


def _values(work: Workspace, load_id: int, column: str) -> list[str]:
    """Some rejected values of a column; a personal one has none."""
    pointer = "/" + column.replace("~", "~0").replace("/", "~1")
    values = work.rows(
        f"SELECT json_extract_string(record, {literal(pointer)}) FROM rejected "
        f"WHERE load_id = {load_id} AND record IS NOT NULL LIMIT {_SAMPLE}"
    )
    return [value for (value,) in values if value]
