"""Time in the simulator: whole seconds since midnight (Tokyo) of the first simulated day."""

from datetime import date, datetime, timedelta, timezone

# Japan has had no daylight saving time since 1951, so a fixed offset is exact and needs no tzdata.
TOKYO = timezone(timedelta(hours=9), "Asia/Tokyo")
UTC_OFFSET = "+09:00"
SECONDS_PER_DAY = 86_400


def yesterday_in_tokyo() -> date:
    """The last complete business date, in Asia/Tokyo."""
    return datetime.now(TOKYO).date() - timedelta(days=1)


def timestamp(first_day: date, second: int) -> str:
    """`second` seconds after midnight of `first_day`, ISO 8601 with the Tokyo offset."""
    midnight = datetime(first_day.year, first_day.month, first_day.day, tzinfo=TOKYO)
    return (midnight + timedelta(seconds=second)).isoformat()
