"""Where things are on a laptop."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, slots=True)
class Layout:
    """Two folders that git ignores: the data and Airflow's home. All else lies below them."""

    data: Path
    airflow_home: Path

    @property
    def sources(self) -> Path:
        return self.data / "sources"

    @property
    def simulator_state(self) -> Path:
        return self.data / "simulator.json"

    @property
    def warehouse(self) -> Path:
        return self.data / "dbt_dev.duckdb"

    @property
    def snapshot(self) -> Path:
        return self.data / "snapshot" / "vending.duckdb"

    @property
    def dbt_artifacts(self) -> Path:
        return self.data / "dbt-artifacts"

    @property
    def dbt_documentation(self) -> Path:
        return self.dbt_artifacts / "documentation"

    @property
    def alerts(self) -> Path:
        return self.data / "alerts.log"

    @property
    def health_snapshot(self) -> Path:
        return self.data / "monitoring" / "health.json"

    @property
    def run_summary(self) -> Path:
        return self.data / "run-summary.json"

    @property
    def metadata_database(self) -> Path:
        return self.airflow_home / "airflow.db"

    @property
    def airflow_config(self) -> Path:
        return self.airflow_home / "airflow.cfg"

    @property
    def passwords(self) -> Path:
        """The login that SimpleAuthManager generates when the API server first starts."""
        return self.airflow_home / "simple_auth_manager_passwords.json.generated"

    @property
    def migrated_version(self) -> Path:
        """The Airflow version whose tables the metadata database has."""
        return self.airflow_home / "migrated-version"

    @property
    def process_logs(self) -> Path:
        return self.airflow_home / "logs" / "processes"

    @property
    def stack_state(self) -> Path:
        return self.airflow_home / "stack.json"

    @property
    def edge_state(self) -> Path:
        """The local Cloudflare that is up, with its tokens."""
        return self.airflow_home / "edge.json"

    @property
    def lock(self) -> Path:
        return self.airflow_home / "lock"
