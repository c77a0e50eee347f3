"""# Transform

Builds the dbt project: staging, intermediate, marts, and every data test in between.

- **Inputs**: the schemas `raw` and `ops`, which the ingest DAGs write.
- **Outputs**: the schemas `staging`, `intermediate`, `marts`; an event of each mart's asset; dbt's
  artifacts below `dbt-artifacts/<run>/` in the lake; in dev the readers' copy of the warehouse,
  `snapshot/vending.duckdb`.
- **Schedule**: in dev when every raw asset has a new event, so once for one run of both ingest
  DAGs; daily in staging and prod, for the day before (the partition key).
- **Parameter** `select`: dbt's selection syntax, for a run by hand of a part of the project, as in
  `fct_sales+` or `path:models/marts`. What is not selected is skipped.
- **Parameter** `override_reason`: in prod, why the run need not wait for staging; it is recorded.
- **Owner**: data-platform.

## Tasks

In staging and prod `wait_for_deployment` waits until its worker has all of the code that was
deployed; then `wait_for_ingest` waits an hour at most until both ingest DAGs have ended for the
day and every vendor that delivered in the last week has sent about as many files of it; in prod
`wait_for_staging` until staging has verified the same code on that day, which its `mark_verified`
notes.

`dbt_build` runs `dbt build` once. Every model has a task, and so have the tests of a model, of a
source, and (as `gates`) each test over several models; these follow the build and show their own
part of its log. Nothing runs behind a test that failed. `check_results` compares what dbt ran with
the manifest, keeps the artifacts, and tells all failures of the run in one alert. `publish_marts`
replaces the readers' copy and emits the marts.

## When it fails

- `wait_for_ingest`, `wait_for_staging`: the message says what is missing. Mend that, then clear the
  task; it looks once more. To run prod without staging, fail the run and start one by hand with
  the same partition key and `override_reason`.
- **A model or a test**: its task's log ends with dbt's message and the statement. It is retried
  alone. After mending the cause, clear the task with what is downstream of it: each of them then
  runs dbt for its own node.
- `dbt_build`: dbt could not run, or was killed. It is retried and builds everything again; the
  other tasks wait for it. If it fails for good, they run their nodes one by one.
- `check_results`: its message names the tests that failed with their failing rows, and the nodes
  that never ran. Clear those.
- `publish_marts`: the disk is full. The copy of before stays; free space and clear the task.
- The DAG cannot be imported for want of a manifest: run `make manifest`.

## Rerun safety

Any task, or the whole DAG, may be killed, cleared and run again at any time. Models are rebuilt
from the raw tables, or continue by the ledger's sequence; marts are published only when everything
passed.
"""

from airflow.sdk import Param

from include.dag_defaults import Layer, dag_arguments
from include.schedules import TRANSFORM_WINDOWS, deadlines, transform_schedule
from include.settings import current_settings
from include.transform.dag import transform_dag

settings = current_settings()

transform = transform_dag(
    settings,
    dag_id="transform",
    schedule=transform_schedule(settings),
    deadline=deadlines("transform", TRANSFORM_WINDOWS, settings),
    params={
        "select": Param("", type="string", title="dbt selection; empty builds everything"),
        "override_reason": Param("", type="string", title="prod: why not to wait for staging"),
    },
    doc_md=__doc__,
    **dag_arguments(layer=Layer.TRANSFORM),
)
