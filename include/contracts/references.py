"""References between datasets: checked when the contracts are read, judged at each load."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from include.contracts.model import (
    UNKNOWN_REFERENCE,
    Catalog,
    ContractError,
    Reference,
    Severity,
    SourceContract,
)


def with_references(catalog: Catalog) -> Catalog:
    """The catalog with each source contract's references to datasets that its vendor feeds.

    A vendor without masters could only break them. Raises ContractError for a reference that leads
    nowhere or in a circle, or a severity of one that cannot be judged.
    """
    _check_targets(catalog)
    # A circle is told here, and not when a run first loads.
    _ = catalog.loading_order
    sources = (
        replace(source, references=tuple(_references(source, catalog)))
        for source in catalog.sources
    )
    return replace(catalog, sources=tuple(sources))


def _check_targets(catalog: Catalog) -> None:
    stored = {
        f"{dataset.name}.{field.name}" for dataset in catalog.datasets for field in dataset.fields
    }
    for dataset in catalog.datasets:
        for field in dataset.fields:
            if field.reference is not None and field.reference not in stored:
                raise ContractError(
                    f"{dataset.name}.yaml: {field.name}.relationships leads to {field.reference}, "
                    "which is no stored field of a dataset; correct it."
                )


def _references(contract: SourceContract, catalog: Catalog) -> Iterator[Reference]:
    fed = {other.dataset.name for other in catalog.sources if other.source == contract.source}
    for mapping in contract.mappings:
        field = mapping.field
        if field.reference is None or field.is_personal or not mapping.is_mapped:
            continue
        severities = dict(mapping.severities)
        dataset, _, key = field.reference.partition(".")
        if dataset in fed:
            severity = severities.get(UNKNOWN_REFERENCE, Severity.WARN)
            yield Reference(field.name, dataset, key, severity)
        elif UNKNOWN_REFERENCE in severities:
            raise ContractError(
                f"{contract.id}.yaml: severity.{field.name}.{UNKNOWN_REFERENCE} needs a contract "
                f"{contract.source}.{dataset}, which says what is known."
            )
