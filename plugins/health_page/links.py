"""Links from a task of a dbt node, in the UI, to its documentation and its last runs."""

from __future__ import annotations

from typing import Any, ClassVar

from airflow.sdk import BaseOperatorLink

PREFIX = "/data-health"
# Airflow compares the names of class and module only; the class itself the API server of MWAA
# cannot import.
_DBT_NODE = type("DbtNodeOperator", (), {"__module__": "include.transform.node_task"})


class ModelDocumentation(BaseOperatorLink):
    """dbt's page about the model; of a test over several models its first page."""

    name = "dbt documentation"
    operators: ClassVar[list[type]] = [_DBT_NODE]

    def get_link(self, operator: Any, *, ti_key: Any) -> str:
        model = model_of(ti_key.task_id)
        return f"{PREFIX}/dbt/#!/model/model.vending.{model}" if model else f"{PREFIX}/dbt/"


class ModelHistory(BaseOperatorLink):
    """The model in the last runs; a test over several models has no link."""

    name = "Last runs of the model"
    operators: ClassVar[list[type]] = [_DBT_NODE]

    def get_link(self, operator: Any, *, ti_key: Any) -> str:
        model = model_of(ti_key.task_id)
        return f"{PREFIX}/models/{model}" if model else ""


def model_of(task_id: str) -> str | None:
    """The model of a task that Cosmos named: ….fct_sales.run, ….fct_sales.test or ….fct_sales_run.

    None for the tests of a source (….raw_sales.test), which no model stands for, and for gates.
    """
    *groups, last = task_id.split(".")
    if groups[:1] != ["models"]:
        return None
    name = last.removesuffix("_run") if last not in ("run", "test") else groups[-1]
    return None if name.startswith(("raw_", "ops_")) else name
