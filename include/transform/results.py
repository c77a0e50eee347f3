"""Compares what dbt ran with what it should have run, once every task of a run has ended."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from include.transform.artifacts import NodeResult
from include.transform.manifest import DbtNode, Manifest
from include.transform.verdicts import Outcome, status_outcome

NAMED_NODES = 5
DETAILED_NODES = 3


class NodesNotPassed(RuntimeError):
    """Nodes failed, were passed over or never ran; the message names them.

    ``nodes`` are the unique ids of those that failed; ``details`` help to understand them.
    """

    def __init__(self, sentence: str, nodes: tuple[str, ...]) -> None:
        super().__init__(sentence)
        self.nodes = nodes
        self.details: tuple[str, ...] = ()


def require_all_passed(
    manifest: Manifest, selection: Collection[str] | None, results: Mapping[str, NodeResult]
) -> str:
    """Check that every selected node ran and passed, and return a sentence that says so.

    ``selection`` holds unique ids, None means every node. Raises NodesNotPassed with one sentence
    that names what failed, with the number of failing rows of a test, and what never ran.
    """
    nodes = manifest.nodes
    selected = sorted(nodes if selection is None else nodes.keys() & set(selection))
    outcomes = {unique_id: _outcome(results.get(unique_id)) for unique_id in selected}
    failed = [nodes[i] for i in selected if outcomes[i] is Outcome.FAILED]
    passed_over = [nodes[i] for i in selected if outcomes[i] is Outcome.SKIPPED]
    never_ran = [nodes[i] for i in selected if outcomes[i] is None]
    if not (failed or passed_over or never_ran):
        return f"All {len(selected)} selected dbt nodes ran and passed."
    parts = [
        *_named("failed", [_failure(node, results[node.unique_id]) for node in failed]),
        *_named("never ran", [_title(node) for node in never_ran]),
        *([f"{len(passed_over)} behind them were passed over"] if passed_over else []),
    ]
    missing = len(failed) + len(passed_over) + len(never_ran)
    raise NodesNotPassed(
        f"{missing} of {len(selected)} dbt nodes did not pass: {'; '.join(parts)}.",
        tuple(node.unique_id for node in failed),
    )


def failure_details(
    nodes: Iterable[str], failing_rows: Mapping[str, str], compiled: Mapping[str, str]
) -> tuple[str, ...]:
    """Of the first nodes that failed some rows, and where their SQL lies in the lake."""
    return tuple(
        f"{unique_id.split('.')[2]}: SQL {compiled[unique_id]}, "
        f"rows {failing_rows.get(unique_id, 'none to show')}"
        for unique_id in nodes
        if unique_id in compiled
    )[:DETAILED_NODES]


def _outcome(result: NodeResult | None) -> Outcome | None:
    return None if result is None else status_outcome(result.status)


def _failure(node: DbtNode, result: NodeResult) -> str:
    if node.resource_type == "test" and result.failures is not None:
        return f"{_title(node)} ({result.failures} rows)"
    reason = " ".join(result.message.split())
    return f"{_title(node)} ({reason[:200]})" if reason else _title(node)


def _title(node: DbtNode) -> str:
    return f"{node.resource_type} {node.name}"


def _named(what: str, titles: list[str]) -> Iterable[str]:
    if titles:
        rest = len(titles) - NAMED_NODES
        more = f" and {rest} more" if rest > 0 else ""
        yield f"{what}: {', '.join(titles[:NAMED_NODES])}{more}"
