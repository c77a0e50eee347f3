"""Reads OpenLineage events as a tool does: which columns another one was made of."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

Column = tuple[str, str, str]
Dataset = tuple[str, str]


@dataclass(frozen=True)
class Lineage:
    """The events of a file transport. A column is its dataset's namespace and name, and its own."""

    file: Path

    @cached_property
    def events(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.file.read_text("utf-8").splitlines()]

    def origins(self, column: Column) -> set[Column]:
        """The columns at the beginning of all ways that lead to a column."""
        made_of = self._made_of.get(column, set())
        return set().union(*map(self.origins, made_of)) if made_of else {column}

    def files(self, dataset: Dataset) -> set[str]:
        """The files of a dataset that tasks have read."""
        return {
            location
            for event in self.events
            for each in event["inputs"]
            if (each["namespace"], each["name"]) == dataset and "inputFacets" in each
            for location in each["inputFacets"]["subset"]["inputCondition"]["locations"]
        }

    def runs_above(self, job: str) -> set[str]:
        """The jobs of which the events of a job say that it is a part."""
        parents = (
            event["run"]["facets"]["parent"]["job"]["name"]
            for event in self.events
            if event["job"]["name"] == job
        )
        return set(parents)

    @cached_property
    def _made_of(self) -> dict[Column, set[Column]]:
        found: dict[Column, set[Column]] = {}
        for output in self._outputs():
            fields = output["facets"].get("columnLineage", {}).get("fields", {})
            for name, field in fields.items():
                column = (output["namespace"], output["name"], name)
                found.setdefault(column, set()).update(
                    (each["namespace"], each["name"], each["field"])
                    for each in field["inputFields"]
                )
        return found

    def _outputs(self) -> Iterator[dict[str, Any]]:
        for event in self.events:
            yield from event["outputs"]
