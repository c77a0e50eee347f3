"""Tells that a run has not ended within its window: what the triggerer calls at a missed deadline.

It stands alone: on MWAA the triggerer can import plugins and providers, and nothing of dags/.
"""

from __future__ import annotations

from typing import Any


async def tell(*, text: str, slack_connection_id: str, context: Any = None) -> None:
    """Send one sentence to Slack. Raises what the provider raises: Airflow shows it as failed."""
    # Imported here: the DAG processor imports this module to check it, and Slack costs seconds.
    from airflow.providers.slack.notifications.slack_webhook import SlackWebhookNotifier

    notifier = SlackWebhookNotifier(slack_webhook_conn_id=slack_connection_id, text=text)
    await notifier.async_notify(context or {})
