"""The pipeline's own metrics, beside Airflow's and by the same configuration (docs/metrics.md).

Airflow's section `[metrics]` says whether and how they are sent: StatsD, OpenTelemetry, or, as
without it, nowhere. Sending never fails a task.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

from airflow.providers.common.compat.sdk import Stats

if TYPE_CHECKING:
    from include.ingest.plan import ConformedBatch, LoadReport
    from include.publish.outcome import Outcome
    from include.transform.artifacts import NodeResult

MODEL = "model."


class Counter(StrEnum):
    """What is added up. Rows and bytes of a task that is run again count again."""

    FILES_CONFORMED = "vending.files_conformed"
    BYTES_READ = "vending.bytes_read"
    ROWS_READ = "vending.rows_read"
    ROWS_CONFORMED = "vending.rows_conformed"
    ROWS_QUARANTINED = "vending.rows_quarantined"
    ROWS_DUPLICATE = "vending.rows_duplicate"
    ROWS_LOADED = "vending.rows_loaded"
    ROWS_RETIRED = "vending.rows_retired"
    ROWS_SENT = "vending.rows_sent"
    ROWS_DELETED = "vending.rows_deleted"
    WRITES = "vending.writes"


class Timer(StrEnum):
    """What takes time, sent in milliseconds."""

    MODEL = "vending.model_duration"


def count_conformed(batches: Iterable[ConformedBatch]) -> None:
    """Of each source contract: what was read, and where the rows went."""
    for batch in batches:
        tags = {"source_contract": batch.source_contract}
        files = batch.files
        _count(Counter.FILES_CONFORMED, len(files), tags)
        _count(Counter.BYTES_READ, sum(file.landed.size_bytes for file in files), tags)
        _count(Counter.ROWS_READ, sum(file.rows_read for file in files), tags)
        _count(Counter.ROWS_CONFORMED, sum(file.rows_conformed for file in files), tags)
        _count(Counter.ROWS_QUARANTINED, sum(file.rows_quarantined for file in files), tags)
        _count(Counter.ROWS_DUPLICATE, sum(file.rows_duplicate for file in files), tags)


def count_loaded(report: LoadReport) -> None:
    """Of each source contract: the rows that came to the raw tables and that left them."""
    for batch in report.batches:
        tags = {"source_contract": batch.source_contract}
        _count(Counter.ROWS_LOADED, batch.rows_loaded, tags)
        _count(Counter.ROWS_RETIRED, batch.rows_retired, tags)


def time_models(results: Iterable[NodeResult]) -> None:
    """How long dbt took for each model."""
    for result in results:
        if result.unique_id.startswith(MODEL) and result.seconds is not None:
            tags = {"model": result.unique_id.rpartition(".")[2]}
            Stats.timing(Timer.MODEL.value, timedelta(seconds=result.seconds), tags=tags)


def count_published(outcome: Outcome) -> None:
    """Of each mart and sink: the rows that changed, and what the service counted as writes."""
    tags = {"mart": outcome.mart, "sink": outcome.sink.value}
    _count(Counter.ROWS_SENT, outcome.upserted, tags)
    _count(Counter.ROWS_DELETED, outcome.deleted, tags)
    _count(Counter.WRITES, outcome.written, tags)


def _count(counter: Counter, value: int, tags: dict[str, str]) -> None:
    Stats.incr(counter.value, value, tags=tags)
