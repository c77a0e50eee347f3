"""Brings a bundle to an MWAA environment, in an order that may be broken off at any point.

    pause the DAGs, noting in the bucket which were not → wait for their tasks → upload code and
    manifests, DAG files, bundle.json → remove what is gone → update the environment, only if one of
    requirements.txt, plugins.zip and startup.sh changed → wait until the DAGs import → unpause →
    a smoke run

A deployment that was interrupted is repeated: only what differs is uploaded, and what it had paused
is unpaused in the end. Until bundle.json is there a worker's copy does not match its bundle.json,
which the DAG check_deployment waits for.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from deploy.local.metadata import POOLS
from deploy.mwaa.bucket import DeploymentBucket, DeploymentRecord
from deploy.mwaa.bundle import read_bundle
from deploy.mwaa.environment import MwaaEnvironment
from deploy.mwaa.errors import MwaaError
from deploy.mwaa.layout import DAGS, PLUGINS, REQUIREMENTS, STARTUP
from include.deployment import BUNDLE_FILE, CONSTRAINTS, BundleFile

SERVICE_FILES = (REQUIREMENTS, PLUGINS, STARTUP)
SMOKE_DAG = "check_deployment"
# Half an hour is longer than the longest task of the pipeline takes on the default fleet.
DRAIN_SECONDS = 30 * 60.0
# An update with new packages takes the service 20 to 30 minutes.
UPDATE_SECONDS = 60 * 60.0
PARSE_SECONDS = 10 * 60.0
SMOKE_SECONDS = 20 * 60.0

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Plan:
    """What a deployment would do: names of files of the bundle, and keys that go."""

    code: tuple[str, ...]
    dag_files: tuple[str, ...]
    description: bool
    gone: tuple[str, ...]
    service_files: tuple[str, ...]

    @property
    def is_empty(self) -> bool:
        changed = self.code or self.dag_files or self.gone or self.service_files
        return not (changed or self.description)


@dataclass(frozen=True)
class Deployment:
    """One bundle on its way to one environment. ``dag_ids`` are those that the bundle declares."""

    folder: Path
    dag_ids: frozenset[str]
    environment: MwaaEnvironment
    bucket: DeploymentBucket
    say: Say = print

    def plan(self) -> Plan:
        """Compare the bundle with the bucket and with what the environment uses."""
        bundle = read_bundle(self.folder)
        stored = self.bucket.stored_dags()
        differing = [
            name
            for name, content in bundle.files.items()
            if name.startswith(f"{DAGS}/")
            and ((there := stored.get(self.bucket.key(name))) is None or there.checksum != content)
        ]
        description = self.bucket.key(f"{DAGS}/{BUNDLE_FILE}")
        there = stored.get(description)
        expected = {self.bucket.key(name) for name in bundle.files} | {description}
        return Plan(
            code=tuple(name for name in differing if not _is_dag_file(name)),
            dag_files=tuple(name for name in differing if _is_dag_file(name)),
            description=there is None or there.checksum != bundle.bundle_id,
            gone=tuple(key for key in stored if key not in expected and not key.endswith("/")),
            service_files=self._changed_service_files(bundle),
        )

    def explain(self, plan: Plan) -> None:
        """Say what would be done, for a dry run."""
        for name in (*plan.code, *plan.dag_files):
            self.say(f"upload {name}")
        for key in plan.gone:
            self.say(f"remove {key}")
        for name in plan.service_files:
            self.say(f"update the environment with {name}")
        if plan.is_empty:
            self.say("nothing differs")

    def run(self) -> None:
        """Deploy. Raises MwaaError; repeating it, or a rollback, is then always safe."""
        bundle = read_bundle(self.folder)
        self.environment.wait_until_available(time.monotonic() + UPDATE_SECONDS)
        for pool in POOLS:
            self.environment.make_pool(*pool)
        record = self._pause(bundle)
        self._drain(record)
        self.bucket.keep_release(self.folder, bundle)
        plan = self.plan()
        self._upload(plan, bundle)
        self._update_environment(plan, bundle)
        self._wait_for_dags()
        for dag_id in sorted({*record.unpause, SMOKE_DAG} & self.dag_ids):
            self.environment.pause(dag_id, False)
        previous = record.previous if record.current == bundle.bundle_id else record.current
        self.bucket.write_record(DeploymentRecord(current=bundle.bundle_id, previous=previous))
        self.say(f"Bundle {bundle.bundle_id[:12]} is deployed to {self.environment.name}.")
        self._smoke()

    def _pause(self, bundle: BundleFile) -> DeploymentRecord:
        before = self.bucket.read_record()
        active = [dag.dag_id for dag in self.environment.dags() if not dag.is_paused]
        record = before.model_copy(
            update={
                "target": bundle.bundle_id,
                "unpause": tuple(sorted({*before.unpause, *active})),
            }
        )
        # Written first: whoever repeats an interrupted deployment knows what to unpause.
        self.bucket.write_record(record)
        for dag_id in active:
            self.environment.pause(dag_id, True)
        self.say(f"Paused {len(active)} DAGs.")
        return record

    def _drain(self, record: DeploymentRecord) -> None:
        deadline = time.monotonic() + DRAIN_SECONDS
        while unfinished := self.environment.unfinished_tasks():
            if time.monotonic() > deadline:
                for dag_id in record.unpause:
                    self.environment.pause(dag_id, False)
                raise MwaaError(
                    f"{unfinished} tasks are still at work after {DRAIN_SECONDS / 60:.0f} minutes; "
                    "nothing was deployed and the DAGs are unpaused. Try again when they ended."
                )
            self.say(f"Waiting for {unfinished} tasks to end.")
            time.sleep(self.environment.poll_seconds)

    def _upload(self, plan: Plan, bundle: BundleFile) -> None:
        for names in (plan.code, plan.dag_files):
            self.bucket.upload_all(
                (self.folder / name, self.bucket.key(name), bundle.files[name]) for name in names
            )
        if plan.description:
            name = f"{DAGS}/{BUNDLE_FILE}"
            self.bucket.upload(self.folder / name, self.bucket.key(name), bundle.bundle_id)
        for key in plan.gone:
            self.bucket.remove(key)
        self.say(
            f"Uploaded {len(plan.code)} files of code and {len(plan.dag_files)} DAG files, "
            f"removed {len(plan.gone)}."
        )

    def _changed_service_files(self, bundle: BundleFile) -> tuple[str, ...]:
        """Those whose content, or whose version in use, is not the bundle's."""
        files = self.environment.state().files
        return tuple(
            name
            for name in SERVICE_FILES
            if (there := self.bucket.stored(files[name].key or name)) is None
            or there.checksum != _service_checksum(bundle, name)
            or there.version != files[name].version
        )

    def _update_environment(self, plan: Plan, bundle: BundleFile) -> None:
        if not plan.service_files:
            return
        files = self.environment.state().files
        versions = {}
        for name in plan.service_files:
            key = files[name].key or name
            checksum = _service_checksum(bundle, name)
            version = self.bucket.upload(self.folder / name, key, checksum)
            if version is None:
                raise MwaaError(
                    f"s3://{self.bucket.name} keeps no versions, which MWAA needs; turn them on."
                )
            versions[name] = (key, version)
        self.say(f"Updating the environment with {', '.join(versions)}; this takes a while.")
        self.environment.update(versions, time.monotonic() + UPDATE_SECONDS)

    def _wait_for_dags(self) -> None:
        """Until Airflow knows every DAG and no file fails to import."""
        deadline = time.monotonic() + PARSE_SECONDS
        while True:
            errors = self.environment.import_errors()
            missing = self.dag_ids - {dag.dag_id for dag in self.environment.dags()}
            if not errors and not missing:
                return
            if time.monotonic() > deadline:
                found = [f"{Path(name).name}: {error}" for name, error in errors.items()]
                found += [f"{dag_id} is missing" for dag_id in sorted(missing)]
                raise MwaaError(
                    f"The DAGs do not import in {self.environment.name}, and stay paused: "
                    f"{'; '.join(found)}. Mend it and deploy again, or roll back."
                )
            time.sleep(self.environment.poll_seconds)

    def _smoke(self) -> None:
        run_id = self.environment.trigger(SMOKE_DAG)
        deadline = time.monotonic() + SMOKE_SECONDS
        while (state := self.environment.run_state(SMOKE_DAG, run_id)) != "success":
            if state == "failed" or time.monotonic() > deadline:
                raise MwaaError(
                    f"The smoke run {run_id} of {SMOKE_DAG} is {state}; its tasks say what is "
                    "missing. Mend that, or roll back."
                )
            time.sleep(self.environment.poll_seconds)
        self.say("The smoke run succeeded.")


def bundle_to_go_back_to(record: DeploymentRecord) -> str:
    """The bundle before: of an unfinished deployment the one that it was to replace."""
    wanted = record.current if record.target else record.previous
    if wanted is None:
        raise MwaaError(
            "This environment has had no bundle before; there is nothing to go back to."
        )
    return wanted


def _service_checksum(bundle: BundleFile, name: str) -> str:
    """Of requirements.txt with its constraints: either one changes what is installed."""
    own = bundle.files[name]
    return f"{own}-{bundle.files[f'{DAGS}/{CONSTRAINTS}']}" if name == REQUIREMENTS else own


def _is_dag_file(name: str) -> bool:
    return Path(name).parent.as_posix() == DAGS and name.endswith(".py")
