"""What a contract says, as frozen and checked data.

A dataset contract is one raw table; a source contract is one vendor's format and its mapping to a
dataset. Both are read from Open Data Contract Standard YAML by `include.contracts.reader`.
"""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import StrEnum
from functools import cached_property
from graphlib import CycleError, TopologicalSorter

from include.contracts.masking import KEYED, SEARCHED, Masking, MaskingStrategy


class ContractError(ValueError):
    """A contract is wrong; the message names the file, the field and the remedy."""


class FieldType(StrEnum):
    """The logical types of the standard that a raw table can hold."""

    TEXT = "string"
    INTEGER = "integer"
    DECIMAL = "number"
    BOOLEAN = "boolean"
    DATE = "date"
    TIMESTAMP = "timestamp"
    JSON = "object"


class LoadMode(StrEnum):
    """What a new file version does to the earlier one: retire its rows, or stay beside it."""

    REPLACE = "replace"
    APPEND = "append"


class SameContent(StrEnum):
    """What becomes of a file whose content came under another name already."""

    LOAD = "load"
    SKIP = "skip"


class Severity(StrEnum):
    """What a broken rule does: rejects the row, lets it pass and counts it, or rejects the file."""

    QUARANTINE = "quarantine"
    WARN = "warn"
    FAIL = "fail"


class Packing(StrEnum):
    """What a file is wrapped in."""

    NONE = "none"
    GZIP = "gzip"
    ZIP = "zip"
    ZSTD = "zstd"
    EXCEL = "excel"


class Classification(StrEnum):
    """Who a field's values are for. Personal ones, and what people wrote freely, are masked."""

    PUBLIC = "public"
    INTERNAL = "internal"
    PERSONAL = "personal"
    FREE_TEXT = "free_text"


class Dialect(StrEnum):
    """The warehouses that the raw tables can live in."""

    DUCKDB = "duckdb"
    SNOWFLAKE = "snowflake"


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a dataset.

    ``physical_type`` is the column's SQL type, the same on both warehouses. ``minimum`` and
    ``maximum`` are inclusive; those of a timestamp are dates, in UTC, and its maximum is the last
    day. ``reference`` (``dataset.field``) is where the value should be known; see `Reference`. A
    ``derived`` field is computed from another and no source maps it.
    ``classification`` is None where nobody has judged the field. With ``masking`` the values are
    stored masked; the rules hold of the values as they came. A quasi-identifier names nobody, but
    together with others it may point at one person.
    """

    name: str
    description: str
    type: FieldType
    physical_type: str
    required: bool = False
    key_position: int | None = None
    minimum: Decimal | date | None = None
    maximum: Decimal | date | None = None
    allowed_values: tuple[str, ...] = ()
    pattern: str | None = None
    classification: Classification | None = None
    masking: Masking | None = None
    reference: str | None = None
    derived: bool = False
    is_quasi_identifier: bool = False

    @property
    def is_personal(self) -> bool:
        return self.classification is Classification.PERSONAL

    @property
    def scale(self) -> int:
        """Digits after the decimal point; 0 for a type that has none."""
        match = re.fullmatch(r"DECIMAL\((\d+),(\d+)\)", self.physical_type)
        return int(match[2]) if match else 0


# The reason code of a value that refers to nothing known.
UNKNOWN_REFERENCE = "unknown_reference"


@dataclass(frozen=True, slots=True)
class Reference:
    """A field whose values should be those of ``key`` in another dataset of the same source.

    The severity is to warn unless a source contract says otherwise: a sale of a machine that no
    master knows is kept.
    """

    field: str
    dataset: str
    key: str
    severity: Severity = Severity.WARN


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table in the warehouse; ``classification`` and ``masking`` as of `Field`."""

    name: str
    physical_type: str
    required: bool
    description: str
    classification: Classification | None = None
    masking: Masking | None = None


@dataclass(frozen=True, slots=True)
class BusinessDate:
    """The field that holds a row's date in the source's own time zone.

    With ``event_time`` the date is computed from that timestamp; without, the source writes it.
    """

    field: str
    event_time: str | None = None


SOURCE_COLUMN = Column(
    "_source",
    "VARCHAR",
    True,
    "The vendor that the row came from.",
    Classification.INTERNAL,
)
LOAD_ID_COLUMN = Column(
    "_load_id",
    "BIGINT",
    True,
    "The load that brought the row; see ops.load_history.",
    Classification.INTERNAL,
)
EXTRA_COLUMN = Column(
    "_extra",
    "VARCHAR",
    False,
    "JSON object of the columns that the source contract does not know; null where there are none.",
    Classification.FREE_TEXT,
    SEARCHED,
)


