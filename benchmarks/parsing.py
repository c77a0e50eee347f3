"""What a parse of each DAG file costs the dag-processor: ``python -m benchmarks.parsing``.

Each parse is in a new process, forked from one that has Airflow imported, as the dag-processor's
are: imports, tasks, and the DAG as it is stored. The peer is a file with as many tasks and edges
that imports `airflow.sdk` alone. In CPU seconds. Exits 1 above 1.3 times the peer's, or twice of a
transform with 500 models.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import sys
import tempfile
import time
from collections.abc import Collection, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.nothing import NOTHING_OPERATOR
from benchmarks.processes import answer_of, run_module
from benchmarks.results import Result, compared, show
from deploy.local.layout import REPOSITORY
from deploy.local.preparation import build_manifest

MOST_RATIO = 1.3
MODELS = 500
MOST_RATIO_OF_LARGE = 2.0
DAGS = REPOSITORY / "dags"

_PLAIN = f"""from airflow.sdk import DAG, BaseOperator, task


@task
def unused():
    pass


{NOTHING_OPERATOR}

with DAG("plain", schedule=None) as dag:
"""

_OTHER_LAYOUT = """from pathlib import Path

from include.transform import dag, layout

dag.load_layout = lambda _: layout.load_layout(Path({manifest!r}))

"""


@dataclass(frozen=True)
class Parse:
    """CPU seconds of a parse, and the edges of the DAG's tasks by their number."""

    cpu_seconds: float
    edges: tuple[tuple[int, ...], ...]


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="What a parse of each DAG file costs.")
    parser.add_argument("names", nargs="*", metavar="NAME", help="DAG files; by default all")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--as-json", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.as_json:
        results = _measure_here(options.rounds, options.names)
        print(json.dumps([asdict(result) for result in results]))
        return 0
    return show(measure(options.rounds, options.names))


def measure(rounds: int = 5, names: Sequence[str] = ()) -> list[Result]:
    """Of the DAG files with these names, by default of all.

    In a process of its own: whatever its caller has imported a parse would find there already.
    """
    run_module(*build_manifest())
    answer = answer_of("benchmarks.parsing", *names, "--as-json", "--rounds", str(rounds))
    return [Result.of(record) for record in answer]


def _measure_here(rounds: int, names: Collection[str]) -> list[Result]:
    with tempfile.TemporaryDirectory(prefix="benchmark-parsing-") as folder:
        os.environ.setdefault("AIRFLOW_HOME", folder)
        os.environ["AIRFLOW__LOGGING__LOGGING_LEVEL"] = "ERROR"
        # A dag-processor compiles a module once; a shell may forbid to keep what was compiled.
        sys.dont_write_bytecode = False
        # Imported here, so that the processes of the parses are forked with it.
        import airflow.dag_processing.processor  # noqa: F401

        paths = [p for p in sorted(DAGS.glob("*.py")) if not names or p.stem in names]
        results = [_compare(path, Path(folder), rounds, MOST_RATIO) for path in paths]
        if not names:
            large = _write_large_transform(Path(folder))
            results.append(_compare(large, Path(folder), rounds, MOST_RATIO_OF_LARGE))
        return results


def _write_large_transform(folder: Path) -> Path:
    """The DAG file of transform, over a layout of a project with 500 models."""
    manifest = folder / "manifest.json"
    models = [f"models.marts.m{number}" for number in range(MODELS)]
    # Not by include.transform.layout, which a parse would find imported already.
    tasks = [
        {
            "task_id": model,
            "groups": ["models", "models.marts"],
            "nodes": {"unique_ids": [f"model.vending.m{number}"], "command": "run"},
            "downstream": models[number + 1 : number + 3],
        }
        for number, model in enumerate(models)
    ]
    layout = {"tasks": tasks, "marts": [], "published": []}
    manifest.with_suffix(".layout.json").write_text(json.dumps(layout), encoding="utf-8")
    path = folder / "transform_of_500_models.py"
    source = (DAGS / "transform.py").read_text(encoding="utf-8")
    path.write_text(_OTHER_LAYOUT.format(manifest=str(manifest)) + source, encoding="utf-8")
    return path


def _compare(path: Path, folder: Path, rounds: int, target: float) -> Result:
    plain = folder / f"plain_{path.name}"
    plain.write_text(_PLAIN + "".join(_statements(_parse(path).edges)), encoding="utf-8")
    pairs = [(_parse(path).cpu_seconds, _parse(plain).cpu_seconds) for _ in range(rounds)]
    ours, peers = zip(*pairs, strict=True)
    name = f"parse_{path.stem}"
    return compared(name, "CPU s", ours, "as many tasks of airflow.sdk", peers, target)


def _statements(edges: Sequence[Sequence[int]]) -> list[str]:
    tasks = [f"    t{n} = Nothing(task_id='task_{n}')\n" for n in range(len(edges))]
    return tasks + [f"    t{n} >> t{below}\n" for n, all_ in enumerate(edges) for below in all_]


def _parse(path: Path) -> Parse:
    # Not a pool of multiprocessing: a process that ends there is made again, for ever.
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("fork")) as process:
        return process.submit(_parse_here, path).result()


def _parse_here(path: Path) -> Parse:
    import structlog
    from airflow.dag_processing.processor import DagFileParseRequest, _parse_file

    request = DagFileParseRequest(
        file=str(path), bundle_path=path.parent, bundle_name="benchmark", callback_requests=[]
    )
    before = time.process_time()
    result = _parse_file(request, structlog.get_logger())
    seconds = time.process_time() - before
    if result is None or result.import_errors:
        raise SystemExit(f"{path} cannot be parsed: {result and result.import_errors}")
    [serialized] = result.serialized_dags
    tasks = [task["__var"] for task in serialized.data["dag"]["tasks"]]
    numbers = {task["task_id"]: number for number, task in enumerate(tasks)}
    below = (task.get("downstream_task_ids", ()) for task in tasks)
    return Parse(seconds, tuple(tuple(numbers[task_id] for task_id in ids) for ids in below))


if __name__ == "__main__":
    sys.exit(main())
