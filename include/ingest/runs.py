"""The documents of one ingest run: where they lie in the lake, and reading and writing them.

Their keys follow from the DAG's and the run's id alone, so a task that is run again finds what an
earlier attempt left, and overwrites it.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from include.ingest.plan import Batch, ConformedBatch, IngestPlan, LoadReport
from include.lake import Lake, LakeError, Zone

D = TypeVar("D", bound=BaseModel)


def planned_batch_id(batch_key: str) -> str:
    """The id of the batch that lies at a key."""
    return batch_key.rpartition("/")[2].removesuffix(".json")


def contract_of(batch_key: str) -> str:
    """The source contract of the batch that lies at a key."""
    return planned_batch_id(batch_key).rsplit("-", 2)[0]


@dataclass(frozen=True, slots=True)
class IngestRun:
    """One run of an ingest DAG, and its folder ``staging/_runs/<dag>-<run>-<digest>/``."""

    lake: Lake
    dag_id: str
    run_id: str

    @property
    def digest(self) -> str:
        """Ten hexadecimal digits that stand for the run in the names of its batches."""
        return hashlib.sha256(f"{self.dag_id}\n{self.run_id}".encode()).hexdigest()[:10]

    def batch_id(self, source_contract: str, number: int) -> str:
        return f"{source_contract}-{self.digest}-{number:04d}"

    def write_batch(self, batch: Batch) -> str:
        """Keep a batch; returns its key."""
        key = self._key("batches", batch.batch_id)
        self._write(key, batch)
        return key

    def read_batch(self, key: str) -> Batch:
        return self._read(key, Batch)

    def write_plan(self, plan: IngestPlan) -> None:
        self._write(self._key("plan"), plan)

    def read_plan(self) -> IngestPlan | None:
        """The plan, or None if discovery never finished."""
        key = self._key("plan")
        return self._read(key, IngestPlan) if self.lake.exists(key) else None

    def write_conformed(self, batch_key: str, batch: ConformedBatch) -> None:
        self._write(self._conformed_key(batch_key), batch)

    def read_conformed(self, batch_key: str) -> ConformedBatch | None:
        """What conform made of the batch at that key, or None if it never finished."""
        key = self._conformed_key(batch_key)
        return self._read(key, ConformedBatch) if self.lake.exists(key) else None

    def write_report(self, report: LoadReport) -> None:
        self._write(self._key("load"), report)

    def read_report(self) -> LoadReport:
        return self._read(self._key("load"), LoadReport)

    def _conformed_key(self, batch_key: str) -> str:
        return self._key("conformed", planned_batch_id(batch_key))

    def _key(self, *parts: str) -> str:
        name = re.sub(r"[^A-Za-z0-9.-]+", "_", f"{self.dag_id}-{self.run_id}")[:120]
        return self.lake.key(Zone.PROCESSED, "_runs", f"{name}-{self.digest}", *parts) + ".json"

    def _write(self, key: str, document: BaseModel) -> None:
        self.lake.write_bytes(key, document.model_dump_json(exclude_defaults=True).encode())

    def _read(self, key: str, document: type[D]) -> D:
        try:
            return document.model_validate_json(self.lake.read_bytes(key))
        except ValidationError as error:
            raise LakeError(
                f"{key!r} in the lake is damaged or of another release "
                f"({error.error_count()} mistakes); clear the run's first task."
            ) from error
