"""Following the runs of one round: both ingests, the transform that their assets start, and the
publication that its marts start where there is a Cloudflare.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from deploy.local.airflow_api import AirflowApi, DagRun, TaskInstance
from deploy.local.errors import LocalError

INGEST_FILES = "ingest_files"
INGEST_APIS = "ingest_apis"
TRANSFORM = "transform"
PUBLISH = "publish_cloudflare"
DAG_IDS = (INGEST_FILES, INGEST_APIS, TRANSFORM)
# Started by assets, each by those of the ones before it.
FOLLOWING = (TRANSFORM, PUBLISH)

POLL_SECONDS = 1.0
ASSET_PATIENCE_SECONDS = 60.0
# A change is dated before it is committed.
OVERLAP = timedelta(seconds=5)

SUCCEEDED = "success"
# A mapped task over nothing is skipped: that is what "nothing new" looks like.
FINE = frozenset({SUCCEEDED, "skipped"})
BROKEN = frozenset({"failed", "upstream_failed"})
AT_WORK = frozenset({"running", "deferred", "restarting"})

TaskKey = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Progress:
    """What is known of one DAG's run; ``run`` is None until there is one. ``read_at`` is UTC."""

    dag_id: str
    run: DagRun | None = None
    tasks: Mapping[TaskKey, TaskInstance] = field(default_factory=dict)
    read_at: datetime | None = None

    @property
    def state(self) -> str:
        return self.run.state if self.run else "waiting"

    @property
    def finished(self) -> int:
        return sum(task.state in FINE or task.state in BROKEN for task in self.tasks.values())

    @property
    def at_work(self) -> list[TaskInstance]:
        return [task for task in self.tasks.values() if task.state in AT_WORK]

    @property
    def broken(self) -> list[TaskInstance]:
        return [task for task in self.tasks.values() if task.state in BROKEN]

    @property
    def has_succeeded(self) -> bool:
        """Whether the run and every one of its tasks succeeded, or was skipped by design."""
        return self.state == SUCCEEDED and all(task.state in FINE for task in self.tasks.values())


class Round:
    """Three runs, or four with a publication, read again and again until they are over."""

    def __init__(self, api: AirflowApi, *, publishes: bool = False) -> None:
        self._api = api
        dag_ids = (*DAG_IDS, PUBLISH) if publishes else DAG_IDS
        self._progress = {dag_id: Progress(dag_id) for dag_id in dag_ids}
        self._earlier = {
            dag_id: {run.run_id for run in api.runs([dag_id])}
            for dag_id in FOLLOWING
            if dag_id in dag_ids
        }
        self._awaited_since: dict[str, float] = {}

    @property
    def progress(self) -> list[Progress]:
        return list(self._progress.values())

    @property
    def has_succeeded(self) -> bool:
        return all(progress.has_succeeded for progress in self.progress)

    def trigger(self, dag_id: str) -> None:
        self._progress[dag_id] = Progress(dag_id, self._api.trigger(dag_id))

    def refresh(self) -> None:
        """Read every run that is not over yet."""
        for progress in self.progress:
            run = progress.run or self._find(progress.dag_id)
            if run is not None and not (progress.run and progress.run.is_over):
                self._progress[progress.dag_id] = self._read(progress, run)

    def is_over(self) -> bool:
        """Whether nothing more will happen.

        Raises LocalError when what should follow a run that succeeded does not start.
        """
        before = [self._progress[INGEST_FILES], self._progress[INGEST_APIS]]
        if not all(ingest.run and ingest.run.is_over for ingest in before):
            return False
        for dag_id in self._earlier:
            if not all(progress.state == SUCCEEDED for progress in before):
                return True
            following = self._progress[dag_id]
            if following.run is None:
                self._require_soon(dag_id)
                return False
            if not following.run.is_over:
                return False
            before = [following]
        return True

    def _require_soon(self, dag_id: str) -> None:
        since = self._awaited_since.setdefault(dag_id, time.monotonic())
        if time.monotonic() - since > ASSET_PATIENCE_SECONDS:
            raise LocalError(
                f"Everything before {dag_id} succeeded, but it did not start within "
                f"{ASSET_PATIENCE_SECONDS:.0f} s: look in the UI (`make up`) which asset that it "
                "waits for has no new event."
            )

    def follow(self, check: Callable[[], None]) -> Iterator[list[Progress]]:
        """Yield the state of things about once a second until all is over.

        ``check`` is called each time and may raise, when the stack has died for example.
        """
        while not self.is_over():
            check()
            self.refresh()
            yield self.progress
            if not self.is_over():
                time.sleep(POLL_SECONDS)

    def _find(self, dag_id: str) -> DagRun | None:
        if dag_id not in self._earlier:
            return None
        new = [r for r in self._api.runs([dag_id]) if r.run_id not in self._earlier[dag_id]]
        return new[-1] if new else None

    def _read(self, before: Progress, run: DagRun) -> Progress:
        read_at = datetime.now(UTC)
        # The run first: tasks read afterwards are never older than a run that is shown as over.
        now = self._api.run(run)
        # Reading all tasks of a large run costs the API server more than they do; the whole is read
        # at the beginning and once more at the end.
        since = None if now.is_over or before.read_at is None else before.read_at - OVERLAP
        changed = self._api.task_instances(now, changed_since=since)
        tasks = {} if since is None else dict(before.tasks)
        tasks.update({(task.task_id, task.map_index): task for task in changed})
        return Progress(run.dag_id, now, tasks, read_at)
