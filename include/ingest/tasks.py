"""The tasks that the ingest DAGs are made of.

Each only finds out its run and settings and calls what does the work. A task's imports stand inside
it, because every task process parses its DAG file, and so imports this module, before it runs.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from airflow.sdk import TriggerRule, task

from include.alerts.callbacks import on_run_success

if TYPE_CHECKING:
    from include.ingest.runs import IngestRun
    from include.warehouse import ReplaySelection

# One slot: only one process may have the DuckDB file open.
WAREHOUSE_POOL = "warehouse"


@task(pool=WAREHOUSE_POOL)
def discover_files() -> list[list[str]]:
    """Compare the files below sources/ with the ledger; plan batches of what is new."""
    from include.ingest import steps
    from include.settings import current_settings

    return steps.discover_files(_current_run(), current_settings())


@task
def fetch(source_contract: str) -> None:
    """Land the new pages of one API in raw; skipped if its Airflow connection does not exist."""
    from airflow.sdk.exceptions import AirflowSkipException

    from include.contracts import load_catalog
    from include.ingest.api import fetch_pages
    from include.ingest.connections import api_access
    from include.lake import open_lake
    from include.settings import current_settings

    access = api_access(source_contract)
    if access is None:
        raise AirflowSkipException(
            f"Nothing to fetch for {source_contract}: its Airflow connection does not exist."
        )
    lake = open_lake(current_settings().lake)
    fetch_pages(lake, load_catalog().source(source_contract), access)


# all_done: an API that fails or is not connected must not hold back the pages of another.
@task(pool=WAREHOUSE_POOL, trigger_rule=TriggerRule.ALL_DONE)
def discover_pages() -> list[list[str]]:
    """Compare the API pages in raw with the ledger; plan batches of what is not loaded."""
    from include.ingest import steps
    from include.settings import current_settings

    return steps.discover_pages(_current_run(), current_settings())


@task(pool=WAREHOUSE_POOL)
def select_rejected() -> list[list[str]]:
    """Plan to conform again the files with rejected rows that the run's parameters name."""
    from airflow.sdk import get_current_context

    from include.contracts import load_catalog
    from include.ingest.replay import rejected_rows

    params = get_current_context()["params"]
    with _failing_for_good():
        selection = rejected_rows(
            load_catalog(),
            source=params["source"],
            object_key=params["file"],
            reason=params["reason"],
            contract_version=params["contract_version"],
        )
    return _discover_replay(selection, is_dry_run=params["dry_run"])


@task(pool=WAREHOUSE_POOL)
def select_days() -> list[list[str]]:
    """Plan to conform again the files of the run's day (its partition key, else its parameters)."""
    from airflow.sdk import get_current_context

    from include.contracts import load_catalog
    from include.ingest.replay import whole_days

    context = get_current_context()
    params, partition_key = context["params"], context["dag_run"].partition_key
    with _failing_for_good():
        selection = whole_days(
            load_catalog(),
            first_day=partition_key or params["first_day"] or "",
            last_day="" if partition_key else params["last_day"] or "",
            source=params["source"],
        )
    return _discover_replay(selection, is_dry_run=params["dry_run"])


@task(map_index_template="{{ contracts }}")
def conform(batches: list[str]) -> None:
    """Land batches of files in raw and make typed Parquet and quarantine of them."""
    from airflow.sdk import get_current_context

    from include.ingest import steps
    from include.ingest.runs import contract_of
    from include.lineage.telling import tell_conformed
    from include.metrics import count_conformed
    from include.settings import current_settings

    context = get_current_context()
    # What the UI shows for the mapped task; Airflow's column for it is short.
    context["contracts"] = ", ".join(contract_of(key) for key in batches)[:200]
    conformed = steps.conform(_current_run(), current_settings(), batches)
    count_conformed(conformed)
    tell_conformed(context["ti"], conformed)


# all_done: what was conformed is loaded although another batch failed; verify does not run then.
@task(pool=WAREHOUSE_POOL, trigger_rule=TriggerRule.ALL_DONE)
def load() -> None:
    """Publish each conformed batch in one transaction."""
    from airflow.sdk import get_current_context
    from airflow.sdk.exceptions import AirflowSkipException

    from include.alerts.reports import tell_findings
    from include.ingest import steps
    from include.lineage.telling import tell_loaded
    from include.metrics import count_loaded
    from include.quality.after_load import report_load
    from include.settings import current_settings

    run, settings = _current_run(), current_settings()
    try:
        report = steps.load(run, settings)
    finally:
        if sentence := report_load(settings, run.lake, run.run_id):
            tell_findings(get_current_context(), sentence)
    if report is None:
        raise AirflowSkipException("Nothing to load: there is no plan, or it is for a dry run.")
    count_loaded(report)
    tell_loaded(get_current_context()["ti"], report)


# none_failed: with nothing new, conform is skipped, and the assets are due all the same.
@task(
    pool=WAREHOUSE_POOL,
    trigger_rule=TriggerRule.NONE_FAILED,
    on_success_callback=on_run_success,
)
def verify() -> dict[str, object]:
    """Check that every row read was loaded, quarantined or skipped as a duplicate; sum up."""
    from airflow.sdk import get_current_context
    from airflow.sdk.exceptions import AirflowSkipException

    from include.alerts.reports import tell_findings
    from include.ingest import steps
    from include.ingest.verify import findings
    from include.nights import mark_ingested
    from include.settings import current_settings

    run = _current_run()
    summary = steps.verify_run(run, current_settings())
    if summary is None:
        raise AirflowSkipException("Nothing to verify: this was a dry run.")
    mark_ingested(run.lake, get_current_context()["dag_run"])
    if sentence := findings(summary):
        tell_findings(get_current_context(), sentence)
    return summary.model_dump()


@contextmanager
def _failing_for_good() -> Iterator[None]:
    """Parameters that make no sense make none at the next try either."""
    from airflow.sdk.exceptions import AirflowFailException

    from include.ingest.replay import ReplayError

    try:
        yield
    except ReplayError as error:
        raise AirflowFailException(str(error)) from error


def _discover_replay(selection: ReplaySelection, *, is_dry_run: bool) -> list[list[str]]:
    from include.ingest import steps
    from include.settings import current_settings

    return steps.discover_replay(
        _current_run(), current_settings(), selection, is_dry_run=is_dry_run
    )


def _current_run() -> IngestRun:
    from airflow.sdk import get_current_context

    from include.ingest.runs import IngestRun
    from include.lake import open_lake
    from include.settings import current_settings

    run = get_current_context()["dag_run"]
    return IngestRun(open_lake(current_settings().lake), run.dag_id, run.run_id)
