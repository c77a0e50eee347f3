"""The audit, the plan of an export and the compliance report on Snowflake, through the emulator."""

from __future__ import annotations

from datetime import timedelta

from include.contracts import load_catalog
from include.lake import open_lake
from include.privacy.audit import Action, AuditEntry, read_audit, write_audit
from include.privacy.compliance import write_compliance_report
from include.privacy.export import planned_contracts
from include.quality.store import open_store, utc_now
from include.settings import Settings
from include.warehouse import open_warehouse

DETOKENISED = AuditEntry("ann", Action.DETOKENISED, "t1:0123", "ticket 4711")


def test_who_acts_is_kept_and_reported(settings: Settings) -> None:
    lake, today = open_lake(settings.lake), utc_now().date()
    with open_warehouse(settings.warehouse, lake) as warehouse:
        warehouse.ensure_schema(load_catalog().datasets)
    with open_store(settings.warehouse) as store:
        write_audit(store, DETOKENISED)
        acts = read_audit(store, today, today + timedelta(days=1))
        assert DETOKENISED in [act.entry for act in acts]
        assert abs(acts[0].happened_at - utc_now()) < timedelta(minutes=10)
        assert planned_contracts(store, load_catalog(), today) == ()

    report = write_compliance_report(settings, lake, today, run_id="r", actor="ann")

    assert report.summary.endswith(f"Page: {today:%Y-%m}.html in the lake's monitoring/compliance.")
    assert [act.entry.subject for act in report.detokenisations] == ["t1:0123"]