@dataclass(frozen=True)
class DatasetContract:
    """One raw table: its fields, its key within a source, and how a new version is loaded.

    ``freshness_hours`` is how old the latest load may be before people are warned; None for data
    that may stay unchanged for months.
    """

    name: str
    version: str
    owner: str
    description: str
    grain: str
    load_mode: LoadMode
    business_date: BusinessDate
    fields: tuple[Field, ...]
    freshness_hours: int | None = None

    @cached_property
    def key(self) -> tuple[str, ...]:
        """The fields that identify a row of one source, in the contract's order."""
        keyed = [field for field in self.fields if field.key_position is not None]
        return tuple(field.name for field in sorted(keyed, key=lambda field: field.key_position))

    @cached_property
    def raw_columns(self) -> tuple[Column, ...]:
        """The columns of the raw table, in order, the technical ones last."""
        fields = (
            Column(
                field.name,
                field.physical_type,
                field.required,
                field.description,
                field.classification,
                field.masking,
            )
            for field in self.fields
        )
        return (*fields, SOURCE_COLUMN, LOAD_ID_COLUMN, EXTRA_COLUMN)

    def field(self, name: str) -> Field:
        """The field of that name. Raises KeyError."""
        for field in self.fields:
            if field.name == name:
                return field
        raise KeyError(f"{name} is no field of {self.name}")


@dataclass(frozen=True, slots=True)
class CsvFormat:
    """Delimited text, one record a line; an Excel sheet is read as such text.

    ``encodings`` are Python codec names: the first in which the whole file can be read is taken, a
    byte order mark before all. ``escape`` stands before a quote inside quotes; None where quotes
    are doubled. ``is_multiline`` lets a quoted field hold line ends, so that a record spans several
    lines. ``skipped_lines`` stand before the header, or the first row where there is no header.
    The last ``footer_lines`` are no rows, nor are last lines that match ``footer_pattern``.
    ``sheet`` names the sheet; None is the first.
    """

    encodings: tuple[str, ...] = ("utf-8",)
    delimiter: str = ","
    quote: str = '"'
    escape: str | None = None
    is_multiline: bool = False
    has_header: bool = True
    skipped_lines: int = 0
    footer_lines: int = 0
    footer_pattern: re.Pattern[str] | None = None
    packing: Packing = Packing.NONE
    sheet: str | None = None

    @property
    def is_utf8(self) -> bool:
        return self.encodings == ("utf-8",)

    @property
    def has_footer(self) -> bool:
        return self.footer_lines > 0 or self.footer_pattern is not None


class JsonShape(StrEnum):
    """Where the objects of a JSON file stand."""

    PAGE = "page"
    LINES = "lines"
    DOCUMENT = "document"


@dataclass(frozen=True, slots=True)
class JsonFormat:
    """JSON in UTF-8: a page of an API in raw, one object a line, or one document.

    ``items`` is the field of the document's object that holds the array; None where the document
    is the array itself.
    """

    shape: JsonShape = JsonShape.PAGE
    packing: Packing = Packing.NONE
    items: str | None = None

    @property
    def encodings(self) -> tuple[str, ...]:
        return ("utf-8",)


@dataclass(frozen=True, slots=True)
class ApiEndpoint:
    """Where an API's items are and how it pages.

    Host, port and token belong to the Airflow connection, so that no ledger key holds them.
    ``next_cursor_header`` carries the cursor of the next page, ``has_more_header`` says whether
    there is one.
    """

    connection_id: str
    path: str
    page_size: int
    page_size_parameter: str
    cursor_parameter: str
    next_cursor_header: str
    has_more_header: str
    items_field: str


@dataclass(frozen=True, slots=True)
class NumberSpelling:
    """How a vendor writes numbers, beside a plain 1234.5.

    ``thousands`` may stand between groups of three digits. ``currency`` words may stand at either
    end. Negative numbers may have brackets, a minus at the end, or one of the triangles of Japanese
    accounts. ``is_full_width`` reads １２３ as 123.
    """

    thousands: str | None = None
    decimal: str = "."
    currency: tuple[str, ...] = ()
    has_brackets: bool = False
    has_trailing_minus: bool = False
    has_triangle: bool = False
    is_full_width: bool = False


