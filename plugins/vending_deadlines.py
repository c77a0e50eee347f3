"""Keeps that a run has not ended within its window: what the triggerer calls at a missed deadline.

It stores an event in the lake and no more; the DAG `deliver_alerts` tells it like everything else
(include/alerts/events.py). It stands alone: on MWAA the triggerer can import plugins and providers,
and nothing of dags/.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit


async def keep(
    *,
    place: str,
    connection_id: str,
    attributes: dict[str, str],
    event: dict[str, str],
    context: Any = None,
) -> None:
    """Store an event below ``place``, as in s3://bucket/folder. Raises what botocore raises.

    ``attributes`` go with the object; ``event`` is completed by the run and the time.
    """
    run_id = ((context or {}).get("dag_run") or {}).get("dag_run_id", "")
    document = event | {"run_id": run_id, "happened_at": datetime.now(UTC).isoformat()}
    # A triggerer that is restarted calls again: the same name, so the same event.
    digest = hashlib.sha256("\0".join((*event.values(), run_id)).encode()).hexdigest()
    name = f"{place}/{digest[:20]}.json"
    await asyncio.to_thread(_put, name, json.dumps(document).encode(), connection_id, attributes)


def _put(place: str, content: bytes, connection_id: str, attributes: dict[str, str]) -> None:
    # Imported here: the DAG processor imports this module to check it, and the provider costs a
    # second.
    from airflow.providers.amazon.aws.hooks.base_aws import AwsBaseHook

    url = urlsplit(place)
    client = AwsBaseHook(aws_conn_id=connection_id, client_type="s3").get_conn()
    client.put_object(Bucket=url.netloc, Key=url.path.lstrip("/"), Body=content, **attributes)
