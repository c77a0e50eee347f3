"""plugins.zip: the same bytes from the same files, and nothing that needs the DAGs folder."""

from __future__ import annotations

import ast
import zipfile
from collections.abc import Iterator
from pathlib import Path

from deploy.mwaa.errors import MwaaError

# The earliest time that a zip can hold; any fixed one would do.
EPOCH = (1980, 1, 1, 0, 0, 0)
REGULAR_FILE = 0o100644 << 16
# On MWAA the web server has no DAGs folder, and elsewhere it joins sys.path after plugins load.
ABSENT = frozenset({"dags", "dbt", "deploy", "include", "simulator", "tests"})


def write_plugins(folder: Path, archive: Path) -> None:
    """Pack ``folder``. Raises MwaaError if a plugin imports what is not there when it is loaded."""
    files = [path for path in sorted(folder.rglob("*")) if _belongs(path)]
    for path in files:
        if path.suffix == ".py":
            _refuse_absent_imports(path)
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as packed:
        for path in files:
            entry = zipfile.ZipInfo(path.relative_to(folder).as_posix(), EPOCH)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = REGULAR_FILE
            packed.writestr(entry, path.read_bytes())


def _belongs(path: Path) -> bool:
    return path.is_file() and "__pycache__" not in path.parts


def _refuse_absent_imports(path: Path) -> None:
    for module in _imported(ast.parse(path.read_text("utf-8"), str(path))):
        if module.partition(".")[0] in ABSENT:
            raise MwaaError(
                f"The plugin {path.name} imports {module}, which MWAA's web server does not have: "
                "read what it needs from the lake or from Airflow's configuration."
            )


def _imported(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module
