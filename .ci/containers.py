"""Holds the Dockerfiles to hadolint's rules and the compose files to compose's own reading of them.

No engine is needed. hadolint comes from an environment of its own, made from locks/containers.txt;
compose is the plugin of docker, or the older docker-compose of the distribution.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from deploy.local.bootstrap import Environment, prepare  # noqa: E402

DOCKERFILES = ("Dockerfile", "deploy/compose/Dockerfile")
# Both as `docker compose` merges them, and each file that is read alone.
COMPOSE_FILES = (("docker-compose.yaml", "docker-compose.override.yml"), ("docker-compose.yaml",))
SECONDS = 60


def main() -> int:
    locks = ROOT / "locks"
    environment = Environment(ROOT / ".venv-containers", locks / "uv.txt", locks / "containers.txt")
    prepare(environment)
    compose = _compose()
    if compose is None:
        print("There is neither `docker compose` nor docker-compose; install one of them.")
        return 1
    commands = [
        [
            str(environment.folder / "bin" / "hadolint"),
            # What is only for information: the images name their users, not the numbers.
            *("--failure-threshold", "warning", *DOCKERFILES),
        ]
    ]
    for files in COMPOSE_FILES:
        named = [part for file in files for part in ("--file", file)]
        commands.append([*compose, *named, "config", "--quiet"])
    # All of them, so that one run shows every finding.
    return max(
        subprocess.run(command, cwd=ROOT, timeout=SECONDS, check=False).returncode
        for command in commands
    )


def _compose() -> list[str] | None:
    plugin = ["docker", "compose"]
    if shutil.which("docker"):
        asked = subprocess.run([*plugin, "version"], capture_output=True, check=False)
        if asked.returncode == 0:
            return plugin
    return ["docker-compose"] if shutil.which("docker-compose") else None


if __name__ == "__main__":
    sys.exit(main())
