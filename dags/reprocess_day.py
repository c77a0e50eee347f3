"""# Reprocess a day

Conforms every file with rows of a day, or of a range of days, again from raw. For the day on which
a contract or the code that reads files was mended after files had been loaded.

- **Inputs**: the versions in raw of the current loads with rows of those business days.
- **Outputs**: the raw tables, `ops.load_history`, `ops.quarantine`; an event of each raw asset, so
  `transform` follows in dev. A dry run changes and emits nothing.
- **Schedule**: never by itself: its end date is in the past, which a backfill does not look at.
- **Parameters**: `first_day` and `last_day` (both included; without the last it is one day),
  `source` (a vendor, or a source contract such as `fleet.sales`), `dry_run`, on unless taken off.
- **Owner**: data-platform.

## A day or a range

By hand with the parameters: one run, whose `conform` tasks go two at a time. As a backfill of
Airflow's own, in the UI or with `airflow backfill create --dag-id reprocess_day --from-date
2026-10-01 --to-date 2026-10-05 --max-active-runs 2 --dag-run-conf '{"dry_run": false}'`: one run
for each day, with its own tasks and logs, stopped and repeated day by day. The runs of a backfill
carry partition keys, which start no other DAG: trigger `transform` when the last has ended.

## Tasks

`select_days` checks the day and plans. The rest is as in `replay_quarantine`.

## When it fails

- `select_days`: the day is none, or the range is longer than a year.
- `conform`, `load`, `verify`: as in `replay_quarantine`.

## Rerun safety

Any task, or the whole DAG, may be killed and run again. A load takes the place of the one that it
repeats, so doing a day twice ends with the same rows.
"""

from airflow.sdk import Param, dag

from include.assets import RAW_ASSETS
from include.dag_defaults import START_DATE, Impact, Layer, dag_arguments, leave_params_to_dag
from include.ingest.tasks import conform, load, select_days, verify
from include.schedules import days_of_a_backfill


@dag(
    dag_id="reprocess_day",
    schedule=days_of_a_backfill(),
    end_date=START_DATE,
    doc_md=__doc__,
    params={
        "first_day": Param(None, type=["null", "string"], format="date"),
        "last_day": Param(None, type=["null", "string"], format="date"),
        "source": Param("", type="string", pattern=r"^[a-z0-9_.]*$", maxLength=100),
        "dry_run": Param(True, type="boolean"),
    },
    **dag_arguments(layer=Layer.INGEST, impact=Impact.MEDIUM),
)
def reprocess_day() -> None:
    conformed = conform.override(max_active_tis_per_dag=2).expand(batches=select_days())
    loaded = load()
    verified = verify.override(outlets=list(RAW_ASSETS))()
    conformed >> loaded
    [conformed, loaded] >> verified


leave_params_to_dag(reprocess_day())
