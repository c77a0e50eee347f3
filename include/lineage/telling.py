"""Tells OpenLineage what a task has read and written.

Nothing here fails a task or delays it by more than seconds, and where Airflow's option
`[openlineage] transport` is not set, nothing is imported or read either.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Thread
from time import monotonic
from typing import TYPE_CHECKING, Any

from airflow.providers.openlineage import conf

from include.contracts import load_catalog
from include.settings import current_settings

if TYPE_CHECKING:
    from include.ingest.plan import ConformedBatch, LoadReport
    from include.lineage.datasets import Step
    from include.lineage.places import Places
    from include.publish.outcome import Outcome
    from include.publish.spec import PublishedMart

log = logging.getLogger(__name__)

# Of one event, and of all events of a task: a transport that takes longer loses the rest.
EVENT_SECONDS = 5.0
TASK_SECONDS = 30.0

Emit = Callable[[], None]


def tell_conformed(task_instance: Any, batches: Sequence[ConformedBatch]) -> None:
    """Tell from which files rows were conformed."""

    def step(places: Places) -> Step:
        from include.lineage.datasets import conformed

        return conformed(places, load_catalog(), batches)

    _tell(partial(_of_task, task_instance, step))


def tell_loaded(task_instance: Any, report: LoadReport) -> None:
    """Tell which raw tables were loaded."""
    rows: dict[str, int] = {}
    for batch in report.batches:
        rows[batch.dataset] = rows.get(batch.dataset, 0) + batch.rows_loaded

    def step(places: Places) -> Step:
        from include.lineage.datasets import loaded

        return loaded(places, load_catalog(), rows)

    _tell(partial(_of_task, task_instance, step))


def tell_published(task_instance: Any, mart: PublishedMart, outcome: Outcome, target: str) -> None:
    """Tell where a mart is published; ``target`` is the database, namespace or catalog."""

    def step(places: Places) -> Step:
        from include.lineage.datasets import sent

        return sent(places, mart, outcome.sink, target, outcome.rows)

    _tell(partial(_of_task, task_instance, step))


def tell_built(task_instance: Any, target_path: Path) -> None:
    """Tell what dbt built, by the artifacts in its target folder."""
    _tell(partial(_of_dbt, task_instance, target_path))


def _tell(describe: Callable[[Places], Iterable[Emit]]) -> None:
    try:
        if conf.is_disabled():
            return
        from include.lineage.places import places_of

        send(list(describe(places_of(current_settings()))))
    except Exception as error:
        log.warning("The lineage of this task could not be told (%s).", type(error).__name__)
        log.debug("Why it could not be told:", exc_info=True)


def _of_task(task_instance: Any, step: Callable[[Places], Step], places: Places) -> Iterable[Emit]:
    from airflow.providers.openlineage.api import emit_dataset_lineage

    done = step(places)
    if done.inputs:
        yield partial(
            emit_dataset_lineage,
            inputs=done.inputs,
            outputs=done.outputs,
            task_instance=task_instance,
        )


def _of_dbt(task_instance: Any, target_path: Path, places: Places) -> Iterable[Emit]:
    from airflow.providers.openlineage.api import emit
    from airflow.providers.openlineage.plugins import macros
    from openlineage.common.provider.dbt.facets import ParentRunMetadata

    from include.lineage.dbt_events import build_events

    parent = ParentRunMetadata(
        run_id=macros.lineage_run_id(task_instance),
        job_name=macros.lineage_job_name(task_instance),
        job_namespace=macros.lineage_job_namespace(),
        root_parent_run_id=macros.lineage_root_run_id(task_instance),
        root_parent_job_name=macros.lineage_root_job_name(task_instance),
        root_parent_job_namespace=macros.lineage_root_job_namespace(task_instance),
    )
    return [partial(emit, event) for event in build_events(places, target_path, parent)]


def send(emits: Sequence[Emit]) -> None:
    """Emit from a thread that this task does not wait for once an event takes too long.

    A transport tries again for half a minute on its own, and a server that answers a byte a second
    never times out.
    """
    done: SimpleQueue[None] = SimpleQueue()

    def work() -> None:
        for emit in emits:
            emit()
            done.put(None)

    # A daemon: the process ends without waiting for it.
    Thread(target=work, name="lineage", daemon=True).start()
    end = monotonic() + TASK_SECONDS
    for number in range(len(emits)):
        try:
            done.get(timeout=max(0.0, min(EVENT_SECONDS, end - monotonic())))
        except Empty:
            log.warning(
                "%d of %d lineage events could not be sent in time; look whether the transport of "
                "[openlineage] in Airflow's configuration answers.",
                len(emits) - number,
                len(emits),
            )
            return
