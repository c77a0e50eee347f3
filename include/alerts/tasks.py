"""The task of the DAG `deliver_alerts`."""

from __future__ import annotations

import logging

from airflow.sdk import task

from include.alerts.callbacks import on_unremarkable_success

log = logging.getLogger(__name__)

# Of one run; what is left then is the next run's.
DELIVERY_SECONDS = 120.0


@task(on_success_callback=on_unremarkable_success)
def deliver() -> None:
    """Tell the events that were stored, and send the messages that are due."""
    from include.alerts.events import tell_stored
    from include.alerts.telling import deliver as send_due
    from include.settings import current_settings

    settings = current_settings()
    told = tell_stored(settings)
    sent = send_due(settings, DELIVERY_SECONDS)
    log.info("%d stored events told, %d waiting messages sent.", told, sent)
