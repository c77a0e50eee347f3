"""Makes the rows of an export: masked again, dates shifted, what is rare suppressed.

What is masked in the warehouse is masked a second time with another pepper, so that a hash of a
hash leads back to neither. Besides, an export hides who is who: the identifier of a person (the key
of a dataset with quasi-identifiers, and every reference to it) is hashed, equal ones to equal ones,
so joins hold.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import duckdb

from include.contracts import Catalog, DatasetContract, Field, FieldType, Masking, MaskingStrategy
from include.contracts.exported import exported_fields
from include.contracts.model import SourceContract
from include.ingest.spelling import literal
from include.privacy.masking_sql import masking_sql

_HASHED = Masking(MaskingStrategy.KEYED_HASH)


@dataclass(frozen=True, slots=True)
class ExportRules:
    """What a person may choose of an export.

    ``k`` is how many persons must share every combination of quasi-identifiers, ``shift_days`` the
    days by which every date and moment is moved.
    """

    k: int = 5
    shift_days: int = 1


def person_fields(catalog: Catalog) -> frozenset[tuple[str, str]]:
    """(dataset, field) of each field whose values stand for one person each, named or not."""
    identifiers = {
        (dataset.name, name)
        for dataset in catalog.datasets
        if any(field.is_quasi_identifier for field in dataset.fields)
        for name in dataset.key
        if name != dataset.business_date.field
    }
    references = {
        (dataset.name, field.name)
        for dataset in catalog.datasets
        for field in dataset.fields
        if field.reference and tuple(field.reference.split(".")) in identifiers
    }
    return frozenset(identifiers | references)


@dataclass(frozen=True, slots=True)
class Anonymiser:
    """Makes one contract's export in a connection with the export's pepper.

    It leaves two tables: ``original``, the rows as they are stored, and ``exported``, all of it
    text. ``persons`` is of `person_fields`.
    """

    connection: duckdb.DuckDBPyConnection
    contract: SourceContract
    persons: frozenset[tuple[str, str]]
    rules: ExportRules

    @property
    def dataset(self) -> DatasetContract:
        return self.contract.dataset

    @property
    def fields(self) -> tuple[Field, ...]:
        return exported_fields(self.contract)

    @property
    def quasi_identifiers(self) -> tuple[Field, ...]:
        return tuple(field for field in self.fields if field.is_quasi_identifier)

    @property
    def person(self) -> tuple[str, ...]:
        """The fields that tell persons apart in this dataset; none if it is not about persons."""
        return tuple(name for name in self.dataset.key if self.is_person(name))

    @property
    def counted_persons(self) -> str:
        """The aggregate that counts persons, or rows where rows are all that there is."""
        return f"count(DISTINCT ({', '.join(self.person)}))" if self.person else "count(*)"

    def is_person(self, field_name: str) -> bool:
        return (self.dataset.name, field_name) in self.persons

    def read(self, parquets: Sequence[Path], loads: dict[int, int], day: date | None) -> None:
        """Make ``original`` of conformed rows: of one business day, or of all days.

        ``loads`` has the ledger sequence of each load that counts. Of rows of one key the one that
        was loaded last is taken, as the intermediate models do.
        """
        columns = ", ".join(
            f"CAST(NULL AS {column.physical_type}) AS {column.name}"
            for column in self.dataset.raw_columns
        )
        files = ", ".join(literal(str(path)) for path in parquets)
        sequences = ", ".join(f"({load_id}, {sequence})" for load_id, sequence in loads.items())
        is_of_day = "TRUE"
        if day is not None:
            is_of_day = f"{self.dataset.business_date.field} = DATE {literal(day.isoformat())}"
        # By name, because Parquet of an earlier contract has not all of today's columns.
        self.connection.execute(
            f"""
            CREATE TABLE original AS
            WITH stored AS (
                SELECT {columns} WHERE FALSE
                UNION ALL BY NAME
                SELECT * FROM read_parquet([{files}], union_by_name = TRUE)
            )
            SELECT stored.*
            FROM stored
            INNER JOIN (VALUES {sequences}) AS loads (load_id, loaded_seq)
                ON stored._load_id = loads.load_id
            WHERE {is_of_day}
            QUALIFY row_number() OVER (
                PARTITION BY {", ".join(self.dataset.key)} ORDER BY loads.loaded_seq DESC
            ) = 1
            """
        )

    def anonymise(self) -> int:
        """Make ``exported`` of ``original``; returns the number of its rows."""
        masked = ", ".join(f"{self._masked(field)} AS {field.name}" for field in self.fields)
        # First what is rare by itself, such as the end of a telephone number: otherwise it would
        # make every combination rare that it is part of.
        common = ", ".join(self._unless_rare(field, (field,)) for field in self.fields)
        together = ", ".join(
            self._unless_rare(field, self.quasi_identifiers) for field in self.fields
        )
        self.connection.execute(
            f"""
            CREATE TABLE exported AS
            WITH masked AS (SELECT {masked} FROM original),
            common AS (SELECT {common} FROM masked)
            SELECT {together} FROM common
            """
        )
        [(rows,)] = self.connection.execute("SELECT count(*) FROM exported").fetchall()
        return rows

    def write(self, path: Path) -> None:
        """Write ``exported`` as JSON lines, the same rows always in the same order."""
        # An order, or an unchanged master would be a new version of itself every night.
        columns = ", ".join(field.name for field in self.fields)
        self.connection.execute(
            f"COPY (SELECT * FROM exported ORDER BY {columns}) "
            f"TO {literal(str(path))} (FORMAT json, ARRAY FALSE)"
        )

    def _masked(self, field: Field) -> str:
        if self.is_person(field.name):
            return masking_sql(_HASHED, field.name)
        if field.masking:
            return masking_sql(field.masking, field.name)
        value = field.name
        if field.type in (FieldType.DATE, FieldType.TIMESTAMP) and self.rules.shift_days:
            shifted = f"{field.name} + INTERVAL {self.rules.shift_days} DAY"
            value = f"CAST({shifted} AS {field.physical_type})"
        return f"CAST({value} AS VARCHAR)"

    def _unless_rare(self, field: Field, shared: Sequence[Field]) -> str:
        """A quasi-identifier's value, unless fewer than k persons share those fields."""
        if not field.is_quasi_identifier or field.required:
            return field.name
        names = ", ".join(each.name for each in shared)
        return (
            f"CASE WHEN {self.counted_persons} OVER (PARTITION BY {names}) >= {self.rules.k} "
            f"THEN {field.name} END AS {field.name}"
        )
