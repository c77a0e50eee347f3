"""Runs inside a container, under its Python: imports what its component would, and prints it.

    python probe.py [<dags folder>]

The last line that it prints is a JSON document, a `Report` of deploy/mwaa/check/bundle_check.py.
It stands alone: nothing of the repository is importable there, and that is among what it reports.
"""

import importlib.util
import json
import sys
from pathlib import Path
from typing import Any

OF_THE_REPOSITORY = ("deploy", "simulator", "tests")


def main() -> None:
    # The folder of this script, which no component of the service has on its path.
    del sys.path[0]
    strays = [name for name in OF_THE_REPOSITORY if importlib.util.find_spec(name)]
    dags = _import_dags(Path(sys.argv[1])) if sys.argv[1:] else {"files": {}, "errors": {}}
    errors = dags["errors"] | _plugin_errors()
    print(json.dumps({"strays": strays, "files": dags["files"], "errors": errors}))


def _plugin_errors() -> dict[str, str]:
    from airflow import plugins_manager

    return plugins_manager.get_import_errors()


def _import_dags(folder: Path) -> dict[str, Any]:
    from airflow.dag_processing.dagbag import BundleDagBag

    bag = BundleDagBag(dag_folder=folder, bundle_path=folder, bundle_name="dags-folder")
    seconds = {Path(stat.file).name: stat.duration.total_seconds() for stat in bag.dagbag_stats}
    ids: dict[str, list[str]] = {name: [] for name in seconds}
    for dag in bag.dags.values():
        ids.setdefault(Path(dag.fileloc).name, []).append(dag.dag_id)
    files = {
        name: {"dag_ids": sorted(found), "seconds": seconds.get(name, 0.0)}
        for name, found in ids.items()
    }
    return {"files": files, "errors": dict(bag.import_errors)}


if __name__ == "__main__":
    main()
