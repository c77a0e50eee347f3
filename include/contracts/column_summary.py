"""A statistical profile of a sample file's columns, made by pointblank, as a page beside its draft.

pointblank is no part of the deployed environment, so it is imported only where a page is made.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from datetime import datetime

import pyarrow as pa

from include.contracts.model import FieldType
from include.contracts.profile import ColumnProfile

_LABELS = {
    "n_missing": "missing",
    "n_unique": "different",
    "min": "min",
    "p05": "5 %",
    "q_1": "25 %",
    "median": "median",
    "q_3": "75 %",
    "p95": "95 %",
    "max": "max",
    "mean": "mean",
    "std": "deviation",
}
_NOTE = "Of text the lengths are described; a missing value counts as a different one."


class SummaryError(RuntimeError):
    """No summary can be made; the message is one sentence with the remedy."""


def summarise_columns(title: str, profiles: Sequence[ColumnProfile]) -> str:
    """The HTML page that describes each column, without a value of a text column.

    Raises SummaryError where pointblank is not installed.
    """
    try:
        from great_tables import GT
        from pointblank import DataScan
    except ModuleNotFoundError as error:
        raise SummaryError(
            f"The columns were not profiled, as {error.name} is not installed; run make env, or "
            "pip install pointblank."
        ) from error
    table = pa.table({profile.name: _typed(profile) for profile in profiles})
    columns = DataScan(table).to_dict()["columns"]
    # pointblank's own report marks its cells up, which this release of great_tables escapes.
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "PyArrow Table support is currently experimental")
        page = GT(pa.Table.from_pylist([_shown(column) for column in columns]))
    page = page.tab_header(title, f"{table.num_rows} rows").tab_source_note(_NOTE)
    return page.as_raw_html(make_page=True)


def _typed(profile: ColumnProfile) -> pa.Array:
    """The values by their type. No statistic is over several columns, so nulls come last."""
    read = _reader(profile)
    try:
        values = [read(value) for value in profile.plain]
    except ValueError:
        # Written as a time, such as 2026-02-30 10:00:00, and none.
        values = list(profile.plain)
    kind = pa.string() if not values else None
    return pa.array([*values, *[None] * (profile.rows - profile.filled)], kind)


def _reader(profile: ColumnProfile) -> Callable[[str], object]:
    form = profile.properties.get("formats", [None])[0]
    true = profile.properties.get("trueWords", ["true"])
    readers: dict[FieldType, Callable[[str], object]] = {
        FieldType.INTEGER: int,
        FieldType.DECIMAL: float,
        FieldType.BOOLEAN: lambda value: value.casefold() in true,
        FieldType.DATE: lambda value: _moment(value, form).date(),
        FieldType.TIMESTAMP: lambda value: _moment(value, form),
    }
    return readers.get(profile.type, str)


def _moment(value: str, form: str | None) -> datetime:
    if form is None:
        return datetime.fromisoformat(value)
    return datetime.strptime(value, form.replace("%-", "%"))  # noqa: DTZ007 - as it is written


def _shown(column: dict[str, object]) -> dict[str, str]:
    """A row of the page: the column's name and type, and each statistic that it has."""
    statistics = column["statistics"]
    assert isinstance(statistics, dict)
    cells = {label: _number(statistics.get(name)) for name, label in _LABELS.items()}
    kind = str(column["coltype"]).partition("(")[0]
    return {"column": str(column["colname"]), "type": kind} | cells


def _number(value: object) -> str:
    if value is None:
        return ""
    return f"{value:.6g}" if isinstance(value, float) else str(value)
