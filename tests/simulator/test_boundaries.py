"""The simulator is outside of what it tests."""

import ast
from pathlib import Path

SIMULATOR = Path(__file__).parents[2] / "simulator"


def test_no_module_imports_the_pipeline() -> None:
    modules = sorted(SIMULATOR.rglob("*.py"))
    assert len(modules) > 10
    for module in modules:
        for node in ast.walk(ast.parse(module.read_text("utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom):
                names = [node.module or ""]
            roots = {name.split(".")[0] for name in names}
            assert not roots & {"include", "dags", "plugins", "dbt", "airflow", "pandas"}, module
