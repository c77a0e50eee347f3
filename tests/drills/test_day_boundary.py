"""The turn of the day, in UTC and in Tokyo, which is nine hours earlier by the clock."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from include.contracts import load_catalog
from include.ingest import landing, settle
from include.ingest.replay import whole_days
from include.lake import DiskLake
from include.settings import load_settings
from tests.include.ingest.running import SALES_HEADER, Ingest

FILE = "sales_VM001_20260101.csv"


@pytest.fixture
def ingest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ingest:
    monkeypatch.setattr(settle, "PAUSE_SECONDS", 0.0)
    settings = load_settings({"VENDING_DATA_DIR": str(tmp_path / "data")})
    return Ingest(DiskLake(settings.lake.root), settings)


def sold_at(*moments: str) -> bytes:
    lines = (
        f"VM001,T{number},1,P1,{moment},1,120,120,cash,sale,"
        for number, moment in enumerate(moments, start=1)
    )
    return "\n".join((SALES_HEADER, *lines, "")).encode()


def set_clock(monkeypatch: pytest.MonkeyPatch, moment: datetime) -> None:
    """The clock by which a file lands."""

    class Clock(datetime):
        @classmethod
        def now(cls, tz=None):
            return moment.astimezone(tz)

    monkeypatch.setattr(landing, "datetime", Clock)


@pytest.mark.parametrize(
    ("moment", "day"),
    [
        ("2025-12-31T14:59:59.999999", date(2025, 12, 31)),
        ("2025-12-31T15:00:00", date(2026, 1, 1)),
        ("2025-12-31T23:59:59.999999", date(2026, 1, 1)),
        ("2026-01-01T00:00:00", date(2026, 1, 1)),
    ],
)
def test_a_file_lands_on_the_day_of_its_source(ingest, monkeypatch, moment, day):
    set_clock(monkeypatch, datetime.fromisoformat(moment).replace(tzinfo=UTC))
    ingest.deliver(FILE, sold_at("2026-01-01T10:00:00+09:00"))

    assert ingest().rows_conformed == 1

    [(landed_at, landed_on)] = ingest.rows("SELECT landed_at, landed_on FROM ops.load_history")
    assert (landed_at, landed_on) == (datetime.fromisoformat(moment), day)


def test_a_sale_belongs_to_the_day_on_the_machines_own_clock(ingest):
    ingest.deliver(
        FILE,
        sold_at(
            "2025-12-31T23:59:59+09:00",
            "2026-01-01T00:00:00+09:00",
            "2025-12-31T14:59:59Z",
            "2025-12-31T15:00:00Z",
            "2026-01-01T00:00:00Z",
        ),
    )

    assert ingest().rows_conformed == 5

    days = "SELECT transaction_id, business_date, sold_at::VARCHAR FROM raw.sales ORDER BY 1"
    assert ingest.rows(days) == [
        ("T1", date(2025, 12, 31), "2025-12-31 14:59:59"),
        ("T2", date(2026, 1, 1), "2025-12-31 15:00:00"),
        ("T3", date(2025, 12, 31), "2025-12-31 14:59:59"),
        ("T4", date(2026, 1, 1), "2025-12-31 15:00:00"),
        ("T5", date(2026, 1, 1), "2026-01-01 00:00:00"),
    ]


@pytest.mark.parametrize(
    ("day", "files"), [("2025-12-30", 0), ("2025-12-31", 1), ("2026-01-01", 1)]
)
def test_a_file_over_midnight_is_reprocessed_with_either_of_its_days(ingest, day, files):
    ingest.deliver(FILE, sold_at("2025-12-31T23:59:59+09:00", "2026-01-01T00:00:00+09:00"))
    ingest()

    selection = whole_days(load_catalog(), first_day=day, last_day="")
    assert ingest.replay(selection).files == files


def test_a_correction_that_lands_before_midnight_and_one_after_it_stay_in_order(
    ingest, monkeypatch
):
    for second, moment in enumerate(("2025-12-31T14:59:59.999999", "2025-12-31T15:00:00")):
        set_clock(monkeypatch, datetime.fromisoformat(moment).replace(tzinfo=UTC))
        ingest.deliver(FILE, sold_at(f"2026-01-01T10:00:0{second}+09:00"))
        ingest()

    assert ingest.rows("SELECT extract(second FROM sold_at)::INTEGER FROM raw.sales") == [(1,)]
