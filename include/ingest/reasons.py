"""Why a row or a file is in quarantine."""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import StrEnum

from include.contracts.model import UNKNOWN_REFERENCE


class ReasonCode(StrEnum):
    """The kinds of reasons, as ``ops.quarantine.first_reason`` holds them."""

    MALFORMED_ROW = "malformed_row"
    MISSING_VALUE = "missing_value"
    INVALID_VALUE = "invalid_value"
    OUT_OF_RANGE = "out_of_range"
    UNKNOWN_VALUE = "unknown_value"
    UNKNOWN_REFERENCE = UNKNOWN_REFERENCE
    TOO_PRECISE = "too_precise"
    CONFLICTING_KEY = "conflicting_key"
    INVALID_ENCODING = "invalid_encoding"
    MALFORMED_HEADER = "malformed_header"
    MALFORMED_PAGE = "malformed_page"
    UNREADABLE_COMPRESSION = "unreadable_compression"
    TOO_MANY_REJECTED = "too_many_rejected"


@dataclass(frozen=True, slots=True)
class Reason:
    """One reason, as ``ops.quarantine.reasons`` holds it. A message never repeats a value."""

    code: ReasonCode
    field: str | None
    message: str

    def to_json(self) -> str:
        content = {"code": self.code.value, "field": self.field, "message": self.message}
        return json.dumps(content, ensure_ascii=False)


class FileRejected(Exception):
    """Nothing of the file can be read as rows. ``rows`` are the rows it may have held."""

    def __init__(self, reason: Reason, rows: int) -> None:
        super().__init__(reason.message)
        self.reason = reason
        self.rows = rows