@dataclass(frozen=True, slots=True)
class Spelling:
    """How a vendor writes the values of a field; everything in it is undone in this order.

    Blanks at both ends go, the text is normalised (NFKC), what matches ``removed`` goes,
    ``null_words`` become null, and ``lookup`` replaces whole values. ``formats`` are those of
    strptime, ``iso``, ``epoch`` (seconds) or ``epoch_ms``; the first that fits is taken.
    """

    is_trimmed: bool = False
    is_normalised: bool = False
    removed: str | None = None
    null_words: tuple[str, ...] = ()
    lookup: tuple[tuple[str, str], ...] = ()
    otherwise: str | None = None
    formats: tuple[str, ...] = ()
    number: NumberSpelling | None = None
    true_words: tuple[str, ...] = ()
    false_words: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class FieldMapping:
    """How a source gives one dataset field.

    From ``columns`` (as the vendor's header writes them; the first that has a value wins), or from
    ``constant``, or, with neither, not at all: the field is null. ``template`` puts columns, {name}
    in it, together; it is null if one of them is. ``time_zone`` is the IANA zone of a timestamp
    that is written without an offset; without it the offset must be written. ``has_float_noise``
    accepts a decimal as binary floating point prints it (0.30000000000000004) and restores the
    number that was meant. ``stricter`` holds the rules that the source adds to the dataset's.
    ``severities`` are those of reason codes that do not reject the row.
    """

    field: Field
    columns: tuple[str, ...] = ()
    constant: str | None = None
    template: str | None = None
    time_zone: str | None = None
    spelling: Spelling = Spelling()
    has_float_noise: bool = False
    stricter: Field | None = None
    severities: tuple[tuple[str, Severity], ...] = ()

    @property
    def is_mapped(self) -> bool:
        return bool(self.columns) or self.constant is not None

    @property
    def is_required(self) -> bool:
        return self.field.required or (self.stricter is not None and self.stricter.required)

    def severity(self, code: str) -> Severity:
        """What breaking the rule of a reason code does."""
        return dict(self.severities).get(code, Severity.QUARANTINE)

    def is_given_by(self, header: frozenset[str]) -> bool:
        """Whether a file with these columns can give the field."""
        if self.template is not None:
            return header.issuperset(self.columns)
        return not header.isdisjoint(self.columns)


@dataclass(frozen=True)
class SourceContract:
    """One kind of file or API of one vendor, and its mapping to a dataset.

    ``id`` is ``<source>.<dataset>``. ``fingerprint`` changes when anything changes that can change
    a row: it leaves out descriptions, owners and versions. ``file_pattern`` matches a whole file
    name, ``folder`` (if given) the folder that directly holds the file. ``mappings`` has one entry
    for each dataset field that is not derived, in the dataset's order. ``columns`` are all that
    the contract declares, in the vendor's order. ``matches_loosely`` finds a column also where the
    header writes it in another case, width or with other blanks. A file of which more than
    ``most_rejected_percent`` of the rows are rejected is quarantined whole. A file waits until one
    of its own name with ``ready_marker`` behind it lies beside it, if the contract has a marker.
    ``references`` are those to datasets that the same vendor feeds. Quarantine does not show
    the values of ``hidden_columns``.
    """

    id: str
    source: str
    dataset: DatasetContract
    version: str
    fingerprint: str
    description: str
    time_zone: str
    format: CsvFormat | JsonFormat
    mappings: tuple[FieldMapping, ...]
    ignored_columns: tuple[str, ...]
    hidden_columns: frozenset[str]
    columns: tuple[str, ...] = ()
    ignores_other_columns: bool = False
    matches_loosely: bool = False
    most_rejected_percent: Decimal | None = None
    file_pattern: re.Pattern[str] | None = None
    folder: str | None = None
    api: ApiEndpoint | None = None
    same_content: SameContent = SameContent.LOAD
    ready_marker: str | None = None
    references: tuple[Reference, ...] = ()

    @property
    def needs_pepper(self) -> bool:
        """Whether a field that the source gives is masked with a key."""
        return not self._strategies.isdisjoint(KEYED)

    @property
    def makes_tokens(self) -> bool:
        """Whether a field that the source gives is a token, so that the vault keeps the value."""
        return MaskingStrategy.TOKEN in self._strategies

    @cached_property
    def _strategies(self) -> frozenset[MaskingStrategy]:
        maskings = (mapping.field.masking for mapping in self.mappings if mapping.is_mapped)
        return frozenset(masking.strategy for masking in maskings if masking)

    @cached_property
    def mapped_columns(self) -> tuple[str, ...]:
        """Every column that a field is taken from, each once, in the order of the fields."""
        return tuple(dict.fromkeys(c for mapping in self.mappings for c in mapping.columns))

    @cached_property
    def known_columns(self) -> frozenset[str]:
        """Mapped and ignored columns; any other column of a file goes to ``_extra``."""
        return frozenset((*self.mapped_columns, *self.ignored_columns))

    @cached_property
    def _loose_names(self) -> dict[str, str]:
        return {_loosely(name): name for name in self.columns}

    def declared_names(self, written: tuple[str, ...]) -> tuple[str, ...]:
        """A header's columns as the contract calls them; unknown ones stay as they are written."""
        if not self.matches_loosely:
            return written
        return tuple(self._loose_names.get(_loosely(name), name) for name in written)

    def unknown_columns(self, names: Iterable[str]) -> tuple[str, ...]:
        """Those whose values are kept in ``_extra``."""
        if self.ignores_other_columns:
            return ()
        return tuple(name for name in names if name not in self.known_columns)

    def missing_columns(self, header: frozenset[str]) -> tuple[str, ...]:
        """The fields' columns without which a file cannot be read, given those it has.

        A field is readable if any of its columns is there; a nullable field may go without.
        """
        return tuple(
            next(column for column in mapping.columns if column not in header)
            for mapping in self.mappings
            if mapping.columns and mapping.is_required and not mapping.is_given_by(header)
        )

    def matches(self, object_key: str) -> bool:
        """Whether a file with that key (forward slashes) is of this contract."""
        if self.file_pattern is None:
            return False
        folders, _, name = object_key.rpartition("/")
        if self.folder is not None and folders.rpartition("/")[2] != self.folder:
            return False
        return self.file_pattern.fullmatch(name) is not None


