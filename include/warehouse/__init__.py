"""The warehouse: the raw tables, the ledger and quarantine, behind one interface.

`open_warehouse` gives the one that the settings name.
"""

from include.warehouse.base import (
    Imbalance,
    ListedFile,
    LoadTotals,
    Warehouse,
    WarehouseError,
    open_warehouse,
)

__all__ = [
    "Imbalance",
    "ListedFile",
    "LoadTotals",
    "Warehouse",
    "WarehouseError",
    "open_warehouse",
]
