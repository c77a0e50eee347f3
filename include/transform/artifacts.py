"""dbt's artifacts in the lake: what every dbt command of a DAG run left, by node.

dbt-artifacts/<run>/<task>-<try>/run_results.json    one dbt command
dbt-artifacts/<run>/verdicts/<task>.json             what the build says about one task
dbt-artifacts/<run>/run_results.json                 the last result of every node
dbt-artifacts/<run>/compiled/<node>.sql              the SQL of each node that failed
dbt-artifacts/<run>/manifest.sha256                  which manifest they belong to
dbt-artifacts/manifests/<sha256>.json                that manifest, kept once
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from include.lake import Lake, Zone
from include.transform.verdicts import Verdict

RUN_RESULTS = "run_results.json"
_VERDICTS = "verdicts"


@dataclass(frozen=True, slots=True)
class NodeResult:
    """The last thing that dbt said about one node.

    ``failures`` counts a test's failing rows, ``rows_affected`` what the warehouse says it wrote.
    ``started_at`` is in UTC. ``statement`` is the compiled SQL: of a test, what gives its failing
    rows.
    """

    unique_id: str
    status: str
    message: str
    failures: int | None
    started_at: datetime | None = None
    seconds: float | None = None
    rows_affected: int | None = None
    statement: str | None = None


@dataclass(frozen=True, slots=True)
class RunArtifacts:
    """The artifacts of one DAG run."""

    lake: Lake
    run_id: str

    def store(self, task: str, attempt: int, target_path: Path) -> None:
        """Keep the results that a dbt command left in its target folder, if it came that far."""
        source = target_path / RUN_RESULTS
        if source.is_file():
            key = self._key(f"{_safe(task)}-{attempt}", RUN_RESULTS)
            self.lake.write_bytes(key, source.read_bytes())

    def tell(self, task: str, verdict: Verdict) -> None:
        """Keep what the build says about a task.

        Here and not in XCom: the tasks look for it several times a second, and each look through
        Airflow's API costs its server 20 milliseconds of processor time.
        """
        self.lake.write_bytes(self._verdict_key(task), verdict.to_json())

    def verdict(self, task: str) -> Verdict | None:
        """What a build of this run says about a task; None if none has said anything yet."""
        key = self._verdict_key(task)
        return Verdict.from_json(self.lake.read_bytes(key)) if self.lake.exists(key) else None

    def forget_verdicts(self) -> None:
        """Before a build: what an earlier one of the same run said no longer holds."""
        for stored in self.lake.list(self._key(_VERDICTS)):
            self.lake.delete(stored.key)

    def latest_results(self) -> dict[str, NodeResult]:
        """The last result of every node in any dbt command of the run, by unique id."""
        return {result["unique_id"]: _node_result(result) for result in self._merged()}

    def store_summary(self, manifest: Path) -> None:
        """Keep the merged results, and the manifest that they belong to."""
        content = manifest.read_bytes()
        digest = hashlib.sha256(content).hexdigest()
        shared = self.lake.key(Zone.ARTIFACTS, "manifests", f"{digest}.json")
        if not self.lake.exists(shared):
            self.lake.write_bytes(shared, content)
        self.lake.write_bytes(self._key("manifest.sha256"), digest.encode())
        merged = json.dumps({"results": self._merged()}, ensure_ascii=False)
        self.lake.write_bytes(self._key(RUN_RESULTS), merged.encode())

    def store_compiled(self, results: Iterable[NodeResult]) -> dict[str, str]:
        """Keep the SQL of nodes, as far as dbt compiled it; returns the keys by unique id."""
        keys = {}
        for result in results:
            if result.statement:
                key = self._key("compiled", f"{_safe(result.unique_id)}.sql")
                self.lake.write_bytes(key, result.statement.encode())
                keys[result.unique_id] = key
        return keys

    def _merged(self) -> list[dict[str, Any]]:
        latest: dict[str, dict[str, Any]] = {}
        for document in sorted(self._documents(), key=lambda d: d["metadata"]["generated_at"]):
            # A node that dbt passed over has no result of its own: an earlier one stays.
            ran = (r for r in document["results"] if r["status"] != "skipped")
            skipped = (r for r in document["results"] if r["status"] == "skipped")
            latest.update({r["unique_id"]: r for r in ran})
            for result in skipped:
                latest.setdefault(result["unique_id"], result)
        return list(latest.values())

    def _documents(self) -> Iterator[dict[str, Any]]:
        summary = self._key(RUN_RESULTS)
        for stored in self.lake.list(self._key()):
            if stored.key.endswith(f"/{RUN_RESULTS}") and stored.key != summary:
                yield json.loads(self.lake.read_bytes(stored.key))

    def _verdict_key(self, task: str) -> str:
        return self._key(_VERDICTS, f"{_safe(task)}.json")

    def _key(self, *parts: str) -> str:
        return self.lake.key(Zone.ARTIFACTS, _safe(self.run_id), *parts)


def _node_result(result: dict[str, Any]) -> NodeResult:
    return NodeResult(
        unique_id=result["unique_id"],
        status=result["status"],
        message=result.get("message") or "",
        failures=result.get("failures"),
        started_at=_started_at(result),
        seconds=result.get("execution_time"),
        rows_affected=_rows_affected(result),
        statement=result.get("compiled_code"),
    )


def _started_at(result: dict[str, Any]) -> datetime | None:
    started = [timing["started_at"] for timing in result.get("timing", ())]
    moments = [datetime.fromisoformat(moment) for moment in started if moment]
    return min(moments).astimezone(UTC) if moments else None


def _rows_affected(result: dict[str, Any]) -> int | None:
    # Adapters that do not know say -1, or nothing.
    rows = (result.get("adapter_response") or {}).get("rows_affected")
    return rows if isinstance(rows, int) and rows >= 0 else None


def _safe(name: str) -> str:
    # A run id holds colons, which some file systems refuse, and anything a person typed.
    return re.sub(r"[^A-Za-z0-9_.+-]", "_", name)
