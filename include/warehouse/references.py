"""Whether what a batch refers to is known: judged inside its load, behind the lock row.

Only there is it certain, because the masters may come in the same run or by another. Each engine
gives a function that runs a statement; the statements are the same for both.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from include.contracts import Reference, Severity
from include.contracts.model import UNKNOWN_REFERENCE
from include.ingest.plan import ConformedBatch, RuleWarning
from include.warehouse.base import UnknownReferences
from include.warehouse.ledger import LoadDecision

# From a statement with one place for the load ids to its rows.
Fetch = Callable[[str], list[tuple[Any, ...]]]


def refuse_outdated(batch: ConformedBatch, decision: LoadDecision, sequence: int) -> None:
    """Refuse a batch without the rows of unknown keys if the ledger has moved on since.

    What was unknown may be known now. Raises UnknownReferences.
    """
    if decision.new and batch.judged_seq not in (None, sequence):
        raise UnknownReferences(batch.batch_id, {}, sequence)


def broken_references(
    batch: ConformedBatch, raw_schema: str, load_ids: str, fetch: Fetch, sequence: int
) -> Mapping[int, Sequence[RuleWarning]]:
    """Of each new load the rows, already inserted, whose references are unknown but only warn.

    ``load_ids`` is a subselect of the new loads. Raises UnknownReferences for those that do more.
    """
    warnings: dict[int, list[RuleWarning]] = defaultdict(list)
    unknown: dict[str, tuple[str, ...]] = {}
    for reference in batch.references:
        rows = _unknown_rows(batch.dataset, reference, raw_schema, load_ids)
        if reference.severity is not Severity.WARN:
            keys = fetch(f"SELECT DISTINCT CAST(loaded.{reference.field} AS VARCHAR) {rows}")
            if keys:
                unknown[reference.field] = tuple(sorted(key for (key,) in keys))
            continue
        for load_id, count in fetch(f"SELECT loaded._load_id, COUNT(*) {rows} GROUP BY 1"):
            warning = RuleWarning(field=reference.field, code=UNKNOWN_REFERENCE, rows=count)
            warnings[load_id].append(warning)
    if unknown:
        raise UnknownReferences(batch.batch_id, unknown, sequence)
    return warnings


def _unknown_rows(dataset: str, reference: Reference, raw_schema: str, load_ids: str) -> str:
    return (
        f"FROM {raw_schema}.{dataset} AS loaded "
        f"LEFT JOIN (SELECT DISTINCT _source, {reference.key} AS known_key "
        f"FROM {raw_schema}.{reference.dataset}) AS known "
        f"ON known._source = loaded._source AND known.known_key = loaded.{reference.field} "
        f"WHERE loaded._load_id IN ({load_ids}) "
        f"AND loaded.{reference.field} IS NOT NULL AND known.known_key IS NULL"
    )
