"""The checksum of the code that runs: what staging has verified is what prod may run."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from include.settings import CODE_ROOT

# On MWAA include/ and dbt/ lie beside the DAG files, elsewhere beside the folder dags/.
_FOLDERS = ("include", "dbt")
_GENERATED = frozenset({"__pycache__", "manifests", "target", "logs", "dbt_packages"})


@cache
def bundle_checksum(root: Path = CODE_ROOT) -> str:
    """SHA-256 over every source file of the DAGs, of include/ and of dbt/, by name and content."""
    digest = hashlib.sha256()
    for name, path in sorted(_sources(root)):
        content = path.read_bytes()
        digest.update(f"{name}\0{len(content)}\0".encode())
        digest.update(content)
    return digest.hexdigest()


def _sources(root: Path) -> Iterator[tuple[str, Path]]:
    dags = root / "dags" if (root / "dags").is_dir() else root
    yield from ((f"dags/{path.name}", path) for path in dags.glob("*.py"))
    for folder in _FOLDERS:
        for place, folders, files in os.walk(root / folder):
            folders[:] = [f for f in folders if f not in _GENERATED and not f.startswith(".")]
            for file in files:
                path = Path(place, file)
                yield path.relative_to(root).as_posix(), path
