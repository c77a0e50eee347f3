"""Parses every DAG file as the dag-processor does, and reports what the parsing touched.

    python -m tests.dags.parse_audit

A process of its own, because a module that is imported already would not be looked at again. The
report is one line of JSON on standard output.
"""

from __future__ import annotations

import json
import os
import socket
import sys
import time
from pathlib import Path
from typing import Any

from airflow.sdk import AssetAll

ROOT = Path(__file__).resolve().parents[2]
AUDITED = tuple(str(ROOT / folder) + os.sep for folder in ("dags", "include", "plugins"))
SETTINGS = str(ROOT / "include" / "settings.py")

touched: list[str] = []


def main() -> None:
    import airflow.models
    import airflow.sdk
    from airflow.dag_processing.dagbag import BundleDagBag

    _forbid_connections_and_variables(airflow.sdk)
    _audit_environment()
    _block_network()
    bags = [_parse(BundleDagBag), _parse(BundleDagBag)]
    report = {
        "dags": {dag.dag_id: _describe(dag) for dag in bags[0][0].dags.values()},
        "import_errors": bags[0][0].import_errors,
        "touched": touched,
        "cpu_seconds": [seconds for _, seconds in bags],
    }
    sys.__stdout__.write("\n" + json.dumps(report) + "\n")


def _parse(bag: type) -> tuple[Any, float]:
    started = time.process_time()
    folder = ROOT / "dags"
    parsed = bag(dag_folder=folder, bundle_path=folder, bundle_name="dags-folder")
    return parsed, time.process_time() - started


def _describe(dag: Any) -> dict[str, Any]:
    condition = getattr(dag.timetable, "asset_condition", None)
    assets = [] if condition is None else [asset.name for asset in condition.objects]
    return {
        "cron": getattr(dag.timetable, "expression", None),
        "assets": sorted(assets),
        "needs_every_asset": isinstance(condition, AssetAll),
        "first_tasks": sorted(task.task_id for task in dag.roots),
        "retries": sorted({task.retries for task in dag.tasks}),
        "retry_delay": sorted({task.retry_delay.total_seconds() for task in dag.tasks}),
    }


def _forbid_connections_and_variables(sdk: Any) -> None:
    def forbidden(name: str) -> Any:
        def read(*arguments: object, **options: object) -> None:
            touched.append(f"{name} {arguments}")
            raise RuntimeError(f"{name} was read while a DAG file was parsed.")

        return read

    sdk.Connection.get = forbidden("Connection")
    sdk.Variable.get = forbidden("Variable")
    sdk.BaseHook.get_connection = forbidden("BaseHook")


def _audit_environment() -> None:
    plain = os.environ.__class__.__getitem__

    def getitem(environment: Any, key: str) -> str:
        frame = sys._getframe(1)
        # Mapping.get and os.getenv stand between the reader and the mapping.
        while frame is not None and not frame.f_code.co_filename.startswith(str(ROOT)):
            if frame.f_code.co_name not in ("get", "getenv", "__contains__"):
                break
            frame = frame.f_back
        source = frame.f_code.co_filename if frame is not None else ""
        if source.startswith(AUDITED) and source != SETTINGS:
            touched.append(f"environment variable {key} in {source}")
        return plain(environment, key)

    os.environ.__class__.__getitem__ = getitem


def _block_network() -> None:
    def refused(*arguments: object) -> None:
        touched.append(f"network {arguments[1:]}")
        raise OSError("The network was used while a DAG file was parsed.")

    socket.socket.connect = refused
    socket.socket.connect_ex = refused
    socket.getaddrinfo = refused


if __name__ == "__main__":
    main()
