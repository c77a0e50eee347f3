"""An MWAA environment, seen through the AWS API: its settings and its Airflow's REST API."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from deploy.mwaa.errors import MwaaError

if TYPE_CHECKING:
    from mypy_boto3_mwaa import MWAAClient

# What the service and Airflow call a task that a new version of the code would disturb.
UNFINISHED = ("queued", "running", "restarting")
FAILED = frozenset({"CREATE_FAILED", "UPDATE_FAILED", "UNAVAILABLE", "DELETING", "DELETED"})
PAGE = 100


@dataclass(frozen=True, slots=True)
class ServiceFile:
    """One of the three files beside the DAGs: its key and the version in use, None if none is."""

    path_option: str
    version_option: str
    key: str | None
    version: str | None


@dataclass(frozen=True, slots=True)
class EnvironmentState:
    """What GetEnvironment says, as far as a deployment needs it."""

    status: str
    bucket: str
    dags_prefix: str
    files: Mapping[str, ServiceFile]
    last_error: str | None


@dataclass(frozen=True, slots=True)
class Dag:
    dag_id: str
    is_paused: bool


@dataclass(frozen=True)
class MwaaEnvironment:
    """Raises MwaaError, in one sentence, when the service refuses something."""

    name: str
    client: MWAAClient
    poll_seconds: float = 10.0

    def state(self) -> EnvironmentState:
        answer = self._ask(f"look at {self.name}", self.client.get_environment, Name=self.name)
        raw = answer["Environment"]
        update = raw.get("LastUpdate", {})
        return EnvironmentState(
            status=raw["Status"],
            bucket=raw["SourceBucketArn"].rpartition(":")[2],
            dags_prefix=raw["DagS3Path"].strip("/"),
            files={name: _service_file(raw, *options) for name, options in _OPTIONS.items()},
            last_error=update.get("Error", {}).get("ErrorMessage"),
        )

    def update(self, versions: Mapping[str, tuple[str, str]], deadline: float) -> None:
        """Give the environment new versions (file name → key, version) and wait until it has them.

        ``deadline`` is a time of time.monotonic().
        """
        wanted: dict[str, str] = {}
        for name, (key, version) in versions.items():
            path_option, version_option = _OPTIONS[name]
            wanted |= {path_option: key, version_option: version}
        self._ask(f"update {self.name}", self.client.update_environment, Name=self.name, **wanted)
        self.wait_until_available(deadline)
        state = self.state()
        for name, (_, version) in versions.items():
            if state.files[name].version != version:
                raise MwaaError(
                    f"{self.name} went back to the {name} before: "
                    f"{state.last_error or 'it does not say why'}. Run make mwaa-check."
                )

    def wait_until_available(self, deadline: float) -> None:
        while (state := self.state()).status != "AVAILABLE":
            if state.status in FAILED:
                raise MwaaError(
                    f"{self.name} is {state.status}: {state.last_error or 'it does not say why'}."
                )
            if time.monotonic() > deadline:
                raise MwaaError(f"{self.name} is still {state.status}; look at it in the console.")
            time.sleep(self.poll_seconds)

    def dags(self) -> tuple[Dag, ...]:
        """Every DAG that Airflow knows."""
        found = self._pages("/dags", "dags")
        return tuple(Dag(dag["dag_id"], dag["is_paused"]) for dag in found)

    def pause(self, dag_id: str, paused: bool) -> None:
        self.rest("PATCH", f"/dags/{dag_id}", body={"is_paused": paused})

    def unfinished_tasks(self) -> int:
        """How many task instances of any DAG are queued or at work."""
        query = {"state": list(UNFINISHED), "limit": 1}
        answer = self.rest("GET", "/dags/~/dagRuns/~/taskInstances", query=query)
        return int(answer["total_entries"])

    def import_errors(self) -> dict[str, str]:
        """The last line of each DAG file's import error, by file."""
        return {
            error["filename"]: error["stack_trace"].strip().splitlines()[-1]
            for error in self._pages("/importErrors", "import_errors")
        }

    def make_pool(self, name: str, slots: int, description: str) -> None:
        """Make a pool; one that is there keeps the size that somebody gave it."""
        body = {"name": name, "slots": slots, "description": description}
        self.rest("POST", "/pools", body=body, accept=(409,))

    def trigger(self, dag_id: str) -> str:
        """Start a run; returns its id."""
        return self.rest("POST", f"/dags/{dag_id}/dagRuns", body={"logical_date": None})[
            "dag_run_id"
        ]

    def run_state(self, dag_id: str, run_id: str) -> str:
        # By a filter: the path that names a run would be longer than the service allows.
        found = self._pages(f"/dags/{dag_id}/dagRuns", "dag_runs")
        return next((run["state"] for run in found if run["dag_run_id"] == run_id), "unknown")

    def rest(
        self,
        method: str,
        path: str,
        *,
        body: Mapping[str, Any] | None = None,
        query: Mapping[str, Any] | None = None,
        accept: tuple[int, ...] = (),
    ) -> Any:
        """One request to Airflow's REST API; the path has at most 64 characters."""
        request: dict[str, Any] = {"Name": self.name, "Path": path, "Method": method}
        request |= {"Body": dict(body)} if body else {}
        request |= {"QueryParameters": dict(query)} if query else {}
        try:
            return self.client.invoke_rest_api(**request)["RestApiResponse"]
        except (
            self.client.exceptions.RestApiClientException,
            self.client.exceptions.RestApiServerException,
        ) as error:
            status = error.response.get("RestApiStatusCode")
            if status in accept:
                return error.response.get("RestApiResponse")
            detail = error.response.get("RestApiResponse")
            raise MwaaError(
                f"Airflow in {self.name} refused {method} {path} with {status}: {detail}."
            ) from None
        except (ClientError, BotoCoreError) as error:
            raise MwaaError(f"{self.name} did not pass on {method} {path}: {error}") from None

    def _pages(self, path: str, field: str) -> Iterator[dict[str, Any]]:
        offset = 0
        while True:
            answer = self.rest("GET", path, query={"limit": PAGE, "offset": offset})
            yield from answer[field]
            offset += PAGE
            if offset >= int(answer["total_entries"]):
                return

    def _ask(self, purpose: str, operation: Any, **arguments: Any) -> Any:
        try:
            return operation(**arguments)
        except (ClientError, BotoCoreError) as error:
            raise MwaaError(f"Could not {purpose}: {error}") from None


_OPTIONS: Mapping[str, tuple[str, str]] = {
    "requirements.txt": ("RequirementsS3Path", "RequirementsS3ObjectVersion"),
    "plugins.zip": ("PluginsS3Path", "PluginsS3ObjectVersion"),
    "startup.sh": ("StartupScriptS3Path", "StartupScriptS3ObjectVersion"),
}


def _service_file(raw: Mapping[str, Any], path_option: str, version_option: str) -> ServiceFile:
    return ServiceFile(path_option, version_option, raw.get(path_option), raw.get(version_option))
