"""The anonymised export of a day: what staging works on in place of prod's own data.

exports/<day>/plan.json                    the loads that the day's export is made of
exports/<day>/<source contract>.jsonl      a candidate, in prod's own lake
exports/<day>/<source contract>.json       what was counted of it, and what is objected to

Nothing leaves before every candidate is made and nothing is objected to any of them; then all of
them go to the staging lake's deliveries. Each step may be killed and run again.
"""

from __future__ import annotations

import shutil
from collections import Counter
from dataclasses import dataclass
from datetime import date, timedelta

from pydantic import BaseModel, ConfigDict

from include.contracts import Catalog, LoadMode, SourceContract, load_catalog
from include.contracts.exported import export_key
from include.ingest.workspace import open_connection
from include.lake import Lake, Zone, open_lake
from include.nights import Night
from include.privacy.anonymise import Anonymiser, ExportRules, person_fields
from include.privacy.audit import Action, AuditEntry, write_audit
from include.privacy.masking_sql import prepare_masking
from include.privacy.pepper import read_pepper
from include.privacy.release_checks import objections
from include.quality.store import QualityStore, open_store
from include.settings import Settings

# The name of a master's file: it is replaced, and a version only if it differs.
CURRENT = "current"


class ExportError(RuntimeError):
    """The export cannot be made now; the message says what is missing."""


class ExportRefused(RuntimeError):
    """The export may not leave; the message says why, without a value."""


