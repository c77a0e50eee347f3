"""The integrity test of the Astro CLI passes, as `astro dev parse` runs it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from include.settings import CODE_ROOT, Environment
from include.transform.manifest import build_manifest
from include.transform.project import DbtProject

INTEGRITY_TEST = CODE_ROOT / ".astro" / "test_dag_integrity_default.py"


def test_every_dag_passes_the_integrity_test_of_astro(tmp_path: Path) -> None:
    build_manifest(DbtProject.of_target(Environment.DEV))
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("AIRFLOW", "PYTEST", "VENDING_"))
    }
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(INTEGRITY_TEST)],
        cwd=CODE_ROOT,
        env=inherited | {"AIRFLOW_HOME": str(tmp_path), "PYTHONPATH": str(CODE_ROOT)},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:]
    assert "3 passed" in done.stdout
