"""A sheet of an Excel file as delimited text, one row a line.

A cell is written as it would be read: a number with the digits that the file holds, a date or time
as ISO 8601, true and false in words. Formulas count for the value that was saved with them.
"""

from __future__ import annotations

import csv
import io
import zipfile
import zlib
from collections.abc import Iterator
from datetime import date, datetime
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import ParseError

from include.contracts import CsvFormat
from include.ingest.reasons import FileRejected, Reason, ReasonCode

_CHUNK_CHARACTERS = 1 << 20
# What openpyxl raises of itself, and of XML that is not what it expects.
_DAMAGE = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    ParseError,
    LookupError,
    ValueError,
    TypeError,
    AttributeError,
)


def sheet_as_text(path: Path, form: CsvFormat) -> Iterator[bytes]:
    """The rows of the contract's sheet in UTF-8; an empty row is a blank line.

    Raises FileRejected if there is no such sheet or the file is no Excel file.
    """
    # Its import takes 0.3 s, and few contracts need it.
    from openpyxl import load_workbook

    # As a stream: of a path openpyxl wants the name to end in .xlsx, which no name in raw does.
    with path.open("rb") as stream:
        try:
            workbook = load_workbook(stream, read_only=True, data_only=True)
            if form.sheet is not None and form.sheet not in workbook.sheetnames:
                raise _rejected(f"has no sheet {form.sheet}")
            sheet = workbook[form.sheet] if form.sheet is not None else workbook.worksheets[0]
            yield from _lines(sheet.iter_rows(values_only=True), form)
        except _DAMAGE as error:
            raise _rejected("is no Excel file that can be read") from error


def _lines(rows: Iterator[tuple[Any, ...]], form: CsvFormat) -> Iterator[bytes]:
    text = io.StringIO()
    writer = csv.writer(text, delimiter=form.delimiter, quotechar=form.quote, lineterminator="\n")
    for row in rows:
        cells = [_cell(value) for value in row]
        if any(cells):
            writer.writerow(cells)
        else:
            text.write("\n")
        if text.tell() > _CHUNK_CHARACTERS:
            yield text.getvalue().encode()
            text.seek(0)
            text.truncate()
    yield text.getvalue().encode()


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        is_day = (value.hour, value.minute, value.second, value.microsecond) == (0, 0, 0, 0)
        return value.date().isoformat() if is_day else value.isoformat(sep=" ")
    if isinstance(value, date):
        return value.isoformat()
    return repr(value) if isinstance(value, float) else str(value)


def _rejected(problem: str) -> FileRejected:
    return FileRejected(Reason(ReasonCode.MALFORMED_PAGE, None, f"the file {problem}"), 0)
