"""One version of everything, in every file that names one."""

import os
import re
import urllib.error
import urllib.request
from functools import cache
from importlib.metadata import distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.repository.files import ROOT

PIN = re.compile(r"^([A-Za-z0-9][\w.-]*)==([^\s;\\]+)", re.MULTILINE)


def pins(name: str | Path) -> dict[str, str]:
    """Version by package of a requirements, constraints or lock file."""
    return read_pins((ROOT / name).read_text(encoding="utf-8"))


def read_pins(text: str) -> dict[str, str]:
    return {canonicalize_name(package): version for package, version in PIN.findall(text)}


AIRFLOW = pins("locks/runtime.in")["apache-airflow"]


PUBLIC_FILES = {
    "airflow": f"apache/airflow/constraints-{AIRFLOW}/constraints-3.12.txt",
    "essential": (
        f"aws/amazon-mwaa-docker-images/main/images/airflow/{AIRFLOW}/etc/"
        "mwaa_essential_constraints.txt"
    ),
}


@cache
def service_file(kind: str) -> str:
    """A constraints file that MWAA applies: from MWAA_CONSTRAINTS_DIR, else the public one."""
    folder = os.environ.get("MWAA_CONSTRAINTS_DIR")
    if folder:
        return (Path(folder) / f"{kind}-constraints-{AIRFLOW}.txt").read_text(encoding="utf-8")
    url = f"https://raw.githubusercontent.com/{PUBLIC_FILES[kind]}"
    try:
        with urllib.request.urlopen(url, timeout=20) as answer:
            return answer.read().decode()
    except urllib.error.HTTPError:
        raise  # the address is wrong, which is for us to mend
    except (urllib.error.URLError, TimeoutError) as error:
        pytest.skip(f"set MWAA_CONSTRAINTS_DIR: {url} does not answer ({error})")


def requirements_against(package: str, version: str) -> list[str]:
    """The installed packages that refuse this version, as `name: requirement`."""
    refusing = []
    for distribution in distributions():
        for text in distribution.requires or ():
            requirement = Requirement(text)
            applies = requirement.marker is None or requirement.marker.evaluate({"extra": ""})
            if (
                applies
                and canonicalize_name(requirement.name) == package
                and not requirement.specifier.contains(version, prereleases=True)
            ):
                refusing.append(f"{distribution.name}: {requirement}")
    return refusing


@pytest.mark.parametrize(("package", "version"), pins("locks/relaxed.txt").items())
def test_a_relaxed_pin_is_still_in_the_way_of_an_installed_package(
    package: str, version: str
) -> None:
    assert requirements_against(package, version), (
        f"nothing installed refuses {package} {version} any more: "
        "remove it from locks/relaxed.txt and run .ci/lock."
    )


def test_the_relaxed_pins_are_those_of_airflows_constraints() -> None:
    public = read_pins(service_file("airflow"))
    assert {name: public.get(name) for name in pins("locks/relaxed.txt")} == pins(
        "locks/relaxed.txt"
    )


def test_all_other_constraints_are_airflows_own() -> None:
    public = read_pins(service_file("airflow"))
    relaxed = pins("locks/relaxed.txt")
    differing = {
        name: (version, public[name])
        for name, version in pins("constraints.txt").items()
        if name in public and name not in relaxed and version != public[name]
    }
    assert differing == {}


def test_the_constraints_agree_with_the_file_that_mwaa_always_enforces() -> None:
    essential = read_pins(service_file("essential"))
    constraints = pins("constraints.txt")
    assert not essential.keys() & pins("locks/relaxed.txt").keys()
    assert {name: constraints[name] for name in essential.keys() & constraints.keys()} == {
        name: essential[name] for name in essential.keys() & constraints.keys()
    }


@pytest.mark.parametrize("lock", ["constraints.txt", "locks/runtime.txt", "locks/dev.txt"])
def test_what_requirements_pin_is_what_is_locked(lock: str) -> None:
    locked = pins(lock)
    wanted = pins("requirements.txt") | pins("locks/runtime.in")
    assert {name: locked.get(name) for name in wanted} == wanted


def test_development_runs_on_the_versions_that_are_deployed() -> None:
    runtime, development = pins("locks/runtime.txt"), pins("locks/dev.txt")
    assert {name: development.get(name) for name in runtime} == runtime


@pytest.mark.parametrize(
    "lock",
    [
        "locks/uv.txt",
        "locks/runtime.txt",
        "locks/dev.txt",
        "locks/parity.txt",
        "locks/terraform.txt",
        "locks/containers.txt",
    ],
)
def test_every_locked_package_has_hashes_and_no_address(lock: str) -> None:
    text = (ROOT / lock).read_text(encoding="utf-8")
    blocks = re.split(r"\n(?=\S)", re.sub(r"^#.*\n", "", text, flags=re.MULTILINE))
    assert [block for block in blocks if "--hash=sha256:" not in block] == []
    assert "://" not in text


def test_requirements_name_their_own_constraints_and_leave_airflow_to_the_image() -> None:
    text = (ROOT / "requirements.txt").read_text(encoding="utf-8")
    first = next(line for line in text.splitlines() if line and not line.startswith("#"))
    assert first == '--constraint "/usr/local/airflow/dags/constraints.txt"'
    assert "apache-airflow" not in pins("requirements.txt")


def test_every_requirement_says_why_it_is_there() -> None:
    lines = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if "==" in line and "  # " not in line] == []
