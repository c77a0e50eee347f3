"""Imports a bundle as each component of the service would, and says what it found."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from deploy.mwaa.check.container import Component, Container, start_container
from deploy.mwaa.check.installation import Installation, install
from deploy.mwaa.errors import MwaaError
from deploy.mwaa.layout import REPOSITORY, TARGETS

PROBE = Path(__file__).with_name("probe.py")
# Airflow's own limits: of one file (core.dagbag_import_timeout), and of all of them together, after
# which the service's dag-processor would be ended.
FILE_SECONDS = 30.0
PROBE_SECONDS = 300.0
DAG_ID = re.compile(r"\bdag_id=\"(\w+)\"")

# What Terraform gives an environment (deploy/terraform/aws), with the names of an example.
OPTIONS: Mapping[str, Mapping[str, str]] = {
    target: {
        "AIRFLOW__VENDING__ENV": target,
        "AIRFLOW__VENDING__COMPANY": "acme",
        "AIRFLOW__VENDING__KMS_KEY_ID": "alias/vending-lake",
    }
    for target in TARGETS
}


class DagFile(BaseModel):
    """What parsing one file gave; ``seconds`` is the time that it took."""

    model_config = ConfigDict(frozen=True)

    dag_ids: tuple[str, ...]
    seconds: float


class Report(BaseModel):
    """What the probe prints. ``strays`` are folders of the repository that could be imported."""

    model_config = ConfigDict(frozen=True)

    strays: tuple[str, ...]
    files: dict[str, DagFile]
    errors: dict[str, str]

    @property
    def dag_ids(self) -> frozenset[str]:
        return frozenset(dag_id for file in self.files.values() for dag_id in file.dag_ids)


def check_bundle(bundle: Path, airflow_version: str) -> None:
    """Install the bundle and import it in every component, for staging and for prod.

    Prints what it measures. Raises MwaaError at the first thing that would not work.
    """
    installation = install(bundle, airflow_version)
    took = f"installed in {installation.seconds:.0f} s" if installation.seconds else "kept"
    print(f"Airflow {airflow_version}: requirements {took}, no conflict.", flush=True)
    components = tuple(product(TARGETS, Component))
    with ThreadPoolExecutor(os.cpu_count()) as threads:
        probing = threads.map(lambda which: _probed(*which, bundle, installation), components)
        for (target, component), report in zip(components, probing, strict=True):
            judge(component, report, declared_dags())
            print(f"  {target} {component}: {_measured(report)}", flush=True)


def _probed(target: str, component: Component, bundle: Path, installation: Installation) -> Report:
    with tempfile.TemporaryDirectory(prefix="mwaa-") as folder:
        options = OPTIONS[target]
        return probe(start_container(component, Path(folder), bundle, installation, options))


def probe(container: Container) -> Report:
    """Import what the container's component would. Raises MwaaError if that cannot even begin."""
    folder = [str(container.dags)] if container.component.has_dags else []
    done = container.run("python", str(PROBE), *folder, seconds=PROBE_SECONDS)
    if done.returncode:
        last = done.stderr.strip().splitlines()[-1:]
        raise MwaaError(f"Airflow does not start in the {container.component}: {''.join(last)}")
    return Report.model_validate_json(done.stdout.strip().splitlines()[-1])


def judge(component: Component, report: Report, declared: frozenset[str]) -> None:
    """Raise MwaaError, with every finding, if the component would not work."""
    findings = [f"{Path(name).name}: {error}" for name, error in report.errors.items()]
    findings += [f"{name} of the repository can be imported" for name in report.strays]
    findings += [
        f"{name} took {file.seconds:.1f} s to parse, the limit is {FILE_SECONDS:.0f} s"
        for name, file in report.files.items()
        if file.seconds > FILE_SECONDS
    ]
    expected = declared if component.has_dags else frozenset()
    if not findings and report.dag_ids != expected:
        missing, extra = sorted(expected - report.dag_ids), sorted(report.dag_ids - expected)
        findings.append(f"DAGs are missing ({missing}) or not declared ({extra})")
    if findings:
        raise MwaaError(f"The {component} would not work: " + "; ".join(findings))


def declared_dags() -> frozenset[str]:
    """The ids of the repository's DAGs."""
    return dag_ids_in(REPOSITORY / "dags")


def dag_ids_in(folder: Path) -> frozenset[str]:
    """The ids that the DAG files of a folder spell out."""
    texts = (path.read_text("utf-8") for path in folder.glob("*.py"))
    return frozenset(dag_id for text in texts for dag_id in DAG_ID.findall(text))


def _measured(report: Report) -> str:
    if not report.files:
        return "plugins import; no DAG files there"
    slowest = max(report.files, key=lambda name: report.files[name].seconds)
    total = sum(file.seconds for file in report.files.values())
    return (
        f"{len(report.dag_ids)} DAGs and the plugins import; parsed in {total:.1f} s, "
        f"{slowest} in {report.files[slowest].seconds:.1f} s"
    )
