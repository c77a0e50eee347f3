"""Builds what a change touches of the dbt project, and says in Markdown what became of it.

    python .ci/slim_build.py <base> [--report slim-build.md]

``<base>`` is a checkout of what the change is compared with, after a `make run` there: its manifest
is the state, and a copy of its warehouse the place that unchanged models are deferred to. Needs no
account. Ends with 1 if a node of the change fails.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from include.transform.dbt_command import DbtError, run_dbt  # noqa: E402
from include.transform.project import DbtProject  # noqa: E402

# What is behind a failure is skipped; an exposure is never more than "no-op".
FAILED = frozenset({"error", "fail", "runtime error", "skipped"})
DATABASE = "dbt_dev"
# A comment of GitHub has room for 65,536 characters.
ROWS = 100
MESSAGE_CHARACTERS = 300


@dataclass(frozen=True, slots=True)
class NodeResult:
    """What became of one node. ``message`` is dbt's, empty where it has none; seconds of wall."""

    name: str
    kind: str
    status: str
    seconds: float
    message: str

    @property
    def has_failed(self) -> bool:
        return self.status in FAILED


def build(base: Path, project: Path) -> list[NodeResult]:
    """Build what differs from the base, with all that is below it. Raises DbtError."""
    with tempfile.TemporaryDirectory(prefix="slim-build-") as scratch:
        folder = Path(scratch)
        warehouse, state = folder / f"{DATABASE}.duckdb", folder / "state"
        shutil.copyfile(base / "data" / warehouse.name, warehouse)
        state.mkdir()
        shutil.copyfile(base / "dbt" / "manifests" / "dev.json", state / "manifest.json")
        built = run_dbt(
            DbtProject(
                path=project,
                target="dev",
                manifest_path=folder / "dev.json",
                environment=(("VENDING_DUCKDB_PATH", str(warehouse)),),
                database=DATABASE,
            ),
            "build",
            # Incremental models too are what a build from raw would make of them.
            ("--select", "state:modified+", "--defer", "--state", str(state), "--full-refresh"),
            target_path=folder / "target",
        )
        return [_node_result(result) for result in built.results]


def report(results: Iterable[NodeResult]) -> str:
    """The results in Markdown, failures first."""
    ordered = sorted(results, key=lambda result: not result.has_failed)
    if not ordered:
        return "### dbt: nothing of the project differs\n"
    counts = Counter(result.status for result in ordered)
    summary = ", ".join(f"{count} {status}" for status, count in sorted(counts.items()))
    lines = [
        f"### dbt: {summary}",
        "",
        "What differs from the base and all that is below it, on DuckDB with a small fleet.",
        "",
        "| node | kind | result | seconds | message |",
        "| --- | --- | --- | --- | --- |",
        *(_row(result) for result in ordered[:ROWS]),
    ]
    if len(ordered) > ROWS:
        lines.append(f"\n{len(ordered) - ROWS} more, all of which passed.")
    return "\n".join(lines) + "\n"


def _node_result(result: Any) -> NodeResult:
    return NodeResult(
        name=result.node.name,
        kind=str(result.node.resource_type),
        status=str(result.status),
        seconds=result.execution_time,
        message=(result.message or "") if str(result.status) in FAILED else "",
    )


def _row(result: NodeResult) -> str:
    message = " ".join(result.message.replace("|", "\\|").split())[:MESSAGE_CHARACTERS]
    return (
        f"| `{result.name}` | {result.kind} | {result.status} | {result.seconds:.1f} | {message} |"
    )


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python .ci/slim_build.py")
    parser.add_argument("base", type=Path, help="checkout with a warehouse and a manifest")
    parser.add_argument("--project", type=Path, default=ROOT / "dbt")
    parser.add_argument("--report", type=Path, default=Path("slim-build.md"))
    options = parser.parse_args(arguments)
    try:
        results = build(options.base, options.project)
    except (DbtError, OSError) as error:
        options.report.write_text(f"### dbt could not build\n\n{error}\n", "utf-8")
        print(error, file=sys.stderr)
        return 1
    options.report.write_text(report(results), "utf-8")
    return int(any(result.has_failed for result in results))


if __name__ == "__main__":
    sys.exit(main())
