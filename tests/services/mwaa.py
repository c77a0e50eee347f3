"""The AWS API of MWAA on loopback, as far as a deployment uses it, over an Airflow of no tasks.

boto3 speaks to it as to the service. What it knows of Airflow are DAGs, pools, runs and tasks at
work; a run ends with `verdict` as soon as it is looked at.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import boto3
from botocore.config import Config

from tests.services.aws import ACCESS_KEY, REGION, SECRET_KEY

PATH_CHARACTERS = 64


@dataclass
class Mwaa:
    """One environment. ``paused`` is the state of each DAG; ``calls`` are the REST requests."""

    bucket: str
    paused: dict[str, bool] = field(default_factory=dict)
    tasks_at_work: list[int] = field(default_factory=list)
    import_errors: dict[str, str] = field(default_factory=dict)
    verdict: str = "success"
    update_error: str | None = None
    versions: dict[str, str] = field(default_factory=dict)
    pools: dict[str, int] = field(default_factory=dict)
    runs: dict[str, str] = field(default_factory=dict)
    calls: list[tuple[str, str]] = field(default_factory=list)
    updates: list[dict[str, str]] = field(default_factory=list)
    address: str = ""

    @property
    def client(self) -> Any:
        # Without the prefix, which would make it env.127.0.0.1.
        return boto3.client(
            "mwaa",
            endpoint_url=self.address,
            region_name=REGION,
            aws_access_key_id=ACCESS_KEY,
            aws_secret_access_key=SECRET_KEY,
            config=Config(inject_host_prefix=False, retries={"total_max_attempts": 1}),
        )

    def environment(self) -> dict[str, Any]:
        update = {"Error": {"ErrorMessage": self.update_error}} if self.update_error else {}
        return {
            "Name": "vending-data-staging",
            "Status": "AVAILABLE",
            "SourceBucketArn": f"arn:aws:s3:::{self.bucket}",
            "DagS3Path": "dags",
            "LastUpdate": update,
            **self.versions,
        }

    def update(self, wanted: dict[str, str]) -> None:
        self.updates.append(wanted)
        if self.update_error is None:
            self.versions |= wanted

    def rest(self, method: str, path: str, body: dict[str, Any]) -> tuple[int, Any]:
        assert len(path) <= PATH_CHARACTERS, path
        self.calls.append((method, path))
        parts = path.strip("/").split("/")
        match (method, parts):
            case "GET", ["dags"]:
                dags = [{"dag_id": name, "is_paused": p} for name, p in self.paused.items()]
                return 200, {"dags": dags, "total_entries": len(dags)}
            case "PATCH", ["dags", dag_id]:
                self.paused[dag_id] = body["is_paused"]
                return 200, {}
            case "GET", ["dags", "~", "dagRuns", "~", "taskInstances"]:
                unfinished = self.tasks_at_work.pop(0) if self.tasks_at_work else 0
                return 200, {"task_instances": [], "total_entries": unfinished}
            case "GET", ["importErrors"]:
                errors = [
                    {"filename": name, "stack_trace": text}
                    for name, text in self.import_errors.items()
                ]
                return 200, {"import_errors": errors, "total_entries": len(errors)}
            case "POST", ["pools"]:
                if body["name"] in self.pools:
                    return 409, {"detail": "there is one"}
                self.pools[body["name"]] = body["slots"]
                return 201, {}
            case "POST", ["dags", dag_id, "dagRuns"]:
                run_id = f"manual__{len(self.runs)}"
                self.runs[run_id] = dag_id
                return 200, {"dag_run_id": run_id, "state": "queued"}
            case "GET", ["dags", dag_id, "dagRuns"]:
                found = [
                    {"dag_run_id": run_id, "state": self.verdict}
                    for run_id, of in self.runs.items()
                    if of == dag_id
                ]
                return 200, {"dag_runs": found, "total_entries": len(found)}
        return 404, {"detail": f"{method} {path} is not served"}


@contextmanager
def running_mwaa(bucket: str) -> Iterator[Mwaa]:
    """The API on a free port, until the block ends."""
    mwaa = Mwaa(bucket)
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(mwaa))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    mwaa.address = f"http://127.0.0.1:{server.server_port}"
    try:
        yield mwaa
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _handler(mwaa: Mwaa) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer(200, {"Environment": mwaa.environment()})

        def do_PATCH(self) -> None:
            mwaa.update(self._body())
            self._answer(200, {"Arn": "arn:aws:airflow:::environment/vending-data-staging"})

        def do_POST(self) -> None:
            request = self._body()
            status, answer = mwaa.rest(
                request["Method"], request["Path"], request.get("Body") or {}
            )
            whole = {"RestApiStatusCode": status, "RestApiResponse": answer}
            refused = status >= 400
            self._answer(400 if refused else 200, whole, error="RestApiClientException" * refused)

        def _body(self) -> dict[str, Any]:
            return json.loads(self.rfile.read(int(self.headers["Content-Length"])))

        def _answer(self, status: int, body: dict[str, Any], error: str = "") -> None:
            content = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            if error:
                self.send_header("x-amzn-errortype", error)
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing on the terminal of the tests."""

    return Handler
