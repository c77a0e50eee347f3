"""Fails when a locked package has a known vulnerability that nobody accepted.

pip-audit alone says "No known vulnerabilities found" when the index it asks answers for no package,
as mirrors without an advisory service do. Here that is said for what it is: not checked.
"""

import json
import subprocess
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
ACCEPTED = ROOT / ".ci" / "accepted-vulnerabilities.txt"
# It holds the runtime lock, at the same versions.
LOCK = ROOT / "locks" / "dev.txt"


@dataclass(frozen=True, order=True)
class Finding:
    package: str
    version: str
    id: str


@dataclass(frozen=True)
class Verdict:
    passed: bool
    lines: tuple[str, ...]


def main() -> int:
    verdict = judge(_pip_audit_report(), read_accepted(ACCEPTED.read_text(encoding="utf-8")))
    print("\n".join(verdict.lines))
    return 0 if verdict.passed else 1


def read_accepted(text: str) -> frozenset[tuple[str, str]]:
    """(id, package) of each entry; raises ValueError for an entry without a reason."""
    entries = [line.split(maxsplit=2) for line in text.splitlines() if line and line[0] != "#"]
    for entry in entries:
        if len(entry) < 3:
            raise ValueError(f"{ACCEPTED.name}: {' '.join(entry)!r} has no reason; write one.")
    return frozenset((entry[0], entry[1]) for entry in entries)


def judge(report: Mapping | None, accepted: frozenset[tuple[str, str]]) -> Verdict:
    """`report` is pip-audit's JSON, or None where it could not ask at all."""
    packages = report["dependencies"] if report else []
    answered = [package for package in packages if "skip_reason" not in package]
    if not answered:
        return Verdict(True, ("audit: NOT CHECKED, the advisory service did not answer.",))
    findings = sorted(_findings(answered))
    known = {(finding.id, finding.package) for finding in findings}
    lines = [
        f"audit: {finding.package} {finding.version} has {finding.id}; raise the pin and run "
        f".ci/lock, or accept it with its reason in .ci/{ACCEPTED.name}."
        for finding in findings
        if (finding.id, finding.package) not in accepted
    ]
    lines += [
        f"audit: {id} of {package} is no longer reported; remove it from .ci/{ACCEPTED.name}."
        for id, package in sorted(accepted - known)
    ]
    unanswered = len(packages) - len(answered)
    summary = f"audit: {len(answered)} packages checked, {unanswered} unknown to the service."
    return Verdict(not lines, (*lines, summary))


def _findings(packages: Iterable[Mapping]) -> Iterable[Finding]:
    for package in packages:
        for vulnerability in package["vulns"]:
            yield Finding(package["name"], package["version"], vulnerability["id"])


def _pip_audit_report() -> Mapping | None:
    command = [sys.executable, "-m", "pip_audit", "--requirement", str(LOCK), "--require-hashes"]
    command += ["--disable-pip", "--progress-spinner", "off", "--format", "json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode not in (0, 1):
        raise RuntimeError(f"pip-audit stopped: {done.stderr.strip()}")
    try:
        return json.loads(done.stdout)
    except json.JSONDecodeError:
        # No report: the service could not be reached. Anything else is a fault of the check.
        if "requests.exceptions." in done.stderr or "Could not connect" in done.stderr:
            return None
        raise RuntimeError(f"pip-audit gave no report: {done.stderr.strip()}") from None


if __name__ == "__main__":
    raise SystemExit(main())
