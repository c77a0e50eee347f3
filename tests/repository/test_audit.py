"""The audit fails on what is known and unaccepted, and says so when it could not ask."""

import importlib.util
import sys
from types import ModuleType

import pytest

from tests.repository.files import ROOT


@pytest.fixture(scope="module")
def audit() -> ModuleType:
    spec = importlib.util.spec_from_file_location("ci_audit", ROOT / ".ci" / "audit.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


CLEAN = {"name": "anyio", "version": "4.0", "vulns": []}
UNKNOWN = {"name": "ours", "skip_reason": "Dependency not found"}
BROKEN = {"name": "jinja2", "version": "2.4.1", "vulns": [{"id": "PYSEC-1"}]}


def test_a_known_vulnerability_fails_and_names_package_and_remedy(audit: ModuleType) -> None:
    verdict = audit.judge({"dependencies": [CLEAN, BROKEN]}, frozenset())
    assert not verdict.passed
    assert "jinja2 2.4.1 has PYSEC-1" in verdict.lines[0]


def test_an_accepted_vulnerability_passes(audit: ModuleType) -> None:
    accepted = audit.read_accepted("# comment\nPYSEC-1 jinja2 templates are our own\n")
    assert audit.judge({"dependencies": [CLEAN, BROKEN]}, accepted).passed


def test_an_acceptance_that_is_no_longer_needed_fails(audit: ModuleType) -> None:
    verdict = audit.judge({"dependencies": [CLEAN]}, frozenset({("PYSEC-1", "jinja2")}))
    assert not verdict.passed
    assert "remove it" in verdict.lines[0]


def test_an_acceptance_without_a_reason_is_refused(audit: ModuleType) -> None:
    with pytest.raises(ValueError, match="has no reason"):
        audit.read_accepted("PYSEC-1 jinja2\n")


@pytest.mark.parametrize("report", [None, {"dependencies": [UNKNOWN, UNKNOWN]}])
def test_without_an_answer_nothing_is_claimed(audit: ModuleType, report: dict | None) -> None:
    verdict = audit.judge(report, frozenset())
    assert verdict.passed
    assert verdict.lines == ("audit: NOT CHECKED, the advisory service did not answer.",)


def test_the_accepted_list_can_be_read(audit: ModuleType) -> None:
    assert isinstance(audit.read_accepted(audit.ACCEPTED.read_text("utf-8")), frozenset)
