"""# Export anonymised

Makes staging's data from prod's: the rows of a business day, masked again with another pepper, and
delivers them to the staging lake, whose next ingest reads them. Nothing leaves before it was looked
at as whoever receives it could.

- **Inputs**: the conformed rows of the day's current loads, and those of every master; the Airflow
  connections of the pepper, the export's pepper and the staging lake.
- **Outputs**: `sources/anonymised/<contract>.anonymised/<day>.jsonl` in the staging lake, for a
  master `current.jsonl`; a row of `ops.privacy_audit`.
- **Schedule**: prod: daily 06:30 UTC, when the night is over. Elsewhere by hand, and refused.
- **Parameters**: `k`, how many persons share each combination of quasi-identifiers; `shift_days`,
  by which every date moves: by one, because staging's night is prod's next. A run by hand may give
  a `reason` in its configuration, which the audit keeps.
- **Owner**: data-platform.

## Tasks

`plan_export` waits for the day's ingest (by its retries) and finds the loads in the ledger.
`anonymise` makes one contract's candidate in prod's lake, below `exports/`, and looks for groups of
fewer than `k` persons, for values that the warehouse has too, and for personal data in text.
`release` delivers all candidates or none.

## When it fails

- *cannot be exported yet*: `ingest_files` or `ingest_apis` of the day has not ended.
- *Not released*: the sentence names the field and the rule. Mend the contract, never the check.
- *The pepper of exports is that of the warehouse*: the connections hold the same secret.
- *exports nothing*: this is not prod.

## Rerun safety

Any task, or the whole DAG, may be killed and run again; a file that is delivered again replaces
itself. A day is exported again by a run with that day as partition key, as when rows came late.
"""

from airflow.sdk import Param, dag

from include.dag_defaults import Impact, Layer, dag_arguments, leave_params_to_dag
from include.privacy.tasks import anonymise, plan_export, release
from include.schedules import export_schedule


@dag(
    dag_id="export_anonymised",
    schedule=export_schedule(),
    doc_md=__doc__,
    params={
        "k": Param(5, type="integer", minimum=2, maximum=1000),
        "shift_days": Param(1, type="integer", minimum=0, maximum=3650),
    },
    **dag_arguments(layer=Layer.PUBLISH, impact=Impact.MEDIUM),
)
def export_anonymised() -> None:
    anonymise.override(max_active_tis_per_dag=2).expand(source_contract=plan_export()) >> release()


leave_params_to_dag(export_anonymised())
