"""Which fields of its contract a JSON file does not have in any of its objects."""

from __future__ import annotations

import json

import msgspec

from include.contracts import JsonFormat, JsonShape, SourceContract
from include.ingest.plain import open_plain
from include.ingest.reasons import FileRejected
from include.ingest.records import LONGEST_RECORD
from include.ingest.workspace import RawFile

_Object = dict[str, msgspec.Raw]


def absent_fields(file: RawFile, contract: SourceContract, form: JsonFormat) -> frozenset[str]:
    """The declared fields that no object has; none where there is no object at all.

    Usually the first object answers. Raises OSError.
    """
    absent = {name: json.dumps(name, ensure_ascii=False).encode() for name in contract.columns}
    has_object = False
    try:
        with open_plain(file.path, form) as stream:
            if form.shape is JsonShape.PAGE:
                stream.readline(LONGEST_RECORD)
            while absent and (line := stream.readline(LONGEST_RECORD)):
                # To look for a name is cheap; one may also be written with escapes.
                if has_object and not (b"\\u" in line or any(n in line for n in absent.values())):
                    continue
                if (item := _object(line)) is not None:
                    has_object = True
                    absent = {name: n for name, n in absent.items() if name not in item}
    except FileRejected:
        return frozenset()
    return frozenset(absent) if has_object else frozenset()


def _object(line: bytes) -> _Object | None:
    try:
        return msgspec.json.decode(line, type=_Object)
    except (msgspec.DecodeError, RecursionError):
        return None
