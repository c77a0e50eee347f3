"""The assets by which DAGs start one another: one for each raw table and each mart.

Those of raw are named here and not read from the contracts: every task process imports this while
it parses its DAG file, and reading the contracts would cost each of them 0.4 s. A test holds both
together.
"""

from __future__ import annotations

from collections.abc import Iterable

from airflow.sdk import Asset, AssetAll

# Datasets that reach the warehouse as files, and those that come from APIs.
FILE_DATASETS = (
    "payment_methods",
    "product_categories",
    "products",
    "replenishment",
    "sales",
    "staff",
    "vending_machines",
)
API_DATASETS = ("machine_telemetry", "weather")

# Each is fetched by a mapped task of its own.
API_SOURCE_CONTRACTS = ("fleet.machine_telemetry", "weather_service.weather")


def raw_asset(dataset: str) -> Asset:
    """The asset of a dataset's raw table, ``raw.<dataset>``."""
    # The scheme is private to this platform: Airflow checks the form of those that it knows.
    return Asset(name=f"raw.{dataset}", uri=f"x-vending://raw/{dataset}")


FILE_ASSETS = tuple(raw_asset(dataset) for dataset in FILE_DATASETS)
API_ASSETS = tuple(raw_asset(dataset) for dataset in API_DATASETS)
RAW_ASSETS = (*FILE_ASSETS, *API_ASSETS)


class EveryAsset(AssetAll):
    """A schedule: a new event of each of the assets.

    Each dependency that is drawn hashes the DAG, and with it the schedule; hashing the assets
    themselves each time was four fifths of the time to render the DAG.
    """

    def __init__(self, *assets: Asset) -> None:
        super().__init__(*assets)
        self._hash = hash(assets)

    def __hash__(self) -> int:
        return self._hash


def mart_assets(names: Iterable[str]) -> list[Asset]:
    """The assets of marts, ``marts.<model>``."""
    return [Asset(name=f"marts.{name}", uri=f"x-vending://marts/{name}") for name in names]
