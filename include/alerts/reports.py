"""What is told of a task or a run of which Airflow says that it ended, or which noticed something.

Nothing here ever fails a task.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from include.alerts.callbacks import Context, runbook_of
from include.alerts.formatter import Alert, Outcome, Severity
from include.alerts.impact import Impact, carried, impact_of
from include.alerts.masking import mask
from include.alerts.telling import describe_error, tell, tell_only_recovery
from include.settings import Settings, current_settings

log = logging.getLogger(__name__)

# airflow.models.dagrun gives this reason when a task's failure failed the run.
TASK_FAILURE = "task_failure"
RUN_REASONS = {
    "timed_out": "The run took longer than its time-out and was stopped; look for the task that "
    "hangs, then start a new run.",
    "all_tasks_deadlocked": "No task of the run can start any more; clear the tasks it waits for.",
}


def report_task_failure(context: Context) -> None:
    """Tell that a task failed for good, with what it raised."""
    _tell(_task_failure, context)


def report_run_failure(context: Context) -> None:
    """Tell that a run failed, unless one of its tasks has told it already."""
    if context.get("reason") != TASK_FAILURE:
        _tell(_run_failure, context)


def report_run_success(context: Context) -> None:
    """Tell that a run finished: for the task that ends its DAG when all others have succeeded."""
    _tell(_run_success, context)


def report_recovery(context: Context) -> None:
    """Tell what is over, and no success: for the task that ends a DAG of every few minutes."""
    _tell(_run_success, context, tell_only_recovery)


def tell_findings(
    context: Context,
    sentence: str,
    *,
    level: Severity = Severity.WARNING,
    impact: Impact | None = None,
) -> None:
    """Tell what a task that succeeds has noticed, such as a vendor's new column."""

    def describe(context: Context, settings: Settings) -> Alert:
        alert = _task_alert(context, settings, Outcome.NOTICED, sentence)
        impacted = impact or Impact()
        return replace(alert, level=level, affected=impacted.affected, owners=impacted.owners)

    _tell(describe, context)


def _tell(
    describe: Callable[[Context, Settings], Alert],
    context: Context,
    teller: Callable[[Alert, Settings], None] = tell,
) -> None:
    try:
        settings = current_settings()
        alert = replace(describe(context, settings), happened_at=datetime.now(UTC))
    except Exception as error:
        log.warning("No alert could be made: %s.", describe_error(error))
        return
    teller(alert, settings)


def _task_failure(context: Context, settings: Settings) -> Alert:
    error = context.get("exception")
    alert = _task_alert(context, settings, Outcome.FAILED, _reason(error))
    impact = impact_of(context["ti"].dag_id, error, settings)
    details = tuple(map(mask, carried(error, "details")))
    return replace(alert, affected=impact.affected, owners=impact.owners, details=details)


def _task_alert(context: Context, settings: Settings, outcome: Outcome, sentence: str) -> Alert:
    task_instance = context["ti"]
    return Alert(
        outcome=outcome,
        environment=settings.environment,
        dag_id=task_instance.dag_id,
        run_id=task_instance.run_id,
        subject=_subject(task_instance),
        sentence=sentence,
        log_url=task_instance.log_url,
        runbook=runbook_of(task_instance.dag_id),
    )


def _run_failure(context: Context, settings: Settings) -> Alert:
    reason = str(context.get("reason"))
    sentence = RUN_REASONS.get(reason, f"The run failed ({reason}).")
    return _run_alert(context, settings, Outcome.FAILED, sentence)


def _run_success(context: Context, settings: Settings) -> Alert:
    return _run_alert(context, settings, Outcome.SUCCEEDED, f"The run finished{_took(context)}.")


def _run_alert(context: Context, settings: Settings, outcome: Outcome, sentence: str) -> Alert:
    dag_id = context["dag"].dag_id
    return Alert(
        outcome=outcome,
        environment=settings.environment,
        dag_id=dag_id,
        run_id=context["run_id"],
        subject=None,
        sentence=sentence,
        log_url=None,
        runbook=runbook_of(dag_id),
    )


def _took(context: Context) -> str:
    started: datetime | None = getattr(context.get("dag_run"), "start_date", None)
    return f" in {(datetime.now(UTC) - started).total_seconds():.0f} s" if started else ""


def _subject(task_instance: Any) -> str:
    index = task_instance.map_index
    mapped = index is not None and index >= 0
    return f"{task_instance.task_id}[{index}]" if mapped else task_instance.task_id


def _reason(error: object) -> str:
    if error is None:
        return "The task ended without saying why: it was killed or lost its worker."
    text = mask(str(error)).strip()
    return text or type(error).__name__
