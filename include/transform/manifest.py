"""Builds and reads the dbt manifest, from which the DAG `transform` is rendered.

    python -m include.transform.manifest [--target dev]

The manifest lies outside dbt's own target folder, which any dbt command overwrites, and is built
again only when a source of the project has changed.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

from include.settings import CODE_ROOT, Environment
from include.transform.dbt_command import PARSE, DbtError, run_dbt
from include.transform.project import DbtProject, ManifestError

RUN_TYPES = frozenset({"model", "seed", "snapshot", "test"})


@dataclass(frozen=True, slots=True)
class DbtNode:
    """One node that `dbt build` reports on. ``parents`` are the unique ids that it depends on."""

    unique_id: str
    name: str
    resource_type: str
    layer: str
    parents: frozenset[str]


@dataclass(frozen=True)
class Manifest:
    """The part of manifest.json that the pipeline needs."""

    content: dict[str, Any]

    @cached_property
    def nodes(self) -> dict[str, DbtNode]:
        """Every node that a build without unit tests runs, by unique id.

        Ephemeral models are left out: dbt writes them into other models and reports nothing.
        """
        return {
            unique_id: _node(unique_id, node)
            for unique_id, node in self.content["nodes"].items()
            if node["resource_type"] in RUN_TYPES
            and node["config"].get("materialized") != "ephemeral"
        }

    @cached_property
    def tests(self) -> tuple[DbtNode, ...]:
        return tuple(node for node in self.nodes.values() if node.resource_type == "test")

    @property
    def marts(self) -> tuple[DbtNode, ...]:
        """The models of the marts layer, by name."""
        nodes = (n for n in self.nodes.values() if n.resource_type == "model")
        return tuple(sorted((n for n in nodes if n.layer == "marts"), key=lambda n: n.name))

    @property
    def gates(self) -> tuple[DbtNode, ...]:
        """The tests over several nodes."""
        return tuple(test for test in self.tests if len(test.parents) > 1)

    def marts_behind(self, nodes: Iterable[str]) -> tuple[DbtNode, ...]:
        """The marts among and below nodes or sources (of a test: below what it tests), by name."""
        roots = {root for node in nodes for root in self._looked_at(node)}
        return tuple(
            mart
            for mart in self.marts
            if mart.unique_id in roots or roots & self.ancestors(mart.unique_id)
        )

    @cached_property
    def relation_ids(self) -> dict[str, str]:
        """The unique id of each model and source by relation, as in ``marts.fct_sales``."""
        models = {
            f"{node.layer}.{node.name}": unique_id
            for unique_id, node in self.nodes.items()
            if node.resource_type == "model"
        }
        sources = {
            f"{source['source_name']}.{source['name']}": unique_id
            for unique_id, source in self.content.get("sources", {}).items()
        }
        return models | sources

    def _looked_at(self, unique_id: str) -> Iterable[str]:
        node = self.nodes.get(unique_id)
        return node.parents if node and node.resource_type == "test" else (unique_id,)

    def tests_of(self, unique_id: str) -> tuple[str, ...]:
        """The tests that depend on this node or source alone, by unique id."""
        return tuple(t.unique_id for t in self.tests if t.parents == {unique_id})

    def owner(self, unique_id: str) -> str:
        """Who answers for a node, by its `meta.owner`; empty where nobody is named."""
        config = self.content["nodes"][unique_id].get("config", {})
        return str(config.get("meta", {}).get("owner", ""))

    def ancestors(self, unique_id: str) -> frozenset[str]:
        """Everything above a node, sources included."""
        return self._ancestors.get(unique_id, frozenset())

    @cached_property
    def _ancestors(self) -> dict[str, frozenset[str]]:
        found: dict[str, frozenset[str]] = {}

        def visit(unique_id: str) -> frozenset[str]:
            if unique_id not in found:
                parents = self.content["parent_map"].get(unique_id, [])
                found[unique_id] = frozenset(parents).union(*(visit(p) for p in parents))
            return found[unique_id]

        for unique_id in self.content["parent_map"]:
            visit(unique_id)
        return found


def load_manifest(path: Path) -> Manifest:
    """Read a manifest. Raises ManifestError if it is missing or not one."""
    try:
        return _read(path, path.stat().st_mtime_ns)
    except FileNotFoundError:
        raise ManifestError(f"There is no dbt manifest at {path}; run make manifest.") from None


# Kept, because a task process that was forked from the scheduler finds it there already.
@lru_cache(maxsize=1)
def _read(path: Path, modified_ns: int) -> Manifest:
    try:
        content = json.loads(path.read_bytes())
        return Manifest(content) if content["nodes"] and content["parent_map"] else _refuse(path)
    except (ValueError, KeyError, TypeError):
        return _refuse(path)


def build_manifest(project: DbtProject) -> bool:
    """Build the project's manifest if its sources have changed; returns whether it was built.

    Raises DbtError if dbt cannot parse the project, ManifestError if Cosmos cannot draw its graph.
    """
    fingerprint = project.fingerprint()
    if project.has_manifest_of(fingerprint):
        return False
    folder = project.manifest_path.parent
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        target = Path(scratch)
        run_dbt(project, PARSE, ("--no-partial-parse", "--quiet"), target_path=target)
        _draw(project, target)
        (target / "layout.json").replace(project.layout_path)
        (target / "partial_parse.msgpack").replace(project.parse_cache_path)
        (target / "manifest.json").replace(project.manifest_path)
        # Written last: killed before, the next call builds again.
        mark = target / "fingerprint"
        mark.write_text(fingerprint, encoding="ascii")
        mark.replace(project.fingerprint_path)
    return True


def _draw(project: DbtProject, target: Path) -> None:
    """Let Cosmos draw the graph of the manifest in ``target`` into the same folder.

    In a process of its own: it needs Airflow, which would leave its configuration in the home of
    whoever builds a manifest.
    """
    drawing = subprocess.run(
        [
            *("env", f"AIRFLOW_HOME={target}", "AIRFLOW__COSMOS__ENABLE_TELEMETRY=False"),
            *(sys.executable, "-m", "include.transform.cosmos_config"),
            *("--project", str(project.path), "--target", project.target),
            *("--manifest", str(target / "manifest.json"), "--out", str(target / "layout.json")),
        ],
        cwd=CODE_ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if drawing.returncode:
        lines = drawing.stderr.strip().splitlines() or [f"exit code {drawing.returncode}"]
        raise ManifestError(f"Cosmos could not draw the graph of {project.path}: {lines[-1]}")


def _node(unique_id: str, node: dict[str, Any]) -> DbtNode:
    # fqn is the package, the folders below models/ and the name: the first folder is the layer.
    fqn = node["fqn"]
    return DbtNode(
        unique_id=unique_id,
        name=node["name"],
        resource_type=node["resource_type"],
        layer=fqn[1] if len(fqn) > 2 else "",
        parents=frozenset(node["depends_on"].get("nodes", [])),
    )


def _refuse(path: Path) -> Manifest:
    raise ManifestError(f"{path} is not a dbt manifest; delete it and run make manifest.")


def main(arguments: list[str] | None = None) -> int:
    targets = [environment.value for environment in Environment]
    parser = argparse.ArgumentParser(prog="python -m include.transform.manifest")
    parser.add_argument("--target", choices=targets, default=Environment.DEV.value)
    project = DbtProject.of_target(parser.parse_args(arguments).target)
    started = time.monotonic()
    try:
        was_built = build_manifest(project)
        nodes = len(load_manifest(project.manifest_path).nodes)
    except (DbtError, ManifestError) as error:
        print(error, file=sys.stderr)
        return 1
    what = f"built in {time.monotonic() - started:.1f} s" if was_built else "up to date"
    print(f"dbt manifest for {project.target}: {what}, {nodes} nodes.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
