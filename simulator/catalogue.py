"""What the operator sells and how it is paid; all of it invented."""

from dataclasses import dataclass
from enum import StrEnum


class Serving(StrEnum):
    """How a product leaves the machine; decides how its demand follows the temperature."""

    COLD = "cold"
    HOT = "hot"
    AMBIENT = "ambient"


@dataclass(frozen=True)
class Category:
    category_id: str
    category_name: str
    parent_category_id: str


@dataclass(frozen=True)
class Product:
    """Prices in yen; `popularity` is a relative weight at 18 °C."""

    product_id: str
    product_name: str
    category_id: str
    list_price: int
    unit_cost: int
    popularity: float
    serving: Serving

    @property
    def jan_code(self) -> str:
        """A JAN-13 with prefix 20, which GS1 leaves to shops: no real product can have it."""
        body = f"20{int(self.product_id[1:]):010d}"
        odd, even = sum(map(int, body[0::2])), sum(map(int, body[1::2]))
        return f"{body}{-(odd + 3 * even) % 10}"


@dataclass(frozen=True)
class PaymentMethod:
    """`fee_rate` is the operator's share lost to the payment service; `share` that of customers."""

    payment_method_code: str
    payment_method_name: str
    is_cashless: bool
    fee_rate: str
    share: float


CATEGORIES = (
    Category("C10", "飲料", ""),
    Category("C11", "お茶", "C10"),
    Category("C12", "コーヒー", "C10"),
    Category("C13", "水", "C10"),
    Category("C14", "炭酸飲料", "C10"),
    Category("C15", "果汁飲料", "C10"),
    Category("C16", "スポーツ飲料", "C10"),
    Category("C17", "スープ", "C10"),
    Category("C20", "食品", ""),
    Category("C21", "菓子", "C20"),
)

PAYMENT_METHODS = (
    PaymentMethod("cash", "現金", False, "0.0000", 0.36),
    PaymentMethod("ic_card", "交通系ICカード", True, "0.0250", 0.37),
    PaymentMethod("qr", "QRコード決済", True, "0.0198", 0.18),
    PaymentMethod("credit", "クレジットカード", True, "0.0324", 0.09),
)

_COLD, _HOT, _AMBIENT = Serving.COLD, Serving.HOT, Serving.AMBIENT

PRODUCTS = tuple(
    Product(f"P{number:03d}", *row)
    for number, row in enumerate(
        [
            ("緑茶 600ml", "C11", 160, 62, 9.0, _COLD),
            ("濃い緑茶 600ml", "C11", 160, 64, 6.0, _COLD),
            ("麦茶 650ml", "C11", 150, 55, 6.5, _COLD),
            ("烏龍茶 600ml", "C11", 160, 60, 4.0, _COLD),
            ("ジャスミン茶 600ml", "C11", 160, 61, 3.0, _COLD),
            ("ほうじ茶 350ml ホット", "C11", 150, 58, 4.0, _HOT),
            ("緑茶 350ml ホット", "C11", 150, 58, 4.5, _HOT),
            ("ブラックコーヒー 185g", "C12", 130, 48, 7.0, _COLD),
            ("ブラックコーヒー 185g ホット", "C12", 130, 48, 7.0, _HOT),
            ("微糖コーヒー 185g", "C12", 130, 50, 6.0, _COLD),
            ("微糖コーヒー 185g ホット", "C12", 130, 50, 6.0, _HOT),
            ("カフェオレ 280ml", "C12", 140, 60, 3.5, _COLD),
            ("カフェオレ 280ml ホット", "C12", 140, 60, 4.0, _HOT),
            ("天然水 550ml", "C13", 120, 35, 8.5, _COLD),
            ("天然水 1000ml", "C13", 160, 52, 2.5, _COLD),
            ("炭酸水 500ml", "C13", 130, 45, 4.0, _COLD),
            ("レモン炭酸水 500ml", "C13", 140, 47, 3.0, _COLD),
            ("コーラ 500ml", "C14", 180, 70, 6.0, _COLD),
            ("ゼロコーラ 500ml", "C14", 180, 70, 3.5, _COLD),
            ("サイダー 500ml", "C14", 170, 66, 4.0, _COLD),
            ("ジンジャーエール 500ml", "C14", 170, 68, 2.0, _COLD),
            ("エナジー 250ml", "C14", 220, 105, 2.5, _COLD),
            ("オレンジ 280ml", "C15", 140, 62, 3.0, _COLD),
            ("りんご 280ml", "C15", 140, 62, 2.5, _COLD),
            ("ぶどう 280ml", "C15", 140, 63, 1.8, _COLD),
            ("野菜ジュース 200ml", "C15", 130, 60, 1.5, _COLD),
            ("はちみつレモン 280ml ホット", "C15", 140, 61, 2.5, _HOT),
            ("スポーツ飲料 555ml", "C16", 160, 58, 6.5, _COLD),
            ("塩分補給飲料 500ml", "C16", 160, 60, 3.5, _COLD),
            ("ゼリー飲料 180g", "C16", 200, 98, 1.5, _COLD),
            ("コーンスープ 185g ホット", "C17", 140, 64, 4.0, _HOT),
            ("おしるこ 185g ホット", "C17", 140, 62, 2.0, _HOT),
            ("味噌汁 180g ホット", "C17", 140, 60, 1.5, _HOT),
            ("チョコレート菓子", "C21", 150, 72, 2.5, _AMBIENT),
            ("ビスケット, バター味", "C21", 130, 58, 1.8, _AMBIENT),
            ('米菓 "しお"', "C21", 120, 52, 1.5, _AMBIENT),
        ],
        start=1,
    )
)
