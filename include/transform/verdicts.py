"""What one `dbt build` says about each task of the DAG, told while the build still runs."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from threading import Lock
from typing import Any

# XCom keys of the build's task: the start of the run as it saw it, the unique ids that it was to
# build (absent: all), and why it failed.
RUN_STARTED_KEY = "run_started_at"
SELECTION_KEY = "selection"
PROBLEM_KEY = "problem"

# dbt.artifacts.schemas.results.NodeStatus; what is in neither set is a failure.
PASSED_STATUSES = frozenset({"success", "pass", "warn", "no-op"})
SKIPPED_STATUSES = frozenset({"skipped"})

_TOLD_LEVELS = frozenset({"info", "warn", "error"})


class Outcome(StrEnum):
    """What became of the dbt nodes of one task, the worst of them counting."""

    PASSED = "passed"
    FAILED = "failed"
    SKIPPED = "skipped"
    NOT_SELECTED = "not_selected"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a build says about the nodes of one task. ``lines`` is dbt's own log about them.

    ``run_started_at`` is the start of the DAG run as the build saw it (ISO 8601, UTC). Clearing
    anything in a finished run sets a new one, so a verdict of before is told from a fresh one
    without comparing the clocks of two machines.
    """

    outcome: Outcome
    run_started_at: str
    lines: tuple[str, ...] = ()

    def to_json(self) -> bytes:
        return json.dumps(asdict(self), ensure_ascii=False).encode()

    @classmethod
    def from_json(cls, document: bytes) -> Verdict:
        value = json.loads(document)
        return cls(
            outcome=Outcome(value["outcome"]),
            run_started_at=value["run_started_at"],
            lines=tuple(value["lines"]),
        )


def status_outcome(status: str) -> Outcome:
    if status in PASSED_STATUSES:
        return Outcome.PASSED
    return Outcome.SKIPPED if status in SKIPPED_STATUSES else Outcome.FAILED


@dataclass(slots=True)
class _NodeLog:
    lines: list[str] = field(default_factory=list)
    statements: list[str] = field(default_factory=list)
    outcome: Outcome | None = None


class VerdictRecorder:
    """Listens to dbt's events and reports each task as soon as all of its nodes have finished.

    ``watched`` maps a task's id to the unique ids of its dbt nodes. dbt calls from several threads
    at once; ``report`` is called once a task, and must not raise: dbt would take that for a
    failure of the node.
    """

    def __init__(
        self,
        watched: Mapping[str, Collection[str]],
        run_started_at: str,
        report: Callable[[str, Verdict], None],
    ) -> None:
        self._nodes_of = {task: tuple(nodes) for task, nodes in watched.items()}
        self._task_of = {node: task for task, nodes in watched.items() for node in nodes}
        self._run_started_at = run_started_at
        self._report = report
        self._logs: defaultdict[str, _NodeLog] = defaultdict(_NodeLog)
        self._lock = Lock()

    def __call__(self, event: Any) -> None:
        """Take one EventMsg of dbt."""
        node_info = getattr(event.data, "node_info", None)
        unique_id = getattr(node_info, "unique_id", "")
        if unique_id not in self._task_of:
            return
        with self._lock:
            self._take(unique_id, event)

    def leave_out(self, selected: Collection[str]) -> None:
        """Report the tasks of which this build runs no node at all."""
        for task, nodes in self._nodes_of.items():
            if not any(node in selected for node in nodes):
                self._report(task, Verdict(Outcome.NOT_SELECTED, self._run_started_at))
        self._nodes_of = {
            task: tuple(node for node in nodes if node in selected)
            for task, nodes in self._nodes_of.items()
        }

    def _take(self, unique_id: str, event: Any) -> None:
        log, info = self._logs[unique_id], event.info
        if info.name == "NodeFinished":
            result = event.data.run_result
            log.outcome = status_outcome(result.status)
            log.lines += _explanation(log, result)
            self._report_if_complete(self._task_of[unique_id])
        elif info.name == "SQLQuery":
            log.statements.append(event.data.sql)
        elif info.level in _TOLD_LEVELS:
            log.lines.append(info.msg)

    def _report_if_complete(self, task: str) -> None:
        logs = [self._logs[node] for node in self._nodes_of[task]]
        outcomes = {log.outcome for log in logs if log.outcome is not None}
        if all(log.outcome is not None for log in logs):
            lines = tuple(line for log in logs for line in log.lines)
            self._report(task, Verdict(_worst(outcomes), self._run_started_at, lines))


def _worst(outcomes: Collection[Outcome]) -> Outcome:
    by_weight = (Outcome.FAILED, Outcome.SKIPPED, Outcome.PASSED)
    return next(outcome for outcome in by_weight if outcome in outcomes)


def _explanation(log: _NodeLog, result: Any) -> Iterable[str]:
    if log.outcome is Outcome.PASSED:
        return
    if result.message:
        yield result.message
    if log.outcome is Outcome.FAILED and log.statements:
        yield f"The last statement was:\n{log.statements[-1]}"
