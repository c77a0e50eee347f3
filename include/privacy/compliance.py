"""The monthly report on personal data: a page in the lake, and a summary for Slack.

It counts and names; it holds no value. What it answers of which law stands in the page itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from include.contracts import Catalog, load_catalog
from include.contracts.model import Column
from include.contracts.raw_tables import LOAD_HISTORY, PII_FINDINGS
from include.lake import Lake, Zone
from include.privacy.audit import Action, AuditedAct, AuditEntry, read_audit, write_audit
from include.privacy.retention import PLACES, Place
from include.quality.store import QualityStore, open_store
from include.settings import Settings

TEMPLATE = "compliance.html.j2"


@dataclass(frozen=True, slots=True)
class MaskedField:
    """A field whose values are personal or may be, and what is stored in their place."""

    dataset: str
    name: str
    description: str
    classification: str
    masking: str


@dataclass(frozen=True, slots=True)
class HeldData:
    """What current loads hold of one dataset of one source. ``since`` is when it landed first."""

    source: str
    dataset: str
    files: int
    rows: int
    rejected: int
    since: datetime


@dataclass(frozen=True, slots=True)
class FoundKind:
    """How often the search found one kind of personal data in one field, in the month."""

    source: str
    dataset: str
    field: str
    kind: str
    matches: int


@dataclass(frozen=True, slots=True)
class ComplianceReport:
    """The report of one month: from ``first`` up to and without ``end``, in UTC."""

    environment: str
    first: date
    end: date
    written_at: datetime
    fields: tuple[MaskedField, ...]
    held: tuple[HeldData, ...]
    places: tuple[Place, ...]
    found: tuple[FoundKind, ...]
    acts: tuple[AuditedAct, ...]

    @property
    def month(self) -> str:
        return f"{self.first:%Y-%m}"

    def acts_of(self, action: Action) -> list[AuditedAct]:
        return [act for act in self.acts if act.entry.action is action]

    @property
    def exports(self) -> list[AuditedAct]:
        return self.acts_of(Action.EXPORTED)

    @property
    def refused_exports(self) -> list[AuditedAct]:
        return self.acts_of(Action.EXPORT_REFUSED)

    @property
    def detokenisations(self) -> list[AuditedAct]:
        return self.acts_of(Action.DETOKENISED)

    @property
    def summary(self) -> str:
        """The report in a few sentences, for Slack."""
        return (
            f"Personal data in {self.month}: {len(self.fields)} fields are masked, "
            f"{sum(each.rows for each in self.held)} rows of "
            f"{len({each.dataset for each in self.held})} datasets are held. "
            f"Found in text and masked: {sum(each.matches for each in self.found)}. "
            f"Exports: {len(self.exports)}, refused: {len(self.refused_exports)}. "
            f"Tokens opened: {len(self.detokenisations)}. "
            f"Page: {report_name(self.first)} in the lake's monitoring/compliance."
        )


def write_compliance_report(
    settings: Settings, lake: Lake, day: date, *, run_id: str, actor: str
) -> ComplianceReport:
    """Write the report of a day's month; one of the same month is replaced.

    Raises WarehouseError and LakeError.
    """
    first = day.replace(day=1)
    end = (first + timedelta(days=31)).replace(day=1)
    entry = AuditEntry(actor, Action.REPORTED, f"{first:%Y-%m}", "the monthly report", run_id)
    with open_store(settings.warehouse) as store:
        write_audit(store, entry)
        report = _gather(settings, store, load_catalog(), first, end)
    key = lake.key(Zone.MONITORING, "compliance", report_name(first))
    lake.write_bytes(key, render(report).encode())
    return report


def report_name(first: date) -> str:
    return f"{first:%Y-%m}.html"


def render(report: ComplianceReport) -> str:
    """The report as one page of HTML that loads nothing from anywhere."""
    from jinja2 import Environment, PackageLoader

    environment = Environment(loader=PackageLoader("include.privacy"), autoescape=True)
    return environment.get_template(TEMPLATE).render(report=report)


def _gather(
    settings: Settings, store: QualityStore, catalog: Catalog, first: date, end: date
) -> ComplianceReport:
    store.ensure_tables((LOAD_HISTORY, PII_FINDINGS))
    return ComplianceReport(
        environment=settings.environment.value,
        first=first,
        end=end,
        written_at=datetime.now(UTC),
        fields=tuple(_masked_fields(catalog)),
        held=tuple(_held(store)),
        places=PLACES,
        found=tuple(_found(store, first, end)),
        acts=tuple(read_audit(store, first, end)),
    )


def _masked_fields(catalog: Catalog) -> list[MaskedField]:
    return [
        _masked_field(dataset.name, column)
        for dataset in catalog.datasets
        for column in dataset.raw_columns
        if column.masking
    ]


def _masked_field(dataset: str, column: Column) -> MaskedField:
    assert column.masking is not None
    return MaskedField(
        dataset=dataset,
        name=column.name,
        description=column.description,
        classification=column.classification.value if column.classification else "unclassified",
        masking=column.masking.strategy.value,
    )


def _held(store: QualityStore) -> list[HeldData]:
    rows = store.fetch(
        "SELECT source, dataset, COUNT(*), SUM(rows_conformed), SUM(rows_quarantined), "
        "MIN(landed_at) FROM ops.load_history WHERE is_current "
        "GROUP BY source, dataset ORDER BY source, dataset"
    )
    return [
        HeldData(source, dataset, int(files), int(held), int(rejected), since)
        for source, dataset, files, held, rejected, since in rows
    ]


def _found(store: QualityStore, first: date, end: date) -> list[FoundKind]:
    rows = store.fetch(
        "SELECT source, dataset, field, kind, SUM(matches) FROM ops.pii_findings "
        "WHERE found_at >= CAST(? AS DATE) AND found_at < CAST(? AS DATE) "
        "GROUP BY source, dataset, field, kind ORDER BY source, dataset, field, kind",
        first,
        end,
    )
    return [FoundKind(*names, int(matches)) for *names, matches in rows]
