"""What each step of the pipeline reads and writes, column by column."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from openlineage.client.event_v2 import InputDataset, OutputDataset
from openlineage.client.facet_v2 import (
    base_subset_dataset,
    column_lineage_dataset,
    output_statistics_output_dataset,
    schema_dataset,
)

from include.contracts import Catalog, SourceContract
from include.ingest.plan import ConformedBatch
from include.lineage.places import Place, Places, published
from include.publish.spec import PublishedMart, Sink

# By column the columns of other places that it is made of.
Parents = Mapping[str, Sequence[tuple[Place, str]]]


@dataclass(slots=True)
class Step:
    """What one task has read and written."""

    inputs: list[InputDataset] = field(default_factory=list)
    outputs: list[OutputDataset] = field(default_factory=list)


def conformed(places: Places, catalog: Catalog, batches: Iterable[ConformedBatch]) -> Step:
    """Of conform: from the files of each contract to conformed rows and to quarantine."""
    step = Step()
    of_contract, of_dataset = defaultdict(list), defaultdict(list)
    for batch in batches:
        of_contract[batch.source_contract].append(batch)
        of_dataset[batch.dataset].append(batch)
    for contract_id, parts in of_contract.items():
        step.inputs.append(_files(places, catalog.source(contract_id), parts))
    for name, parts in of_dataset.items():
        dataset = catalog.dataset(name)
        contracts = [catalog.source(each) for each in sorted({p.source_contract for p in parts})]
        if rows := sum(file.rows_conformed for part in parts for file in part.files):
            columns = [column.name for column in dataset.raw_columns]
            masked = frozenset(field.name for field in dataset.fields if field.masking)
            parents = _mapped(places, contracts)
            step.outputs.append(_output(places.conformed(name), columns, parents, rows, masked))
        if rows := sum(file.rows_quarantined for part in parts for file in part.files):
            step.outputs.append(_output(places.quarantine(name), (), {}, rows))
    return step


def loaded(places: Places, catalog: Catalog, rows: Mapping[str, int]) -> Step:
    """Of load: the rows that came to the raw table of each dataset."""
    step = Step()
    for dataset, count in rows.items():
        columns = tuple(column.name for column in catalog.dataset(dataset).raw_columns)
        _copy(step, places.conformed(dataset), places.raw_table(dataset), columns, count)
    return step


def sent(places: Places, mart: PublishedMart, sink: Sink, target: str, rows: int) -> Step:
    """Of publishing: a mart and what readers at the edge see of it."""
    step = Step()
    columns = tuple(column.name for column in mart.columns)
    _copy(step, places.mart(mart), published(mart, sink, target), columns, rows)
    return step


def column_facet(
    parents: Parents, masked: frozenset[str] = frozenset()
) -> column_lineage_dataset.ColumnLineageDatasetFacet:
    """``masked`` are the columns whose values are not those that they are made of."""
    return column_lineage_dataset.ColumnLineageDatasetFacet(
        fields={
            column: column_lineage_dataset.Fields(
                inputFields=[_parent(place, name, column in masked) for place, name in made_of]
            )
            for column, made_of in parents.items()
        }
    )


def _parent(place: Place, column: str, is_masked: bool) -> column_lineage_dataset.InputField:
    how = column_lineage_dataset.Transformation(type="DIRECT", masking=is_masked)
    return column_lineage_dataset.InputField(place.namespace, place.name, column, [how])


def _files(
    places: Places, contract: SourceContract, batches: Iterable[ConformedBatch]
) -> InputDataset:
    files = (file for batch in batches for file in batch.files)
    locations = [places.object(file.landed.raw_location).name for file in files]
    subset = base_subset_dataset.InputSubsetInputDatasetFacet(
        inputCondition=base_subset_dataset.LocationSubsetCondition(locations=locations)
    )
    place = places.files(contract.id)
    return InputDataset(
        place.namespace,
        place.name,
        facets={"schema": _schema(contract.columns)},
        inputFacets={"subset": subset},
    )


def _mapped(places: Places, contracts: Iterable[SourceContract]) -> Parents:
    parents = defaultdict(list)
    for contract in contracts:
        mapped = {each.field.name: each.columns for each in contract.mappings if each.columns}
        day = contract.dataset.business_date
        if day.event_time in mapped:
            mapped.setdefault(day.field, mapped[day.event_time])
        for field_name, columns in mapped.items():
            parents[field_name] += [(places.files(contract.id), column) for column in columns]
    return parents


def _copy(step: Step, source: Place, copy: Place, columns: Sequence[str], rows: int) -> None:
    schema = {"schema": _schema(columns)}
    step.inputs.append(InputDataset(source.namespace, source.name, facets=schema))
    parents = {column: [(source, column)] for column in columns}
    step.outputs.append(_output(copy, columns, parents, rows))


def _output(
    place: Place,
    columns: Sequence[str],
    parents: Parents,
    rows: int,
    masked: frozenset[str] = frozenset(),
) -> OutputDataset:
    count = output_statistics_output_dataset.OutputStatisticsOutputDatasetFacet(rowCount=rows)
    facets = {"schema": _schema(columns), "columnLineage": column_facet(parents, masked)}
    return OutputDataset(
        place.namespace,
        place.name,
        facets=facets if columns else {},
        outputFacets={"outputStatistics": count},
    )


def _schema(columns: Iterable[str]) -> schema_dataset.SchemaDatasetFacet:
    return schema_dataset.SchemaDatasetFacet(
        fields=[schema_dataset.SchemaDatasetFacetFields(name=column) for column in columns]
    )
