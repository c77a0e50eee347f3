"""Contracts: what each dataset holds and how each vendor writes it.

``datasets/*.yaml`` and ``sources/*.yaml`` are the authority; the raw tables, the dbt sources and
the reading of every file follow from them.
"""

from include.contracts.masking import Masking, MaskingStrategy, SyntheticKind
from include.contracts.model import (
    ApiEndpoint,
    Catalog,
    Classification,
    ContractError,
    CsvFormat,
    DatasetContract,
    Dialect,
    Field,
    FieldMapping,
    FieldType,
    JsonFormat,
    JsonShape,
    LoadMode,
    NumberSpelling,
    Packing,
    Reference,
    SameContent,
    Severity,
    SourceContract,
    Spelling,
)
from include.contracts.reader import load_catalog

__all__ = [
    "ApiEndpoint",
    "Catalog",
    "Classification",
    "ContractError",
    "CsvFormat",
    "DatasetContract",
    "Dialect",
    "Field",
    "FieldMapping",
    "FieldType",
    "JsonFormat",
    "JsonShape",
    "LoadMode",
    "Masking",
    "MaskingStrategy",
    "NumberSpelling",
    "Packing",
    "Reference",
    "SameContent",
    "Severity",
    "SourceContract",
    "Spelling",
    "SyntheticKind",
    "load_catalog",
]
