"""Makes `.venv`, the environment of everything else, when it is missing, half-made or outdated.

Run by the Makefile with the Python of `find-python`; it needs nothing but the standard library. A
stamp in `.venv` holds the hash of the locks that were installed. It is written last, so an
environment without it is half-made. make compares its time with the locks', so that a warm start
does not even come here.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]


class BootstrapError(Exception):
    """The environment could not be made; the message says what to do."""


@dataclass(frozen=True)
class Environment:
    """Where the environment lies, and the locks that it is made from."""

    folder: Path
    installer_lock: Path
    lock: Path

    @property
    def python(self) -> Path:
        return self.folder / "bin" / "python"

    @property
    def uv(self) -> Path:
        return self.folder / "bin" / "uv"

    @property
    def stamp(self) -> Path:
        return self.folder / "installed-locks"

    @property
    def locks_hash(self) -> str:
        """SHA-256 over both locks."""
        digest = hashlib.sha256()
        for lock in (self.installer_lock, self.lock):
            digest.update(lock.read_bytes())
        return digest.hexdigest()


def prepare(environment: Environment) -> None:
    """Bring the environment up to date; silent and quick when it is.

    Raises BootstrapError with one sentence when a step fails.
    """
    if not environment.folder.exists():
        _say(f"Making the environment in {environment.folder}; this takes minutes, once.")
        _make(environment)
    elif not environment.stamp.exists():
        _say(f"The environment in {environment.folder} is half-made, so it is made again.")
        shutil.rmtree(environment.folder)
        _make(environment)
    elif not _starts(environment.python):
        _say(f"The Python of {environment.folder} is gone, so the environment is made again.")
        shutil.rmtree(environment.folder)
        _make(environment)
    elif environment.stamp.read_text("utf-8") != environment.locks_hash:
        _say("The locks have changed; bringing the environment up to date.")
        environment.stamp.unlink()
        _install(environment)
    else:
        # A checkout gave the locks a new time and the same content.
        environment.stamp.touch()


def _make(environment: Environment) -> None:
    _run([sys.executable, "-m", "venv", str(environment.folder)], "make a virtual environment")
    _install(environment)


def _install(environment: Environment) -> None:
    pip = [str(environment.python), "-m", "pip", "install", "--quiet"]
    hashes = ["--require-hashes", "--requirement"]
    _run([*pip, *hashes, str(environment.installer_lock)], "install uv")
    sync = [str(environment.uv), "pip", "sync", "--python", str(environment.python)]
    # Compiled now, once: Airflow's four processes would otherwise compile, or worse, each start.
    sync += ["--quiet", "--require-hashes", "--compile-bytecode", str(environment.lock)]
    if subprocess.run(sync, env=uv_environment(environment), check=False).returncode:
        _say("uv could not install the packages, so pip does it, which takes longer.")
        _run([*pip, *hashes, str(environment.lock)], "install the packages")
    environment.stamp.write_text(environment.locks_hash, "utf-8")


def uv_environment(environment: Environment) -> dict[str, str]:
    """uv reads no configuration of pip's, so a mirror that only pip knows is handed to it."""
    settings = _pip_settings(environment.python)
    handed = {
        "UV_DEFAULT_INDEX": settings.get("index-url"),
        "UV_INDEX": settings.get("extra-index-url"),
        "UV_FIND_LINKS": settings.get("find-links", "").replace(" ", ",") or None,
        "SSL_CERT_FILE": settings.get("cert"),
        # As pip does: the best version of any index. The hashes say which file it may be.
        "UV_INDEX_STRATEGY": "unsafe-best-match",
    }
    return {name: value for name, value in handed.items() if value} | dict(os.environ)


def _pip_settings(python: Path) -> Mapping[str, str]:
    """pip's own options as it reads them, without the prefixes that say where from."""
    command = [str(python), "-m", "pip", "config", "list"]
    listing = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    settings: dict[str, str] = {}
    for line in listing.splitlines():
        name, _, value = line.partition("=")
        settings[name.rpartition(".")[2]] = " ".join(value.strip("'\"").split())
    return settings


def _starts(python: Path) -> bool:
    try:
        return subprocess.run([str(python), "-c", ""], check=False).returncode == 0
    except OSError:
        return False


def _run(command: Sequence[str], purpose: str) -> None:
    if subprocess.run(command, check=False).returncode:
        raise BootstrapError(
            f"Could not {purpose}: see the message above, mend it, and run make again."
        )


def _say(sentence: str) -> None:
    print(sentence, file=sys.stderr, flush=True)


def main() -> int:
    locks = REPOSITORY / "locks"
    environment = Environment(REPOSITORY / ".venv", locks / "uv.txt", locks / "dev.txt")
    try:
        prepare(environment)
    except (BootstrapError, OSError) as error:
        _say(str(error))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
