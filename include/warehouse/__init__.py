"""The warehouse: the raw tables, the ledger and quarantine, behind one interface.

`open_warehouse` gives the one that the settings name.
"""

from include.warehouse.base import (
    CurrentFile,
    Imbalance,
    ListedFile,
    LoadTotals,
    ReplaySelection,
    Warehouse,
    WarehouseError,
    open_warehouse,
)

__all__ = [
    "CurrentFile",
    "Imbalance",
    "ListedFile",
    "LoadTotals",
    "ReplaySelection",
    "Warehouse",
    "WarehouseError",
    "open_warehouse",
]
