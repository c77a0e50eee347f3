"""The tasks of the DAGs `export_anonymised` and `report_compliance`.

A task's imports stand inside it, because every task process parses its DAG file before it runs.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from airflow.sdk import get_current_context, task
from airflow.sdk.exceptions import AirflowFailException

from include.alerts.callbacks import on_run_success
from include.ingest.tasks import WAREHOUSE_POOL

if TYPE_CHECKING:
    from include.privacy.export import Export

log = logging.getLogger(__name__)


@task(pool=WAREHOUSE_POOL)
def plan_export() -> list[str]:
    """Find the day's loads, once its ingest has ended; one source contract for each mapped task."""
    from include.privacy.anonymise import ExportRules

    params = get_current_context()["params"]
    with _failing_for_good():
        return _export().plan(ExportRules(k=params["k"], shift_days=params["shift_days"]))


@task(map_index_template="{{ contract }}")
def anonymise(source_contract: str) -> None:
    """Make one contract's candidate and look for what would identify a person in it."""
    get_current_context()["contract"] = source_contract
    candidate = _export().anonymise(source_contract)
    log.info(
        "%s: %d rows, %d objections.", source_contract, candidate.rows, len(candidate.objections)
    )


@task(pool=WAREHOUSE_POOL, on_success_callback=on_run_success)
def release() -> None:
    """Deliver all candidates to the staging lake, or none and say why."""
    run = get_current_context()["dag_run"]
    reason = (run.conf or {}).get("reason") or "staging works on anonymised data"
    with _failing_for_good():
        log.info(_export().release(run_id=run.run_id, actor=_actor(run), reason=reason))


@task(pool=WAREHOUSE_POOL, on_success_callback=on_run_success)
def write_report() -> None:
    """Write the month's report to the lake, and its summary to Slack."""
    from include.alerts.formatter import Severity
    from include.alerts.reports import tell_findings
    from include.lake import open_lake
    from include.privacy.compliance import write_compliance_report
    from include.schedules import business_day
    from include.settings import current_settings

    context = get_current_context()
    run, settings = context["dag_run"], current_settings()
    report = write_compliance_report(
        settings, open_lake(settings.lake), business_day(run), run_id=run.run_id, actor=_actor(run)
    )
    tell_findings(context, report.summary, level=Severity.INFO)


def _export() -> Export:
    from include.lake import open_lake
    from include.privacy.export import Export
    from include.schedules import business_day
    from include.settings import current_settings

    settings = current_settings()
    run = get_current_context()["dag_run"]
    return Export(settings, open_lake(settings.lake), business_day(run))


def _actor(run: Any) -> str:
    """The user who started the run; the schedule has none."""
    from include.privacy.audit import SCHEDULE

    return getattr(run, "triggering_user_name", None) or SCHEDULE


@contextmanager
def _failing_for_good() -> Iterator[None]:
    """A refusal stays one however often the task is tried."""
    from include.privacy.export import ExportRefused

    try:
        yield
    except ExportRefused as error:
        raise AirflowFailException(str(error)) from error
