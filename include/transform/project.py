"""The dbt project: where it lies, its target, and what its manifest was built from."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from include.settings import CODE_ROOT, DuckDBSettings, Settings, WarehouseSettings

SOURCE_SUFFIXES = frozenset({".sql", ".yml", ".yaml", ".csv", ".md", ".json"})
GENERATED_FOLDERS = frozenset({"manifests", "target", "logs", "dbt_packages"})
# What reads and draws the project: another version of any makes another manifest or layout, and so
# does another way to draw.
PARSERS = ("dbt-core", "dbt-adapters", "astronomer-cosmos")
DRAWING = (
    "include/transform/cosmos_config.py",
    "include/transform/layout.py",
    "include/publish/pipeline_tables.py",
)


class ManifestError(RuntimeError):
    """There is no usable manifest; the message says how to build one."""


@dataclass(frozen=True, slots=True)
class DbtProject:
    """A dbt project with one of its targets.

    ``environment`` holds the variables that profiles.yml reads. ``manifest_path`` is where the
    manifest of the target is kept, with dbt's own parse cache beside it. ``database`` is the
    warehouse's, None where it makes no difference. ``threads`` of None leaves the number to
    profiles.yml.
    """

    path: Path
    target: str
    manifest_path: Path
    environment: tuple[tuple[str, str], ...] = ()
    database: str | None = None
    threads: int | None = None

    @property
    def parse_cache_path(self) -> Path:
        """The manifest in dbt's own form, from which it can be loaded whole."""
        return self.manifest_path.with_suffix(".msgpack")

    @property
    def layout_path(self) -> Path:
        """The graph that Cosmos drew of the manifest (include/transform/layout.py)."""
        return layout_path(self.manifest_path)

    @property
    def fingerprint_path(self) -> Path:
        """The fingerprint of the sources that the manifest was built from."""
        return self.manifest_path.with_suffix(".sha256")

    @property
    def built_files(self) -> tuple[Path, ...]:
        """All that `make manifest` writes."""
        return (self.manifest_path, self.parse_cache_path, self.layout_path, self.fingerprint_path)

    @classmethod
    def of_target(cls, target: str) -> DbtProject:
        """The repository's project, for work that touches no warehouse."""
        path = CODE_ROOT / "dbt"
        return cls(path=path, target=target, manifest_path=path / "manifests" / f"{target}.json")

    @classmethod
    def of_settings(cls, settings: Settings) -> DbtProject:
        """The repository's project with the warehouse that the settings name.

        For tasks: Snowflake's connection is asked for. Raises WarehouseError.
        """
        return cls(
            path=settings.dbt_project_path,
            target=settings.dbt_target,
            manifest_path=settings.dbt_manifest_path,
            environment=_profile_variables(settings),
            database=warehouse_database(settings.warehouse),
            threads=settings.dbt_threads,
        )

    def fingerprint(self) -> str:
        """SHA-256 over the target, what reads it, and every source file's path and content."""
        digest = hashlib.sha256(self.target.encode())
        for path in DRAWING:
            digest.update((CODE_ROOT / path).read_bytes())
        for parser in PARSERS:
            digest.update(version(parser).encode())
        for path in sorted(_sources(self.path)):
            content = path.read_bytes()
            name = path.relative_to(self.path).as_posix()
            digest.update(f"\0{name}\0{len(content)}\0".encode())
            digest.update(content)
        return digest.hexdigest()

    def has_manifest_of(self, fingerprint: str) -> bool:
        """Whether the manifest is there and was built from the sources of this fingerprint."""
        try:
            built = self.fingerprint_path.read_text(encoding="ascii")
        except FileNotFoundError:
            return False
        return built == fingerprint and all(part.is_file() for part in self.built_files)


def layout_path(manifest_path: Path) -> Path:
    """Where the layout of a manifest is kept."""
    return manifest_path.with_suffix(".layout.json")


def _sources(root: Path) -> Iterator[Path]:
    for folder, folders, files in os.walk(root):
        folders[:] = [f for f in folders if f not in GENERATED_FOLDERS and not f.startswith(".")]
        yield from (Path(folder, f) for f in files if Path(f).suffix in SOURCE_SUFFIXES)


def _profile_variables(settings: Settings) -> tuple[tuple[str, str], ...]:
    warehouse = settings.warehouse
    if isinstance(warehouse, DuckDBSettings):
        return (
            ("VENDING_DUCKDB_PATH", str(warehouse.path)),
            ("VENDING_DUCKDB_MEMORY_LIMIT", _memory_limit()),
        )
    # Imported here: a laptop needs no connector.
    from include.warehouse.snowflake_profile import profile_variables

    return profile_variables(warehouse)


def _memory_limit() -> str:
    """Three fifths of what this process may have, as DuckDB reads it.

    By itself DuckDB takes four fifths, of the machine or of the process's memory group; beside what
    it counts the process holds so much more that a build of 100 million sales was ended in 8 GB.
    """
    # Imported here: no parse of a DAG file should pay for it.
    import duckdb

    with duckdb.connect() as connection:
        [(own,)] = connection.execute("SELECT current_setting('memory_limit')").fetchall()
    size, unit = own.split()
    return f"{float(size) * 3 / 4:.1f}{unit}"


def warehouse_database(warehouse: WarehouseSettings) -> str:
    """The database's name, with which dbt begins those of relations."""
    # DuckDB names the database of a file by the file.
    return warehouse.path.stem if isinstance(warehouse, DuckDBSettings) else warehouse.database
