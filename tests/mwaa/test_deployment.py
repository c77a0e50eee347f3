"""A deployment changes only what differs, in an order that may be broken off at any point."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from botocore.exceptions import ClientError

from deploy.mwaa import deployment as module
from deploy.mwaa.bundle import describe_bundle
from deploy.mwaa.command import deploy
from deploy.mwaa.errors import MwaaError
from include.deployment import BUNDLE_FILE, unfinished_files
from tests.services.aws import Aws, running_aws
from tests.services.mwaa import Mwaa, running_mwaa

BUCKET = "acme-mwaa-staging"
NAME = "vending-data-staging"
FILES = {
    "dags/.airflowignore": "include/\n",
    "dags/check_deployment.py": 'dag_id="check_deployment"',
    "dags/ingest_files.py": 'dag_id="ingest_files"',
    "dags/include/settings.py": "A = 1\n",
    "dags/dbt/manifests/staging.json": "{}\n",
    "dags/constraints.txt": "duckdb==1.5.5\n",
    "plugins.zip": "zip",
    "requirements.txt": "duckdb==1.5.5\n",
    "startup.sh": "echo\n",
}


def make_bundle(folder: Path, **changes: str | None) -> Path:
    """A bundle of a few files; ``changes`` by file name replace one, or with None leave it out."""
    contents = {name: changes.get(Path(name).stem, text) for name, text in FILES.items()}
    for name, text in contents.items():
        if text is not None:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text, "utf-8")
    described = describe_bundle(folder, "3.2.1")
    (folder / "dags" / BUNDLE_FILE).write_text(described.model_dump_json(), "utf-8")
    return folder


@dataclass
class Target:
    """An environment with its bucket."""

    aws: Aws
    mwaa: Mwaa

    def deploy(self, bundle: Path | None = None, s3: Any = None, **options: bool) -> None:
        given = {"dry_run": False, "rollback": False} | options
        source = {"bundle": bundle} if bundle else {}
        s3 = s3 or self.aws.client("s3")
        deploy(NAME, mwaa=self.mwaa.client, s3=s3, poll_seconds=0.01, **given, **source)

    def keys(self, prefix: str = "dags/") -> set[str]:
        listed = self.aws.client("s3").list_objects_v2(Bucket=BUCKET, Prefix=prefix)
        return {entry["Key"] for entry in listed.get("Contents", ())}

    def text(self, key: str) -> str:
        return self.aws.client("s3").get_object(Bucket=BUCKET, Key=key)["Body"].read().decode()

    def put(self, key: str, text: str) -> None:
        self.aws.client("s3").put_object(Bucket=BUCKET, Key=key, Body=text.encode())

    def sync(self, folder: Path) -> Path:
        """What the service copies to a worker at this moment."""
        for key in self.keys():
            path = folder / key.removeprefix("dags/")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(self.text(key), "utf-8")
        return folder


@pytest.fixture
def target() -> Iterator[Target]:
    with running_aws() as aws, running_mwaa(BUCKET) as mwaa:
        # The servers of one process share what they store.
        httpx.post(f"{aws.endpoint}/moto-api/reset")
        aws.make_bucket(BUCKET)
        aws.client("s3").put_bucket_versioning(
            Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"}
        )
        mwaa.paused = {"check_deployment": True, "ingest_files": True}
        yield Target(aws, mwaa)


class Interrupted(Exception):
    """The connection, or the person, that ends an upload."""


class FailingS3:
    """A client whose writes fail from the moment that ``fails`` says so."""

    def __init__(self, client: Any, fails: Callable[[str], bool]) -> None:
        self._client, self._fails = client, fails

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def put_object(self, **arguments: Any) -> Any:
        if self._fails(arguments["Key"]):
            raise Interrupted(arguments["Key"])
        return self._client.put_object(**arguments)


def test_a_first_deployment_brings_everything_and_the_smoke_run_follows(
    target: Target, tmp_path: Path
) -> None:
    target.deploy(make_bundle(tmp_path))
    assert target.keys() == {name for name in FILES if name.startswith("dags/")} | {
        f"dags/{BUNDLE_FILE}"
    }
    assert len(target.mwaa.updates) == 1
    assert set(target.mwaa.runs.values()) == {"check_deployment"}
    assert target.mwaa.pools == {"warehouse": 1, "cloudflare": 4}


def test_what_was_paused_stays_paused_and_what_was_not_is_unpaused(
    target: Target, tmp_path: Path
) -> None:
    target.mwaa.paused |= {"ingest_files": False, "transform": True}
    target.deploy(make_bundle(tmp_path))
    assert target.mwaa.paused == {
        "check_deployment": False,
        "ingest_files": False,
        "transform": True,
    }
    assert ("PATCH", "/dags/ingest_files") in target.mwaa.calls


def test_a_second_deployment_of_the_same_bundle_changes_nothing(
    target: Target, tmp_path: Path
) -> None:
    target.deploy(make_bundle(tmp_path))
    before = target.aws.client("s3").list_object_versions(Bucket=BUCKET, Prefix="dags/")
    target.deploy(tmp_path)
    after = target.aws.client("s3").list_object_versions(Bucket=BUCKET, Prefix="dags/")
    assert len(after["Versions"]) == len(before["Versions"])
    assert len(target.mwaa.updates) == 1


def test_nothing_is_uploaded_while_tasks_are_at_work(target: Target, tmp_path: Path) -> None:
    target.mwaa.tasks_at_work = [3, 1]
    target.deploy(make_bundle(tmp_path))
    asked = [path for _, path in target.mwaa.calls if path.endswith("/taskInstances")]
    assert len(asked) == 3


def test_tasks_that_do_not_end_stop_the_deployment_and_the_dags_go_on(
    target: Target, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "DRAIN_SECONDS", 0.05)
    target.mwaa.paused["ingest_files"] = False
    target.mwaa.tasks_at_work = [1] * 1000
    with pytest.raises(MwaaError, match="nothing was deployed"):
        target.deploy(make_bundle(tmp_path))
    assert target.keys() == set()
    assert target.mwaa.paused["ingest_files"] is False


def test_code_goes_before_dag_files_and_the_description_last(
    target: Target, tmp_path: Path
) -> None:
    written: list[str] = []
    s3 = FailingS3(target.aws.client("s3"), lambda key: written.append(key) or False)
    target.deploy(make_bundle(tmp_path), s3=s3)
    order = [key for key in written if key.startswith("dags/")]
    last_code = max(order.index(k) for k in order if "/include/" in k or "/dbt/" in k)
    first_dag = min(order.index(k) for k in order if k.endswith(("ment.py", "files.py")))
    assert last_code < first_dag
    assert order[-1] == f"dags/{BUNDLE_FILE}"


@pytest.mark.parametrize("where", ["dags/include/settings.py", "dags/ingest_files.py"])
def test_an_interrupted_upload_is_seen_by_workers_and_mended_by_the_next_deployment(
    target: Target, tmp_path: Path, where: str
) -> None:
    target.mwaa.paused["ingest_files"] = False
    target.deploy(make_bundle(tmp_path / "a"))
    changed = make_bundle(tmp_path / "b", settings="A = 2\n", ingest_files='dag_id="ingest_files" ')

    with pytest.raises(Interrupted):
        target.deploy(changed, s3=FailingS3(target.aws.client("s3"), lambda key: key == where))

    assert target.mwaa.paused["ingest_files"] is True
    whole = where == "dags/include/settings.py"  # the first change: nothing was written yet
    assert (unfinished_files(target.sync(tmp_path / "worker")) == ()) is whole

    target.deploy(changed)

    assert unfinished_files(target.sync(tmp_path / "worker")) == ()
    assert target.text("dags/include/settings.py") == "A = 2\n"
    assert target.mwaa.paused["ingest_files"] is False


def test_what_is_gone_from_the_bundle_is_removed_after_the_rest(
    target: Target, tmp_path: Path
) -> None:
    target.deploy(make_bundle(tmp_path / "a"))
    target.put("dags/include/old.py", "")
    target.deploy(make_bundle(tmp_path / "b", settings=None))
    assert not {"dags/include/settings.py", "dags/include/old.py"} & target.keys()


@pytest.mark.parametrize("changed", ["requirements", "plugins", "startup"])
def test_the_environment_is_updated_with_the_file_that_changed_and_no_other(
    target: Target, tmp_path: Path, changed: str
) -> None:
    target.deploy(make_bundle(tmp_path / "a"))
    target.deploy(make_bundle(tmp_path / "b", **{changed: "new"}))
    (update,) = target.mwaa.updates[1:]
    assert len(update) == 2
    assert all(option.lower().startswith(changed) for option in update)


def test_new_constraints_install_the_same_requirements_again(
    target: Target, tmp_path: Path
) -> None:
    target.deploy(make_bundle(tmp_path / "a"))
    target.deploy(make_bundle(tmp_path / "b", constraints="duckdb==1.5.6\n"))
    assert "RequirementsS3ObjectVersion" in target.mwaa.updates[-1]
    assert len(target.mwaa.updates) == 2


def test_an_update_that_the_service_takes_back_fails_with_its_reason(
    target: Target, tmp_path: Path
) -> None:
    target.mwaa.update_error = "the startup script failed"
    with pytest.raises(MwaaError, match="the startup script failed"):
        target.deploy(make_bundle(tmp_path))


def test_dags_that_do_not_import_stay_paused_and_are_named(
    target: Target, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PARSE_SECONDS", 0.05)
    target.mwaa.paused["ingest_files"] = False
    target.mwaa.import_errors = {"dags/ingest_files.py": "Traceback\nNameError: x"}
    with pytest.raises(MwaaError, match=r"ingest_files\.py: NameError: x"):
        target.deploy(make_bundle(tmp_path))
    assert target.mwaa.paused["ingest_files"] is True


def test_a_failed_smoke_run_fails_the_deployment(target: Target, tmp_path: Path) -> None:
    target.mwaa.verdict = "failed"
    with pytest.raises(MwaaError, match="smoke run manual__0 of check_deployment is failed"):
        target.deploy(make_bundle(tmp_path))


def test_a_dry_run_says_what_differs_and_changes_nothing(
    target: Target, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target.deploy(make_bundle(tmp_path / "a"))
    before, calls = target.keys(""), len(target.mwaa.calls)
    capsys.readouterr()
    target.deploy(make_bundle(tmp_path / "b", settings="A = 3\n", startup="new"), dry_run=True)
    assert capsys.readouterr().out.splitlines() == [
        "upload dags/include/settings.py",
        "update the environment with startup.sh",
    ]
    assert target.keys("") == before
    assert len(target.mwaa.calls) == calls


def test_a_rollback_brings_back_the_bundle_before_and_another_one_the_newer(
    target: Target, tmp_path: Path
) -> None:
    target.deploy(make_bundle(tmp_path / "a", settings="A = 1\n"))
    target.deploy(make_bundle(tmp_path / "b", settings="A = 2\n"))
    target.deploy(rollback=True)
    assert target.text("dags/include/settings.py") == "A = 1\n"
    target.deploy(rollback=True)
    assert target.text("dags/include/settings.py") == "A = 2\n"


def test_a_rollback_of_an_interrupted_deployment_brings_back_what_it_was_to_replace(
    target: Target, tmp_path: Path
) -> None:
    target.deploy(make_bundle(tmp_path / "a", settings="A = 1\n"))
    target.deploy(make_bundle(tmp_path / "b", settings="A = 2\n"))
    third = make_bundle(tmp_path / "c", settings="A = 3\n", ingest_files='dag_id="ingest_files" ')
    failing = FailingS3(target.aws.client("s3"), lambda key: key == "dags/ingest_files.py")
    with pytest.raises(Interrupted):
        target.deploy(third, s3=failing)
    target.deploy(rollback=True)
    assert target.text("dags/include/settings.py") == "A = 2\n"


def test_without_a_bundle_before_a_rollback_says_so(target: Target) -> None:
    with pytest.raises(MwaaError, match="nothing to go back to"):
        target.deploy(rollback=True)


def test_a_bucket_that_refuses_is_named(target: Target, tmp_path: Path) -> None:
    target.aws.client("s3").delete_bucket(Bucket=BUCKET)
    with pytest.raises(MwaaError, match=BUCKET):
        target.deploy(make_bundle(tmp_path))


def test_the_record_says_which_bundle_is_there(target: Target, tmp_path: Path) -> None:
    target.deploy(make_bundle(tmp_path))
    record = json.loads(target.text("deployment.json"))
    expected = json.loads((tmp_path / "dags" / BUNDLE_FILE).read_text("utf-8"))["bundle_id"]
    assert record == {"current": expected, "previous": None, "target": None, "unpause": []}


def test_the_service_is_imitated_where_it_refuses(target: Target) -> None:
    with pytest.raises(ClientError):
        target.mwaa.client.invoke_rest_api(Name=NAME, Path="/nothing", Method="GET")
