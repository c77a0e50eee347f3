"""DAGs to hold `transform` against, written as DAG files: its own shape doing nothing, and Cosmos.

    python -m benchmarks.peers FOLDER

- `nothing`: the tasks and edges of `transform`; each imports `airflow.sdk` and returns.
- `cosmos_local`, `cosmos_watcher`: the same dbt project and manifest in Cosmos's two modes, as they
  come. DuckDB lets one process write, so the tasks that run dbt share a pool of one slot.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from benchmarks.nothing import NOTHING_OPERATOR
from include.settings import current_settings

NOTHING, LOCAL, WATCHER = "nothing", "cosmos_local", "cosmos_watcher"

_NOTHING_HEAD = f"""from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG, BaseOperator


{NOTHING_OPERATOR}

dag = DAG("nothing", schedule=None)
"""

# Airflow passes over a file in which its own name does not stand.
_COSMOS = """# An Airflow DAG as Cosmos makes it.
from cosmos import (
    DbtDag, ExecutionConfig, ExecutionMode, LoadMode, ProfileConfig, ProjectConfig, RenderConfig,
)

dag = DbtDag(
    dag_id={dag_id!r},
    schedule=None,
    project_config=ProjectConfig(
        dbt_project_path={project!r}, manifest_path={manifest!r}, install_dbt_deps=False
    ),
    profile_config=ProfileConfig(
        profile_name="vending", target_name={target!r}, profiles_yml_filepath={profiles!r}
    ),
    execution_config=ExecutionConfig(execution_mode=ExecutionMode.{mode}),
    render_config=RenderConfig(
        load_method=LoadMode.DBT_MANIFEST,
        exclude=["resource_type:exposure"],
        # A test of several models would otherwise fail before the last of them is built.
        should_detach_multiple_parents_tests=True,
    ),
    default_args={{"retries": 2}},
    operator_args={operator_args!r},
)
"""


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{NOTHING}.py").write_text("".join(_nothing()), encoding="utf-8")
    # In watcher mode only the build opens the warehouse, and the tasks that follow it need no slot.
    for dag_id, mode, arguments in (
        (LOCAL, "LOCAL", {"pool": "warehouse"}),
        (WATCHER, "WATCHER", {}),
    ):
        (folder / f"{dag_id}.py").write_text(_cosmos(dag_id, mode, arguments), encoding="utf-8")


def _nothing() -> Iterator[str]:
    from airflow.providers.standard.operators.empty import EmptyOperator

    from dags.transform import transform

    numbers = {task_id: number for number, task_id in enumerate(transform.task_ids)}
    yield _NOTHING_HEAD
    for task_id, number in numbers.items():
        # What the scheduler passes without a process is no task of transform's either.
        is_empty = isinstance(transform.get_task(task_id), EmptyOperator)
        operator = "EmptyOperator" if is_empty else "Nothing"
        yield f"t{number} = {operator}(task_id={task_id!r}, dag=dag)\n"
    for task_id, number in numbers.items():
        for below in sorted(transform.get_task(task_id).downstream_task_ids):
            yield f"t{number} >> t{numbers[below]}\n"


def _cosmos(dag_id: str, mode: str, operator_args: dict[str, str]) -> str:
    settings = current_settings()
    return _COSMOS.format(
        dag_id=dag_id,
        mode=mode,
        project=str(settings.dbt_project_path),
        manifest=str(settings.dbt_manifest_path),
        target=settings.dbt_target,
        profiles=str(settings.dbt_project_path / "profiles.yml"),
        operator_args=operator_args,
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
