"""The warehouse: the raw tables, the ledger and quarantine, behind one interface.

`open_warehouse` gives the one that the settings name.
"""

from include.warehouse.base import (
    Coverage,
    CurrentFile,
    Imbalance,
    ListedFile,
    LoadTotals,
    ReplaySelection,
    UnknownReferences,
    UnreadFile,
    Warehouse,
    WarehouseError,
    open_warehouse,
)

__all__ = [
    "Coverage",
    "CurrentFile",
    "Imbalance",
    "ListedFile",
    "LoadTotals",
    "ReplaySelection",
    "UnknownReferences",
    "UnreadFile",
    "Warehouse",
    "WarehouseError",
    "open_warehouse",
]
