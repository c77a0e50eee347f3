"""What the pipeline knows of itself, published to D1 beside the marts.

The last run's tests, and what was unusual in it; the ledger's summary is the mart fct_data_quality.
Neither rows that failed nor dbt's messages go to the edge: they may quote what a vendor sent.
"""

from __future__ import annotations

from include.publish.spec import Column, D1Spec, PublishedMart, PublishSpec, published_marts
from include.transform.manifest import Manifest
from include.warehouse.schema import OPS_SCHEMA

TEST_RESULTS = PublishedMart(
    name="pipeline_test_results",
    schema=OPS_SCHEMA,
    columns=(
        Column("unique_id", "varchar"),
        Column("run_id", "varchar"),
        Column("name", "varchar"),
        Column("tested", "varchar"),
        Column("outcome", "varchar"),
        Column("failures", "bigint"),
        Column("recorded_at", "timestamp"),
    ),
    spec=PublishSpec(d1=D1Spec(key=("unique_id",), indexes=(("outcome",),))),
    table="dbt_results",
    rows="resource_type = 'test' AND recorded_at = (SELECT max(recorded_at) FROM {table})",
)

FINDINGS = PublishedMart(
    name="pipeline_findings",
    schema=OPS_SCHEMA,
    columns=(
        Column("table_name", "varchar"),
        Column("source", "varchar"),
        Column("metric", "varchar"),
        Column("business_date", "date"),
        Column("value", "double"),
        Column("low", "double"),
        Column("high", "double"),
        Column("severity", "varchar"),
        Column("run_id", "varchar"),
    ),
    spec=PublishSpec(d1=D1Spec(key=("table_name", "source", "metric", "business_date"))),
    table="quality_findings",
    # A run that found nothing has no rows here.
    rows="run_id = (SELECT max_by(run_id, recorded_at) FROM {schema}.dbt_results)",
)

PIPELINE_TABLES = (TEST_RESULTS, FINDINGS)


def published_tables(manifest: Manifest) -> tuple[PublishedMart, ...]:
    """All that is published: marts that say so, by name, then these. Raises PublishSpecError."""
    return (*published_marts(manifest), *PIPELINE_TABLES)
