"""Where machines stand: prefectures with their climate, and kinds of site with their customers."""

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Prefecture:
    """`mean_c` and `swing_c` describe the daily mean over the year; an invented climate."""

    name: str
    latitude: float
    longitude: float
    mean_c: float
    swing_c: float
    share: float


@dataclass(frozen=True)
class SiteType:
    """`hours` are relative weights of the 24 hours; `weekdays` factors from Monday to Sunday."""

    code: str
    customers_per_day: float
    weekdays: tuple[float, ...]
    hours: tuple[float, ...]
    names: tuple[str, ...]


def _hours(base: float, *peaks: tuple[float, float, float]) -> tuple[float, ...]:
    """A flat base and bell-shaped peaks, each (hour, height, width in hours)."""
    return tuple(
        base
        + sum(
            height * math.exp(-(((hour + 0.5 - at) / width) ** 2) / 2)
            for at, height, width in peaks
        )
        for hour in range(24)
    )


PREFECTURES = (
    Prefecture("東京都", 35.68, 139.76, 16.2, 10.5, 0.26),
    Prefecture("神奈川県", 35.45, 139.64, 16.3, 10.0, 0.15),
    Prefecture("大阪府", 34.69, 135.50, 17.0, 11.0, 0.16),
    Prefecture("愛知県", 35.17, 136.90, 16.3, 11.3, 0.11),
    Prefecture("埼玉県", 35.86, 139.65, 15.6, 11.2, 0.10),
    Prefecture("福岡県", 33.59, 130.40, 17.3, 10.3, 0.09),
    Prefecture("北海道", 43.06, 141.35, 9.4, 12.6, 0.08),
    Prefecture("宮城県", 38.27, 140.87, 12.9, 10.9, 0.05),
)

# The names hold characters that only CP932 has and Shift_JIS lacks (①, 髙, ～): a reader that
# decodes the machine master with the wrong one of the two fails on them.
SITE_TYPES = (
    SiteType(
        "office",
        66,
        (1.10, 1.12, 1.12, 1.10, 1.08, 0.30, 0.22),
        _hours(0.15, (8.8, 1.0, 0.8), (12.6, 1.3, 0.8), (15.3, 0.9, 1.2), (18.5, 0.6, 1.2)),
        ("髙橋ビル1階", "中央オフィス棟", "みなとタワー3階"),
    ),
    SiteType(
        "station",
        82,
        (1.05, 1.05, 1.05, 1.05, 1.15, 0.90, 0.80),
        _hours(0.25, (8.0, 1.5, 1.0), (13.0, 0.6, 2.0), (18.3, 1.4, 1.6), (22.0, 0.5, 1.0)),
        ("駅前広場①", "1番線ホーム", "駅ビル～改札横"),
    ),
    SiteType(
        "school",
        58,
        (1.20, 1.22, 1.20, 1.20, 1.15, 0.55, 0.20),
        _hours(0.05, (10.5, 0.6, 0.7), (12.5, 1.6, 0.6), (16.0, 1.2, 1.2)),
        ("青葉大学 学生会館", "髙等学校 体育館", "みどり専門学校"),
    ),
    SiteType(
        "hospital",
        60,
        (1.10, 1.05, 1.05, 1.05, 1.05, 0.85, 0.80),
        _hours(0.30, (10.0, 0.9, 1.5), (14.5, 0.9, 2.0), (19.0, 0.4, 1.5)),
        ("ひかり総合病院 待合", "のぞみ医院", "中央病院②病棟"),
    ),
    SiteType(
        "factory",
        70,
        (1.12, 1.12, 1.12, 1.12, 1.12, 0.75, 0.45),
        _hours(0.35, (6.5, 0.8, 0.7), (10.0, 0.9, 0.5), (12.2, 1.2, 0.6), (15.0, 0.9, 0.5)),
        ("第①工場 休憩室", "南工場～食堂", "物流センター"),
    ),
    SiteType(
        "park",
        52,
        (0.75, 0.75, 0.78, 0.78, 0.85, 1.50, 1.60),
        _hours(0.08, (11.0, 1.0, 1.5), (14.5, 1.4, 1.8), (6.5, 0.4, 0.8)),
        ("噴水公園～北口", "市民運動場", "海浜公園"),
    ),
    SiteType(
        "street",
        56,
        (0.95, 0.95, 0.97, 0.98, 1.10, 1.05, 1.00),
        _hours(0.40, (8.0, 0.6, 1.2), (17.5, 0.8, 2.0), (22.5, 0.6, 1.5)),
        ("本町2丁目", "さくら通り", "髙台1丁目"),
    ),
)
