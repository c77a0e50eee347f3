"""The tasks of the DAG `transform` beside those of the dbt nodes."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from airflow.sdk import TriggerRule, get_current_context, task
from airflow.sdk.exceptions import AirflowFailException

from include.alerts.callbacks import on_run_success
from include.assets import mart_assets
from include.settings import DuckDBSettings, current_settings
from include.transform.manifest import load_manifest
from include.transform.node_task import BUILD_TASK_ID
from include.transform.verdicts import PROBLEM_KEY, SELECTION_KEY

log = logging.getLogger(__name__)

# Above the tasks that wait for it, which would otherwise take every slot first.
BUILD_PRIORITY = 1_000

WAREHOUSE_POOL = "warehouse"


@task(
    task_id=BUILD_TASK_ID,
    pool=WAREHOUSE_POOL,
    priority_weight=BUILD_PRIORITY,
    weight_rule="absolute",
    on_failure_callback=None,
)
def dbt_build() -> None:
    """Run the selected part of the dbt project once, telling each node's task its verdict."""
    from include.transform.build import EmptySelectionError, run_build
    from include.transform.node_task import run_start, watched_nodes

    context = get_current_context()
    try:
        run_build(
            context["ti"],
            run_start(context["dag_run"]),
            watched_nodes(context["dag"]),
            context["params"]["select"],
        )
    except EmptySelectionError as error:
        raise AirflowFailException(str(error)) from error


@task(trigger_rule=TriggerRule.ALL_DONE, pool=WAREHOUSE_POOL)
def check_results() -> list[str]:
    """Fail unless every selected node ran and passed; keep what dbt and the tables showed.

    Gives the names of the marts that a finding holds back.
    """
    from include.alerts.reports import tell_findings
    from include.lake import open_lake
    from include.metrics import time_models
    from include.quality.after_build import Build, report_build
    from include.transform.artifacts import RunArtifacts
    from include.transform.results import NodesNotPassed, failure_details, require_all_passed

    settings, task_instance = current_settings(), get_current_context()["ti"]
    lake = open_lake(settings.lake)
    artifacts = RunArtifacts(lake, task_instance.run_id)
    artifacts.store_summary(settings.dbt_manifest_path)
    selection = task_instance.xcom_pull(task_ids=BUILD_TASK_ID, key=SELECTION_KEY)
    manifest = load_manifest(settings.dbt_manifest_path)
    build = Build(manifest, selection, artifacts.latest_results(), task_instance.run_id)
    time_models(build.results.values())
    try:
        sentence = require_all_passed(manifest, selection, build.results)
    except NodesNotPassed as error:
        report = report_build(settings, lake, build, passed=False)
        compiled = artifacts.store_compiled(build.results[node] for node in error.nodes)
        error.details = failure_details(error.nodes, report.failing_rows, compiled)
        problem = task_instance.xcom_pull(task_ids=BUILD_TASK_ID, key=PROBLEM_KEY)
        cause = f"{problem} " if problem else ""
        # Looking again changes nothing: the tasks of the nodes have retried already.
        raise AirflowFailException(f"{cause}{error}") from error
    log.info(sentence)
    report = report_build(settings, lake, build, passed=True)
    if report.sentence:
        tell_findings(get_current_context(), report.sentence, level=report.level)
    return list(report.held_back)


@task(pool=WAREHOUSE_POOL, on_success_callback=on_run_success)
def publish_marts(held_back: list[str]) -> None:
    """Replace the readers' copy where the warehouse is a file; its success emits the marts.

    Of a mart that is held back the copy keeps what it had.
    """
    from include.lake import open_lake
    from include.quality.health import iso, update_health

    settings = current_settings()
    warehouse = settings.warehouse
    if isinstance(warehouse, DuckDBSettings):
        from include.transform.snapshot import replace_snapshot

        replace_snapshot(warehouse.path, warehouse.snapshot_path, held_back)
    published = {
        "published_run_id": get_current_context()["run_id"],
        "published_at": iso(datetime.now(UTC)),
    }
    update_health(open_lake(settings.lake), settings.environment.value, published)


def after_all(nodes: Iterable[object], marts: Iterable[str]) -> Any:
    """Check the results of all nodes, and publish the marts if they are right: the last task."""
    checked = check_results()
    for node in nodes:
        node >> checked
    return publish_marts.override(outlets=mart_assets(marts))(checked)
