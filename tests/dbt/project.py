"""Runs the dbt project of the repository in this process, without leaving a file in it."""

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

import pytest
from dbt.adapters.duckdb.connections import DuckDBConnectionManager
from dbt.cli.main import dbtRunner, dbtRunnerResult

PROJECT = Path(__file__).parents[2] / "dbt"


@dataclass(frozen=True)
class DbtProject:
    """The project against one DuckDB file; artifacts go to a directory of its own.

    ``root`` may be a copy of the project with a change in it.
    """

    database: Path
    artifacts: Path
    root: Path = PROJECT

    def invoke(self, *arguments: str) -> dbtRunnerResult:
        """Run a dbt command; fail the test with dbt's own messages if it does not succeed."""
        environment = {
            "VENDING_DUCKDB_PATH": str(self.database),
            "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
        }
        command = [
            *arguments,
            *("--project-dir", str(self.root), "--profiles-dir", str(self.root)),
            *("--target-path", str(self.artifacts), "--log-path", str(self.artifacts)),
            "--no-use-colors",
            "--quiet",
        ]
        with mock.patch.dict(os.environ, environment):
            try:
                result = dbtRunner().invoke(command)
            finally:
                _release_database()
        if not result.success:
            pytest.fail(f"dbt {' '.join(arguments)} failed: {_complaints(result)}")
        return result


def _release_database() -> None:
    """Close the file, which dbt-duckdb otherwise holds until the process ends."""
    with suppress(Exception):  # nothing was opened
        DuckDBConnectionManager.env().close()
    DuckDBConnectionManager.close_all_connections()


def _complaints(result: dbtRunnerResult) -> str:
    if result.exception is not None:
        return str(result.exception)
    return "\n".join(
        f"{node.node.unique_id}: {node.message}"
        for node in result.result
        if node.status in ("error", "fail", "runtime error")
    )