def _loosely(name: str) -> str:
    """A column's name without what vendors change unnoticed: case, width and blanks."""
    return "".join(unicodedata.normalize("NFKC", name).casefold().split())


@dataclass(frozen=True)
class Catalog:
    """Every contract of the repository.

    ``exports`` has for each of the ``sources`` the contract by which an anonymised export of its
    rows is read; see `include.contracts.exported`.
    """

    datasets: tuple[DatasetContract, ...]
    sources: tuple[SourceContract, ...]
    exports: tuple[SourceContract, ...] = ()

    @property
    def file_sources(self) -> tuple[SourceContract, ...]:
        return tuple(source for source in self.sources if source.api is None)

    @property
    def api_sources(self) -> tuple[SourceContract, ...]:
        return tuple(source for source in self.sources if source.api is not None)

    @cached_property
    def loading_order(self) -> tuple[str, ...]:
        """The datasets, each behind those that it refers to. Raises ContractError for a circle."""
        # Lists, because the order of a set of texts differs from process to process.
        referred = {
            dataset.name: [
                referred
                for field in dataset.fields
                if field.reference
                and (referred := field.reference.partition(".")[0]) != dataset.name
            ]
            for dataset in self.datasets
        }
        try:
            return tuple(TopologicalSorter(referred).static_order())
        except CycleError as error:
            names = ", ".join(sorted(set(error.args[1])))
            raise ContractError(f"{names}: refer to each other; remove one relationship.") from None

    def dataset(self, name: str) -> DatasetContract:
        """The dataset contract of that name. Raises KeyError."""
        for dataset in self.datasets:
            if dataset.name == name:
                return dataset
        raise KeyError(f"no dataset contract is called {name}")

    def source(self, contract_id: str) -> SourceContract:
        """The source contract with that id (``<source>.<dataset>``). Raises KeyError."""
        for source in (*self.sources, *self.exports):
            if source.id == contract_id:
                return source
        raise KeyError(f"no source contract has the id {contract_id}")

    def sources_for(self, object_key: str) -> tuple[SourceContract, ...]:
        """The contracts that a file below data/sources/ is read by; none if no contract knows it.

        A contract that names the file's folder beats those that take the name anywhere, so two
        vendors can both deliver a ``products.csv``. Raises ContractError if two vendors claim the
        file equally.
        """
        folders, _, name = object_key.rpartition("/")
        matching = self._named(name, folders.rpartition("/")[2]) or self._named(name, None)
        if len({source.source for source in matching}) > 1:
            names = " and ".join(source.id for source in matching)
            raise ContractError(
                f"{names} both match {object_key!r}; give one of them a folder or a narrower path."
            )
        return matching

    def _named(self, name: str, folder: str | None) -> tuple[SourceContract, ...]:
        patterns = self._patterns_by_folder.get(folder, ())
        return tuple([source for pattern, source in patterns if pattern.fullmatch(name)])

    @cached_property
    def _patterns_by_folder(
        self,
    ) -> Mapping[str | None, Sequence[tuple[re.Pattern[str], SourceContract]]]:
        """Under None those that take a name anywhere. Each of thousands of files is looked up."""
        by_folder: dict[str | None, list[tuple[re.Pattern[str], SourceContract]]]
        by_folder = defaultdict(list)
        for source in (*self.file_sources, *self.exports):
            if source.file_pattern is not None:
                by_folder[source.folder].append((source.file_pattern, source))
        return by_folder
