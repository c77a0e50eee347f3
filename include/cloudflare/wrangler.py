"""Runs wrangler, Cloudflare's command line, for what the API offers to nobody else: Pages uploads.

Wrangler's own requests are outside the limiter: about six, and one for each 40 MB of new files.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

from include.cloudflare.access import CloudflareAccess
from include.cloudflare.client import api_root
from include.cloudflare.errors import CloudflareError

DEPLOY_SECONDS = 600.0

_COLOURS = re.compile(r"\x1b\[[0-9;]*m")


@dataclass(frozen=True, slots=True)
class Wrangler:
    """The command and what it may do. ``home`` is a scratch folder that takes its logs."""

    command: tuple[str, ...]
    access: CloudflareAccess
    home: Path

    def deploy_pages(self, folder: Path, project: str, branch: str) -> str:
        """Deploy a folder as a Pages project's site; returns the address of the deployment.

        Raises CloudflareError if there is no wrangler, or with what wrangler says.
        """
        told = self.home / "wrangler.ndjson"
        told.unlink(missing_ok=True)
        self._run("pages", "deploy", str(folder), f"--project-name={project}", f"--branch={branch}")
        lines = told.read_text(encoding="utf-8").splitlines() if told.is_file() else []
        for entry in map(json.loads, lines):
            if entry["type"] == "pages-deploy":
                return entry["url"]
        raise CloudflareError(f"Wrangler did not say where {project} was deployed; run it again.")

    def _run(self, *arguments: str) -> None:
        try:
            done = subprocess.run(
                [*self.command, *arguments, "--commit-dirty=true"],
                cwd=self.home,
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=DEPLOY_SECONDS,
                check=False,
            )
        except FileNotFoundError:
            raise CloudflareError(
                f"There is no {self.command[0]}; install wrangler as docs/cloudflare.md says, or "
                "set VENDING_WRANGLER to its command."
            ) from None
        except subprocess.TimeoutExpired:
            raise CloudflareError(
                f"Wrangler has not ended after {DEPLOY_SECONDS:.0f} s; run the task again."
            ) from None
        if done.returncode != 0:
            raise CloudflareError(
                f"Wrangler refused ({_reason(done.stdout + done.stderr)}); mend the cause and run "
                "the task again."
            )

    def _environment(self) -> dict[str, str]:
        """Nothing of this process's own: the token is not in the arguments, nor asked for."""
        given = {
            "CLOUDFLARE_ACCOUNT_ID": self.access.account_id,
            "CLOUDFLARE_API_TOKEN": self.access.token,
            "WRANGLER_OUTPUT_FILE_PATH": str(self.home / "wrangler.ndjson"),
            "WRANGLER_SEND_METRICS": "false",
            "CI": "true",
            "HOME": str(self.home),
            "PATH": os.defpath,
        }
        root = api_root(self.access.base_url)
        return given if root is None else given | {"CLOUDFLARE_API_BASE_URL": root}


def _reason(output: str) -> str:
    """Wrangler's sentence, with Cloudflare's code where there is one."""
    lines = [line.strip() for line in _COLOURS.sub("", output).splitlines()]
    said = [line.partition("[ERROR]")[2].strip() for line in lines if "[ERROR]" in line]
    codes = [line for line in lines if "[code: " in line]
    return " ".join([*said[:1], *codes[:1]]).rstrip(".") or "no reason given"
