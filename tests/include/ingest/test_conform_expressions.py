"""The SQL that is made from a contract."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from include.contracts import load_catalog
from include.ingest.expressions import ConformExpressions

_MOMENTS = st.datetimes(datetime(2000, 1, 1), datetime(2099, 12, 31))  # noqa: DTZ001 - in UTC
_COLUMNS = tuple(f"s{number}" for number in range(11))


def _business_dates(zone: str, moments: list[datetime]) -> list[date]:
    """The dates that conform computes for moments in UTC."""
    contract = replace(load_catalog().source("fleet.sales"), time_zone=zone)
    sql = ConformExpressions(contract)
    texts = ", ".join(f"'{moment.isoformat(sep=' ', timespec='seconds')}Z'" for moment in moments)
    columns = ", ".join(
        f"{'moment' if name == 's4' else 'NULL::VARCHAR'} AS {name}" for name in _COLUMNS
    )
    assert contract.mapped_columns[4] == "sold_at"
    relation = (
        f"(SELECT {columns}, 1::BIGINT AS load_id, NULL::VARCHAR AS extra, number "
        f"FROM (SELECT unnest([{texts}]) AS moment, unnest(range({len(moments)})) AS number))"
    )
    with duckdb.connect() as connection:
        rows = connection.execute(
            f"SELECT business_date FROM (SELECT {sql.stored()}, number "
            f"FROM ({sql.typed(relation, ['number'])})) ORDER BY number"
        ).fetchall()
    return [day for (day,) in rows]


@pytest.mark.parametrize("zone", ["Asia/Tokyo", "America/New_York", "Europe/Paris", "Asia/Kolkata"])
def test_the_business_date_is_the_date_in_the_sources_zone(zone: str) -> None:
    @settings(max_examples=30, deadline=None)
    @given(st.lists(_MOMENTS, min_size=1, max_size=200))
    def agrees(moments: list[datetime]) -> None:
        local = [moment.replace(tzinfo=UTC).astimezone(ZoneInfo(zone)).date() for moment in moments]
        assert _business_dates(zone, moments) == local

    agrees()


def test_the_business_date_is_right_around_a_change_of_clocks() -> None:
    change = datetime(2017, 11, 5, 6, tzinfo=UTC)
    moments = [change + timedelta(minutes=30 * step) for step in range(-96, 96)]
    local = [moment.astimezone(ZoneInfo("America/New_York")).date() for moment in moments]
    naive = [moment.replace(tzinfo=None) for moment in moments]
    assert _business_dates("America/New_York", naive) == local
