"""The environment is made from tiny locks: two wheels of one file, found in a folder."""

from __future__ import annotations

import base64
import hashlib
import os
import subprocess
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from deploy.local.bootstrap import BootstrapError, Environment, prepare

# Stands in for uv, and fails as uv does where only pip knows the index.
FAILING_UV = "def main():\n    raise SystemExit('no index')\n"


@dataclass(frozen=True, slots=True)
class Wheel:
    name: str
    version: str
    sha256: str

    @property
    def lock_line(self) -> str:
        return f"{self.name}=={self.version} --hash=sha256:{self.sha256}\n"


def make_wheel(folder: Path, name: str, version: str, code: str, entry_point: str = "") -> Wheel:
    files = {
        f"{name}_module.py": code,
        f"{name}-{version}.dist-info/METADATA": (
            f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
        ),
        f"{name}-{version}.dist-info/WHEEL": (
            "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        ),
    }
    if entry_point:
        files[f"{name}-{version}.dist-info/entry_points.txt"] = entry_point
    record = f"{name}-{version}.dist-info/RECORD"
    path = folder / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as wheel:
        for file, content in files.items():
            wheel.writestr(file, content)
        lines = [f"{file},sha256={_digest(text)},{len(text)}" for file, text in files.items()]
        wheel.writestr(record, "\n".join([*lines, f"{record},,", ""]))
    return Wheel(name, version, hashlib.sha256(path.read_bytes()).hexdigest())


def _digest(text: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).decode().rstrip("=")


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Wheel]]:
    folder = tmp_path_factory.mktemp("wheels")
    made = {
        "uv": make_wheel(folder, "uv", "1.0", FAILING_UV, "[console_scripts]\nuv=uv_module:main\n"),
        "old": make_wheel(folder, "tiny", "1.0", "VERSION = 1\n"),
        "new": make_wheel(folder, "tiny", "2.0", "VERSION = 2\n"),
    }
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith(("PIP_", "UV_"))]:
            patch.delenv(name)
        patch.setenv("PIP_CONFIG_FILE", os.devnull)
        patch.setenv("PIP_NO_INDEX", "1")
        patch.setenv("PIP_FIND_LINKS", str(folder))
        yield made


def described(folder: Path, wheels: dict[str, Wheel], package: str) -> Environment:
    """An environment in ``folder``, with locks for the installer and one package."""
    installer, lock = folder / "uv.txt", folder / "dev.txt"
    installer.write_text(wheels["uv"].lock_line)
    lock.write_text(wheels[package].lock_line)
    return Environment(folder / ".venv", installer, lock)


def installed_version(environment: Environment) -> str:
    command = [str(environment.python), "-c", "import tiny_module; print(tiny_module.VERSION)"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, wheels: dict[str, Wheel]) -> Environment:
    environment = described(tmp_path_factory.mktemp("made"), wheels, "old")
    prepare(environment)
    return environment


def test_an_environment_that_was_made_has_the_packages_of_its_lock(made: Environment) -> None:
    assert installed_version(made) == "1"
    assert made.stamp.read_text() == made.locks_hash


def test_an_environment_that_fits_its_locks_is_left_alone(
    made: Environment, capfd: pytest.CaptureFixture[str]
) -> None:
    before = made.python.lstat().st_mtime_ns

    prepare(made)

    assert made.python.lstat().st_mtime_ns == before
    assert capfd.readouterr().err == ""


def test_a_half_made_environment_is_made_again_and_pip_helps_where_uv_fails(
    tmp_path: Path, wheels: dict[str, Wheel], capfd: pytest.CaptureFixture[str]
) -> None:
    environment = described(tmp_path, wheels, "old")
    (environment.folder / "bin").mkdir(parents=True)
    left_over = environment.folder / "left-over"
    left_over.touch()

    prepare(environment)

    said = capfd.readouterr().err
    assert "is half-made, so it is made again" in said
    assert "so pip does it" in said
    assert not left_over.exists()
    assert installed_version(environment) == "1"


def test_changed_locks_are_installed_into_the_environment_that_is_there(
    made: Environment, wheels: dict[str, Wheel], capfd: pytest.CaptureFixture[str]
) -> None:
    made.lock.write_text(wheels["new"].lock_line)
    try:
        prepare(made)

        assert "The locks have changed" in capfd.readouterr().err
        assert installed_version(made) == "2"
    finally:
        made.lock.write_text(wheels["old"].lock_line)
        prepare(made)


def test_an_environment_that_could_not_be_completed_stays_recognisable_as_half_made(
    made: Environment, wheels: dict[str, Wheel]
) -> None:
    made.lock.write_text(f"tiny==2.0 --hash=sha256:{'0' * 64}\n")
    try:
        with pytest.raises(BootstrapError, match="Could not install the packages"):
            prepare(made)

        assert not made.stamp.exists()
    finally:
        made.lock.write_text(wheels["old"].lock_line)
        made.stamp.write_text(made.locks_hash)
