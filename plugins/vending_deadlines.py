"""Keeps that a part of a run is late: what the triggerer calls when the window of the part ends.

It stores an event in the lake and no more; the DAG `deliver_alerts` tells it like everything else
(include/alerts/events.py). It stands alone: on MWAA the triggerer can import plugins and providers,
and nothing of dags/.
"""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from asgiref.sync import sync_to_async

# Nothing more will come of a task in one of these states; that it failed is told where it failed.
OVER = frozenset({"success", "failed", "skipped", "upstream_failed", "removed"})


async def keep_if_late(
    *,
    place: str,
    connection_id: str,
    attributes: dict[str, str],
    event: dict[str, str],
    task_group: str | None,
    context: dict[str, Any],
) -> None:
    """Store an event below ``place``, as in s3://bucket/folder, if tasks of a group have not ended.

    Without a group it is about all tasks of the run. ``attributes`` go with the object; ``event``
    is completed by the run, the time and the tasks. A backfill is never late: its runs are all
    queued at once. Raises what Airflow or botocore raises.
    """
    run = context["dag_run"]
    if run["run_type"] == "backfill" or run["state"] in OVER:
        return
    run_id = run["dag_run_id"]
    unfinished = await sync_to_async(_unfinished_tasks)(run["dag_id"], run_id, task_group)
    if not unfinished:
        return
    document = event | {
        "run_id": run_id,
        "happened_at": datetime.now(UTC).isoformat(),
        "sentence": f"{event['sentence']} They are {len(unfinished)}, '{unfinished[0]}' first.",
    }
    # A triggerer that is restarted calls again: the same name, so the same event.
    digest = hashlib.sha256("\0".join((*event.values(), run_id)).encode()).hexdigest()
    name = f"{place}/{digest[:20]}.json"
    await sync_to_async(_put)(name, json.dumps(document).encode(), connection_id, attributes)


def _unfinished_tasks(dag_id: str, run_id: str, task_group: str | None) -> list[str]:
    from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance

    states = RuntimeTaskInstance.get_task_states(
        dag_id=dag_id, task_group_id=task_group, run_ids=[run_id]
    )
    return sorted(task for task, state in states.get(run_id, {}).items() if state not in OVER)


def _put(place: str, content: bytes, connection_id: str, attributes: dict[str, str]) -> None:
    # Imported here: the DAG processor imports this module to check it, and the provider costs a
    # second.
    from airflow.providers.amazon.aws.hooks.base_aws import AwsBaseHook
    from botocore.config import Config

    url = urlsplit(place)
    hook = AwsBaseHook(aws_conn_id=connection_id, client_type="s3")
    # R2 refuses the checksums that boto3 sends unasked; S3 needs none.
    config = Config(request_checksum_calculation="when_required")
    client = hook.get_client_type(config=config.merge(hook.config))
    client.put_object(Bucket=url.netloc, Key=url.path.lstrip("/"), Body=content, **attributes)