class _Document(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class PlannedContract(_Document):
    """The current loads of one source contract: their ledger sequences, and where the rows are.

    ``rejected_rows`` are those of the same files in quarantine, which stay there.
    """

    source_contract: str
    loads: dict[int, int]
    parquet_locations: tuple[str, ...]
    rejected_rows: int


class ExportPlan(_Document):
    k: int
    shift_days: int
    contracts: tuple[PlannedContract, ...]

    @property
    def rules(self) -> ExportRules:
        return ExportRules(k=self.k, shift_days=self.shift_days)

    def contract(self, source_contract: str) -> PlannedContract:
        return next(each for each in self.contracts if each.source_contract == source_contract)


class Candidate(_Document):
    """A file that waits for its release; ``object_key`` is its name in the staging lake."""

    source_contract: str
    object_key: str
    rows: int
    objections: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Export:
    """The export of one business day of a lake."""

    settings: Settings
    lake: Lake
    day: date

    def plan(self, rules: ExportRules) -> list[str]:
        """Find what the day's export is made of; returns the ids of the source contracts.

        Raises ExportError while ingest has not ended, ExportRefused if the pepper is prod's own.
        """
        self._check_peppers()
        if missing := Night(self.lake, self.day).missing_ingest():
            raise ExportError(f"{self.day} cannot be exported yet: {'; '.join(missing)}.")
        for earlier in list(self.lake.list(Zone.EXPORTS.value)):
            self.lake.delete(earlier.key)
        with open_store(self.settings.warehouse) as store:
            contracts = planned_contracts(store, load_catalog(), self.day)
        plan = ExportPlan(k=rules.k, shift_days=rules.shift_days, contracts=contracts)
        self._write("plan", plan)
        return [each.source_contract for each in contracts]

    def anonymise(self, source_contract: str) -> Candidate:
        """Make one contract's candidate, and look at it as whoever receives it could."""
        plan = self._plan()
        planned, catalog = plan.contract(source_contract), load_catalog()
        contract = catalog.source(source_contract)
        with (
            self.lake.scratch() as scratch,
            self.lake.local_paths(planned.parquet_locations) as parquets,
            open_connection(scratch, self.settings.conform) as connection,
        ):
            assert self.settings.export_pepper is not None
            prepare_masking(connection, read_pepper(self.settings.export_pepper))
            maker = Anonymiser(connection, contract, person_fields(catalog), plan.rules)
            maker.read(parquets, planned.loads, self.day if _is_daily(contract) else None)
            path = scratch / "candidate.jsonl"
            rows = maker.anonymise()
            maker.write(path)
            candidate = Candidate(
                source_contract=source_contract,
                object_key=export_key(source_contract, self._name(contract, plan.rules)),
                rows=rows,
                objections=tuple(objections(maker, path)),
            )
            self.lake.put_file(path, self._key(f"{source_contract}.jsonl"))
        self._write(source_contract, candidate)
        return candidate

    def release(self, *, run_id: str, actor: str, reason: str) -> str:
        """Deliver every candidate to the staging lake, or none; returns what was done.

        Raises ExportRefused, after the refusal has been written to the audit table.
        """
        plan = self._plan()
        candidates = [self._candidate(each.source_contract) for each in plan.contracts]
        refusals = [objection for each in candidates for objection in each.objections]
        filled = [each for each in candidates if each.rows]
        outcome = f"Not released: {'; '.join(refusals)}." if refusals else _released(plan, filled)
        action = Action.EXPORT_REFUSED if refusals else Action.EXPORTED
        subject = f"anonymised rows of {self.day} for staging"
        with open_store(self.settings.warehouse) as store:
            write_audit(store, AuditEntry(actor, action, subject, reason, run_id, outcome))
        if refusals:
            raise ExportRefused(outcome)
        self._deliver(filled)
        return outcome

    def _deliver(self, candidates: list[Candidate]) -> None:
        assert self.settings.staging_lake is not None
        staging = open_lake(self.settings.staging_lake)
        for each in candidates:
            key = self._key(f"{each.source_contract}.jsonl")
            with self.lake.local_paths([key]) as [path], staging.scratch() as scratch:
                # A copy, because a lake takes the file that it is given.
                copy = shutil.copyfile(path, scratch / "released.jsonl")
                staging.put_file(copy, staging.key(Zone.SOURCES, each.object_key))

    def _check_peppers(self) -> None:
        settings = self.settings
        if settings.staging_lake is None or settings.export_pepper is None:
            raise ExportRefused(f"{settings.environment} exports nothing; only prod does.")
        if read_pepper(settings.export_pepper).secret == read_pepper(settings.pepper).secret:
            raise ExportRefused(
                "The pepper of exports is that of the warehouse; put another into its connection, "
                "or whoever has the one can tell who is meant in the other."
            )

    def _name(self, contract: SourceContract, rules: ExportRules) -> str:
        if not _is_daily(contract):
            return CURRENT
        return (self.day + timedelta(days=rules.shift_days)).isoformat()

    def _plan(self) -> ExportPlan:
        return ExportPlan.model_validate_json(self.lake.read_bytes(self._key("plan.json")))

    def _candidate(self, source_contract: str) -> Candidate:
        key = self._key(f"{source_contract}.json")
        if not self.lake.exists(key):
            raise ExportError(f"{source_contract} has not been anonymised; clear its task first.")
        return Candidate.model_validate_json(self.lake.read_bytes(key))

    def _write(self, name: str, document: _Document) -> None:
        self.lake.write_bytes(self._key(f"{name}.json"), document.model_dump_json().encode())

    def _key(self, name: str) -> str:
        return self.lake.key(Zone.EXPORTS, self.day.isoformat(), name)


def _released(plan: ExportPlan, candidates: list[Candidate]) -> str:
    rows = sum(each.rows for each in candidates)
    rejected = sum(each.rejected_rows for each in plan.contracts)
    return (
        f"{len(candidates)} files with {rows} rows, k of {plan.k}, dates shifted by "
        f"{plan.shift_days} days; {rejected} rejected rows stay in quarantine."
    )


def planned_contracts(
    store: QualityStore, catalog: Catalog, day: date
) -> tuple[PlannedContract, ...]:
    """The current loads with rows of the day, and all of the masters'."""
    rows = store.fetch(
        "SELECT source_contract, load_id, loaded_seq, parquet_location, rows_quarantined, "
        "business_date_from <= CAST(? AS DATE) AND business_date_to >= CAST(? AS DATE) "
        "FROM ops.load_history "
        "WHERE is_current AND rows_conformed > 0 AND parquet_location IS NOT NULL",
        day,
        day,
    )
    loads: dict[str, dict[int, int]] = {}
    locations: dict[str, set[str]] = {}
    rejected: Counter[str] = Counter()
    exportable = {contract.id: contract for contract in catalog.sources}
    for source_contract, load_id, sequence, location, rows_rejected, has_day in rows:
        contract = exportable.get(source_contract)
        if contract is not None and (has_day or not _is_daily(contract)):
            loads.setdefault(source_contract, {})[int(load_id)] = int(sequence)
            locations.setdefault(source_contract, set()).add(location)
            rejected[source_contract] += int(rows_rejected)
    return tuple(
        PlannedContract(
            source_contract=name,
            loads=loads[name],
            parquet_locations=tuple(sorted(locations[name])),
            rejected_rows=rejected[name],
        )
        for name in sorted(loads)
    )


def _is_daily(contract: SourceContract) -> bool:
    """Whether the rows are events of a day; a master is exported as it is now."""
    return contract.dataset.load_mode is LoadMode.REPLACE
