"""# Deliver alerts

Sends what people could not be told at once: messages whose channel was down or which waited for the
end of the quiet hours, and events that were only stored, such as missed deadlines.

- **Inputs**: `monitoring/alerts/outbox/` and `monitoring/alerts/events/` in the lake.
- **Outputs**: messages on Slack and SNS; both folders without what was sent.
- **Schedule**: every ten minutes, in every environment.
- **Owner**: data-platform.

## Tasks

`deliver` tells each stored event (one message for each incident, as always), then sends what is
due, oldest first. A channel that fails is left alone until the next run.

## When it fails

Only if the lake cannot be read or written: the task's log says why. A channel that is down is no
failure; its messages stay.

## Rerun safety

May be killed and run again at any time. Killed while it sends, it may send one message twice.
"""

from airflow.sdk import dag

from include.alerts.tasks import deliver
from include.dag_defaults import Impact, Layer, dag_arguments
from include.schedules import DELIVERY


@dag(
    dag_id="deliver_alerts",
    schedule=DELIVERY,
    doc_md=__doc__,
    **dag_arguments(layer=Layer.OPERATIONS, impact=Impact.MEDIUM),
)
def deliver_alerts() -> None:
    deliver()


deliver_alerts()
