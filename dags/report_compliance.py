"""# Report compliance

Writes the month's report on personal data, for whoever answers to GDPR, CCPA or Japan's APPI: what
is held, where and for how long, what the search of free text found, what was exported, and whose
tokens were opened.

- **Inputs**: the contracts, `ops.load_history`, `ops.pii_findings`, `ops.privacy_audit`.
- **Outputs**: `monitoring/compliance/<month>.html` in the lake, a summary in Slack, a row of
  `ops.privacy_audit`.
- **Schedule**: prod: on the first of a month, 08:00 UTC, for the month before. Elsewhere by hand.
- **Owner**: data-platform.

## Tasks

`write_report` does all of it. The report is of the month of the run's day; a run by hand takes the
day that it is given as partition key, else the day before it was started.

## When it fails

- The warehouse or the lake cannot be reached: the sentence says which; clear the task.

## Rerun safety

It may be run again at any time; the page is replaced by one of the same month.
"""

from airflow.sdk import dag

from include.dag_defaults import Impact, Layer, dag_arguments
from include.privacy.tasks import write_report
from include.schedules import compliance_schedule


@dag(
    dag_id="report_compliance",
    schedule=compliance_schedule(),
    doc_md=__doc__,
    **dag_arguments(layer=Layer.OPERATIONS, impact=Impact.LOW),
)
def report_compliance() -> None:
    write_report()


report_compliance()
