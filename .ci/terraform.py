"""Holds deploy/terraform to the grammar of HCL, to terraform's own format and to checkov's rules.

checkov and its parser come from an environment of their own, made from locks/terraform.txt. The
format is checked where terraform is installed; no account is needed and no provider is fetched.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from deploy.local.bootstrap import Environment, prepare  # noqa: E402

FOLDER = ROOT / "deploy" / "terraform"
PARSE = "import sys, hcl2\nfor name in sys.argv[1:]:\n    hcl2.load(open(name))"
SECONDS = 300


def main() -> int:
    locks = ROOT / "locks"
    environment = Environment(ROOT / ".venv-terraform", locks / "uv.txt", locks / "terraform.txt")
    prepare(environment)
    files = sorted(str(path) for path in FOLDER.rglob("*.tf") if ".terraform" not in path.parts)
    if not files:
        print(f"{FOLDER} has no Terraform files: this check looks in the wrong place.")
        return 1
    commands = [
        [str(environment.python), "-c", PARSE, *files],
        [
            str(environment.folder / "bin" / "checkov"),
            *("--directory", str(FOLDER), "--framework", "terraform"),
            *("--skip-download", "--quiet", "--compact"),
        ],
    ]
    if terraform := shutil.which("terraform"):
        commands.append([terraform, "fmt", "-check", "-recursive", "-diff", str(FOLDER)])
    else:
        print("terraform: FORMAT NOT CHECKED, terraform is not installed.")
    # All of them, so that one run shows every finding.
    return max([subprocess.run(c, timeout=SECONDS, check=False).returncode for c in commands])


if __name__ == "__main__":
    sys.exit(main())
