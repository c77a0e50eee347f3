"""What follows each load, whatever became of it: the snapshot of health shows what is there now."""

from __future__ import annotations

import logging
from collections import defaultdict

from include.lake import Lake, LakeError
from include.quality import metrics
from include.quality.health import update_health
from include.quality.limits import Rejections, quarantine_finding
from include.quality.store import QualityStore, open_store, utc_now
from include.quality.survey import Moment, business_today, survey_loads
from include.settings import Settings
from include.warehouse import WarehouseError

log = logging.getLogger(__name__)

_REJECTED = """
SELECT source_contract, first_reason, COUNT(*)
FROM ops.quarantine WHERE run_id = ?
GROUP BY source_contract, first_reason ORDER BY COUNT(*) DESC, first_reason
"""
_READ = """
SELECT source_contract, SUM(rows_read) FROM ops.load_history WHERE run_id = ?
GROUP BY source_contract ORDER BY source_contract
"""


def report_load(settings: Settings, lake: Lake, run_id: str) -> str | None:
    """Show what is there now; returns what of the run lies in quarantine above the limit.

    Raises nothing that comes of the warehouse or the lake: the load is right all the same.
    """
    try:
        with open_store(settings.warehouse) as store:
            store.ensure_tables()
            moment = Moment(utc_now(), business_today(), metrics.known_history(store))
            parts = survey_loads(store, settings, lake, moment)
            rejections = _rejections(store, run_id)
        update_health(lake, settings.environment.value, parts)
    except (WarehouseError, LakeError) as error:
        log.warning("The snapshot of health is not up to date: %s", error)
        return None
    return quarantine_finding(rejections)


def _rejections(store: QualityStore, run_id: str) -> list[Rejections]:
    reasons: dict[str, dict[str, int]] = defaultdict(dict)
    for contract, reason, rows in store.fetch(_REJECTED, run_id):
        reasons[contract][reason] = int(rows)
    return [
        Rejections(contract, int(rows), reasons[contract])
        for contract, rows in store.fetch(_READ, run_id)
    ]
