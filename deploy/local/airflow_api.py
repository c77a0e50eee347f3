"""A client of Airflow's public REST API (/api/v2) on the loopback interface."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx

from deploy.local.errors import LocalError

USER = "admin"
# A busy laptop answers slowly; nothing here is worth giving up early for.
TIMEOUT_SECONDS = 30.0
ATTEMPTS = 4
# More than any run of this repository has; see MAXIMUM_PAGE_LIMIT in airflow_env.
PAGE = 1000


@dataclass(frozen=True, slots=True)
class DagRun:
    """A run as the API shows it; ``state`` is queued, running, success or failed."""

    dag_id: str
    run_id: str
    state: str

    @property
    def is_over(self) -> bool:
        return self.state in ("success", "failed")


@dataclass(frozen=True, slots=True)
class TaskInstance:
    """One task of a run, or one map index of it; ``state`` is None before it is scheduled."""

    dag_id: str
    task_id: str
    map_index: int
    state: str | None
    try_number: int

    @property
    def name(self) -> str:
        return self.task_id if self.map_index < 0 else f"{self.task_id}[{self.map_index}]"


class AirflowApi:
    """Raises LocalError when the API refuses a request or stops answering."""

    def __init__(self, address: str) -> None:
        self.address = address
        self._client = httpx.Client(base_url=address, timeout=TIMEOUT_SECONDS, trust_env=False)

    def is_up(self) -> bool:
        """Whether it answers.

        Asked is the part that tasks talk to: it is built by its first request, which takes seconds,
        and the first task would wait for it otherwise.
        """
        try:
            return self._client.get("/execution/health").is_success
        except httpx.TransportError:
            return False

    def log_in(self, passwords: Path) -> None:
        """Take a token for the generated login; raises LocalError when it is not accepted."""
        login = {"username": USER, "password": read_password(passwords)}
        self._use_token(self._request("POST", "/auth/token", json=login))

    def log_in_as_anybody(self) -> None:
        """Take a token from an Airflow in which everybody is an administrator."""
        self._use_token(self._request("GET", "/auth/token"))

    def _use_token(self, answer: Mapping[str, Any]) -> None:
        self._client.headers["Authorization"] = f"Bearer {answer['access_token']}"

    @property
    def token(self) -> str:
        """The token of the login, which a browser sends as its cookie."""
        return self._client.headers["Authorization"].removeprefix("Bearer ")

    def import_errors(self) -> dict[str, str]:
        """The last line of each DAG file's import error, by file."""
        answer = self._request("GET", "/api/v2/importErrors", params={"limit": PAGE})
        return {
            error["filename"]: error["stack_trace"].strip().splitlines()[-1]
            for error in answer["import_errors"]
        }

    def parsed_since(self, moment: datetime) -> set[str]:
        """The ids of the DAGs whose files were parsed after this moment."""
        answer = self._request("GET", "/api/v2/dags", params={"limit": PAGE})
        return {
            dag["dag_id"]
            for dag in answer["dags"]
            if dag["last_parsed_time"] and datetime.fromisoformat(dag["last_parsed_time"]) > moment
        }

    def unpause(self, dag_id: str) -> None:
        self._request("PATCH", f"/api/v2/dags/{dag_id}", json={"is_paused": False})

    def forget_queued_assets(self, dag_id: str) -> None:
        """Drop asset events that an earlier, unfinished round left for this DAG's next run."""
        self._request("DELETE", f"/api/v2/dags/{dag_id}/assets/queuedEvents", accept=(404,))

    def trigger(self, dag_id: str) -> DagRun:
        # Named here, so that a request that has to be repeated cannot start a second run.
        run_id = f"manual__{datetime.now(UTC).isoformat()}"
        body = {"logical_date": None, "dag_run_id": run_id}
        self._request("POST", f"/api/v2/dags/{dag_id}/dagRuns", json=body, accept=(409,))
        return self.run(DagRun(dag_id, run_id, "queued"))

    def runs(self, dag_ids: Iterable[str], *, states: Iterable[str] = ()) -> list[DagRun]:
        """The newest runs of these DAGs, newest first."""
        filters = {"limit": 25, "order_by": "-id", "state": list(states)}
        answers = [
            self._request("GET", f"/api/v2/dags/{dag_id}/dagRuns", params=filters)
            for dag_id in dag_ids
        ]
        return [_run(run) for answer in answers for run in answer["dag_runs"]]

    def run(self, run: DagRun) -> DagRun:
        """The run as it is now."""
        return _run(self._request("GET", f"/api/v2/dags/{run.dag_id}/dagRuns/{run.run_id}"))

    def task_instances(
        self, run: DagRun, *, changed_since: datetime | None = None
    ) -> list[TaskInstance]:
        """The run's tasks, or those of them that have changed since a moment."""
        changed = {"updated_at_gte": changed_since.isoformat()} if changed_since else {}
        answer = self._request(
            "GET",
            f"/api/v2/dags/{run.dag_id}/dagRuns/{run.run_id}/taskInstances",
            params={"limit": PAGE, **changed},
        )
        return [
            TaskInstance(
                dag_id=task["dag_id"],
                task_id=task["task_id"],
                map_index=task["map_index"],
                state=task["state"],
                try_number=task["try_number"],
            )
            for task in answer["task_instances"]
        ]

    def _request(
        self,
        method: str,
        path: str,
        *,
        json: Mapping[str, Any] | None = None,
        params: Mapping[str, Any] | None = None,
        accept: tuple[int, ...] = (),
    ) -> Any:
        answer = self._answer(method, path, json, params)
        if not answer.is_success and answer.status_code not in accept:
            raise LocalError(
                f"Airflow refused {method} {path} with status {answer.status_code}: "
                f"{_detail(answer)}. Its logs are in .airflow/logs/processes."
            )
        return answer.json() if answer.content else None

    def _answer(
        self, method: str, path: str, body: Mapping[str, Any] | None, params: Any
    ) -> httpx.Response:
        """Repeats what failed: SQLite may have been locked. Each request here may arrive twice."""
        for attempt in range(1, ATTEMPTS):
            try:
                answer = self._client.request(method, path, json=body, params=params)
                if not answer.is_server_error:
                    return answer
            except httpx.ConnectError:
                break
            except httpx.TransportError:
                pass
            time.sleep(attempt / 2)
        try:
            return self._client.request(method, path, json=body, params=params)
        except httpx.TransportError as error:
            raise LocalError(
                f"Airflow's API at {self.address} stopped answering ({error!r}); its logs are in "
                ".airflow/logs/processes."
            ) from None


def read_password(passwords: Path) -> str:
    """The generated password of the one user; raises LocalError where there is none."""
    try:
        return json.loads(passwords.read_text("utf-8"))[USER]
    except (OSError, ValueError, KeyError):
        raise LocalError(
            f"There is no login in {passwords}: run `make down`, remove that file and start again."
        ) from None


def _run(raw: Mapping[str, Any]) -> DagRun:
    return DagRun(raw["dag_id"], raw["dag_run_id"], raw["state"])


def _detail(answer: httpx.Response) -> str:
    try:
        return str(answer.json()["detail"])
    except (ValueError, KeyError, TypeError):
        return answer.reason_phrase
