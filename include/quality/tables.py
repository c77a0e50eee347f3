"""The tables of ``ops`` that hold what is known about quality, for both engines."""

from __future__ import annotations

from include.contracts.model import Column
from include.contracts.raw_tables import Table


def _optional(name: str, physical_type: str, description: str) -> Column:
    return Column(name, physical_type, False, description)


def _required(name: str, physical_type: str, description: str) -> Column:
    return Column(name, physical_type, True, description)


DBT_RESULTS = Table(
    "dbt_results",
    "One row for each node of the dbt project and each run, whether or not the run came to it.",
    (
        _required("run_id", "VARCHAR", "Run of the DAG transform."),
        _required("unique_id", "VARCHAR", "dbt's id of the node."),
        _required("name", "VARCHAR", "Name of the model or test."),
        _required("resource_type", "VARCHAR", "model, test, seed or snapshot."),
        _required("layer", "VARCHAR", "Folder below models/; empty for a test over models."),
        _optional("tested", "VARCHAR", "Names of what a test looks at, by comma."),
        _required(
            "outcome", "VARCHAR", "passed, warned, failed, skipped, never_ran, not_selected."
        ),
        _optional("status", "VARCHAR", "dbt's own word; null if it said nothing of the node."),
        _optional("started_at", "TIMESTAMP", "Start of its execution, in UTC."),
        _optional("seconds", "DOUBLE", "Length of its execution."),
        _optional("rows_affected", "BIGINT", "Rows that the warehouse says it wrote."),
        _optional("failures", "BIGINT", "Failing rows of a test."),
        _optional("message", "VARCHAR", "dbt's message, on one line."),
        _optional("failing_rows", "VARCHAR", "JSON array of up to five failing rows, masked."),
        _required("recorded_at", "TIMESTAMP", "When the row was written, in UTC."),
    ),
)

TABLE_METRICS = Table(
    "table_metrics",
    "One row for each new value of a metric of a table; the last one of a day counts.",
    (
        _required("table_name", "VARCHAR", "Table with its schema, as in marts.fct_sales."),
        _required("source", "VARCHAR", "Vendor; empty for a table that has none."),
        _required("metric", "VARCHAR", "volume, sum:, distinct:, nulls: and a column, freshness."),
        _required("business_date", "DATE", "Day that was measured."),
        _required("value", "DOUBLE", "Rows, sum, values, share of nulls, or days."),
        _required("run_id", "VARCHAR", "Run that measured it."),
        _required("recorded_at", "TIMESTAMP", "When, in UTC."),
    ),
)

TABLE_COLUMNS = Table(
    "table_columns",
    "Schema snapshots: one row for each column whenever it came, went or changed its type.",
    (
        _required("table_name", "VARCHAR", "Table with its schema."),
        _required("column_name", "VARCHAR", "Column."),
        _optional("data_type", "VARCHAR", "Type in the warehouse; null: the column has gone."),
        _required("run_id", "VARCHAR", "Run that saw the change."),
        _required("recorded_at", "TIMESTAMP", "When, in UTC."),
    ),
)

QUALITY_FINDINGS = Table(
    "quality_findings",
    "One row for each metric of a run that was outside its usual range.",
    (
        _required("run_id", "VARCHAR", "Run that judged."),
        _required("table_name", "VARCHAR", "Table with its schema."),
        _required("source", "VARCHAR", "Vendor; empty for a table that has none."),
        _required("metric", "VARCHAR", "As in table_metrics, or freshness."),
        _required("business_date", "DATE", "Day that was judged."),
        _required("value", "DOUBLE", "What was measured."),
        _required("low", "DOUBLE", "Lower end of the usual range."),
        _required("high", "DOUBLE", "Upper end of the usual range."),
        _required("severity", "VARCHAR", "warning or error."),
        _required("is_blocking", "BOOLEAN", "Whether marts are held back for it."),
        _required("recorded_at", "TIMESTAMP", "When, in UTC."),
    ),
)

QUALITY_TABLES = (DBT_RESULTS, TABLE_METRICS, TABLE_COLUMNS, QUALITY_FINDINGS)
