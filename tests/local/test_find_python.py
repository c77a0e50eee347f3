from __future__ import annotations

import subprocess
from pathlib import Path

from deploy.local.layout import REPOSITORY

SCRIPT = REPOSITORY / "deploy" / "local" / "find-python"


def python_stub(folder: Path, name: str, *, usable: bool = True) -> Path:
    """An executable that answers the script's question as a Python would."""
    folder.mkdir(parents=True, exist_ok=True)
    stub = folder / name
    stub.write_text(f"#!/bin/sh\nexit {0 if usable else 1}\n")
    stub.chmod(0o755)
    return stub


def find_python(path: Path, home: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["/bin/sh", str(SCRIPT)],
        env={"PATH": str(path), "HOME": str(home)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_3_12_on_the_path_is_preferred_to_a_newer_one(tmp_path: Path) -> None:
    python_stub(tmp_path / "bin", "python3.13")
    wanted = python_stub(tmp_path / "bin", "python3.12")

    assert find_python(tmp_path / "bin", tmp_path).stdout.strip() == str(wanted)


def test_3_12_under_pyenv_is_preferred_to_another_on_the_path(tmp_path: Path) -> None:
    python_stub(tmp_path / "bin", "python3.11")
    wanted = python_stub(tmp_path / ".pyenv" / "versions" / "3.12.4" / "bin", "python3.12")

    assert find_python(tmp_path / "bin", tmp_path).stdout.strip() == str(wanted)


def test_a_python_that_has_no_venv_or_is_too_old_is_passed_over(tmp_path: Path) -> None:
    python_stub(tmp_path / "bin", "python3.12", usable=False)
    wanted = python_stub(tmp_path / "bin", "python3")

    assert find_python(tmp_path / "bin", tmp_path).stdout.strip() == str(wanted)


def test_without_any_usable_python_one_sentence_says_what_to_install(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()

    found = find_python(tmp_path / "bin", tmp_path)

    assert found.returncode == 1
    assert found.stdout == ""
    assert "install Python 3.12" in found.stderr
    assert len(found.stderr.splitlines()) == 1
