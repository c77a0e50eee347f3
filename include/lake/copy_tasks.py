"""The tasks of the DAG `copy_lake`."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from airflow.sdk import get_current_context, task

from include.alerts.callbacks import on_run_success
from include.lake import LakeError, open_lake
from include.settings import Settings, current_settings

if TYPE_CHECKING:
    from include.lake.copy import LakeCopy

log = logging.getLogger(__name__)

DELETE_EXTRA = "delete_extra"
READ_BACK = "read_back"
# Behind the day's ingest, transform and publication. UTC.
DAILY = "0 10 * * *"


def copy_schedule(settings: Settings) -> str | None:
    """Daily where a copy is configured, else by hand."""
    return None if settings.lake_copy is None else DAILY


@task
def copy_layer(layer: str) -> None:
    """Bring one layer of the copy to what the lake holds."""
    delete_extra = get_current_context()["params"][DELETE_EXTRA]
    log.info("%s", _open(current_settings(), layer).bring(delete_extra=delete_extra))


@task(on_success_callback=on_run_success)
def check_copy() -> None:
    """Fail unless every object of the lake is in the copy as it was copied."""
    from include.lake.copy import CopyDiffersError, Difference, Layer

    context = get_current_context()
    started, read_back = context["dag_run"].start_date, context["params"][READ_BACK]
    wrong = []
    for layer in Layer:
        copy = _open(current_settings(), layer)
        for found in copy.check(before=started, read_back=read_back):
            if found.difference is Difference.EXTRA:
                log.warning("%s: %s; the lake has them no more.", layer, found)
            else:
                wrong.append(f"{layer}: {found}")
    if wrong:
        raise CopyDiffersError(
            f"The copy of the lake differs in {'; '.join(wrong)}; run copy_lake again."
        )


def _open(settings: Settings, layer: str) -> LakeCopy:
    # Imported here: DuckDB and Arrow would be imported whenever the DAG's file is parsed.
    from include.lake.copy import LakeCopy, Layer

    if settings.lake_copy is None:
        raise LakeError(
            "Nothing says where to copy the lake to; set VENDING_LAKE_COPY_CONNECTION and "
            "VENDING_LAKE_COPY_BUCKET (docs/cloudflare.md)."
        )
    return LakeCopy(open_lake(settings.lake), open_lake(settings.lake_copy), Layer(layer))
