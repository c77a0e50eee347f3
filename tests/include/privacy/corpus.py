"""A labelled corpus of notes as drivers and vendors write them, invented from a seed.

Each note has personal data whose place is known, and things that only look like it: order numbers,
JAN codes, dates, coordinates, versions, numbers whose check digit is wrong. The numbers are made by
this module's own arithmetic, so that the finder is not measured with itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from random import Random

from include.privacy.marks import PersonalKind


@dataclass(frozen=True)
class Label:
    """Personal data at a place in a note; ``end`` is exclusive."""

    kind: PersonalKind
    start: int
    end: int


@dataclass(frozen=True)
class Note:
    """A text and what is personal in it."""

    text: str
    labels: tuple[Label, ...]


def notes(count: int, seed: int) -> Iterator[Note]:
    """Two in three notes hold personal data."""
    random = Random(seed)
    for number in range(count):
        kinds = random.choices(list(_MAKERS), k=random.choice((1, 1, 2))) if number % 3 else []
        yield _note(random, kinds)


def _note(random: Random, kinds: list[PersonalKind]) -> Note:
    pieces: list[tuple[str, PersonalKind | None]] = [(random.choice(_OPENINGS), None)]
    for kind in kinds:
        before, after = random.choice(_FRAMES)
        value = random.choice(_MAKERS[kind])(random)
        pieces += [(before, None), (value, kind), (after, None)]
    for _ in range(random.randint(0, 2)):
        pieces.append((random.choice(_DECOYS)(random), None))
    text, labels = "", []
    for piece, kind in pieces:
        if kind is not None:
            labels.append(Label(kind, len(text), len(text) + len(piece)))
        text += piece
    return Note(text, tuple(labels))


def _digits(random: Random, count: int) -> str:
    return "".join(str(random.randint(0, 9)) for _ in range(count))


def _luhn_digit(digits: str) -> str:
    total = 0
    for place, digit in enumerate(reversed(digits)):
        value = int(digit) * (2 if place % 2 == 0 else 1)
        total += value // 10 + value % 10
    return str(-total % 10)


def _my_number_digit(digits: str) -> str:
    weights = (6, 5, 4, 3, 2, 7, 6, 5, 4, 3, 2)
    rest = sum(int(digit) * weight for digit, weight in zip(digits, weights, strict=True)) % 11
    return str(0 if rest < 2 else 11 - rest)


def _wide(text: str) -> str:
    return text.translate({ord(c): ord(c) + 0xFEE0 for c in "0123456789-"})


def _card(random: Random) -> str:
    prefix, length = random.choice((("4", 16), ("52", 16), ("2223", 16), ("3530", 16), ("37", 15)))
    body = prefix + _digits(random, length - len(prefix) - 1)
    number = body + _luhn_digit(body)
    gap = random.choice(("", " ", "-"))
    if length == 15:
        return gap.join((number[:4], number[4:10], number[10:]))
    return gap.join(number[n : n + 4] for n in range(0, 16, 4))


def _my_number(random: Random) -> str:
    body = _digits(random, 11)
    number = body + _my_number_digit(body)
    gap = random.choice(("", " ", "-"))
    return gap.join(number[n : n + 4] for n in range(0, 12, 4))


def _ssn(random: Random) -> str:
    area = random.choice([n for n in range(1, 900) if n != 666])
    return f"{area:03}-{random.randint(1, 99):02}-{random.randint(1, 9999):04}"


def _email(random: Random) -> str:
    local = random.choice(("taro", "hanako.sato", "k-suzuki", "m_tanaka", "info+tokyo", "yuki99"))
    host = random.choice(("example.com", "example.co.jp", "mail.example.org", "ex-ample.ne.jp"))
    return f"{local}{random.randint(1, 99)}@{host}"


def _japanese_phone(random: Random) -> str:
    a, b = _digits(random, 4), _digits(random, 4)
    mobile = random.choice(("090", "080", "070", "050"))
    return random.choice(
        (
            f"{mobile}-{a}-{b}",
            f"{mobile}{a}{b}",
            f"{mobile} {a} {b}",
            _wide(f"{mobile}-{a}-{b}"),
            f"03-{a}-{b}",
            f"(06) {a}-{b}",
            f"06({a}){b}",
            f"045-{a[:3]}-{b}",
            f"0463-{a[:2]}-{b}",
            f"0120-{a[:3]}-{b[:3]}",
            f"03{a}{b}",
        )
    )


def _international_phone(random: Random) -> str:
    a, b = _digits(random, 4), _digits(random, 4)
    area = f"{random.randint(2, 9)}{_digits(random, 2)}"
    exchange = f"{random.randint(2, 9)}{_digits(random, 2)}"
    return random.choice(
        (
            f"+81-90-{a}-{b}",
            f"+8190{a}{b}",
            f"+81 (0)3 {a} {b}",
            f"+1 {area} {exchange} {b}",
            f"+1-{area}-{exchange}-{b}",
            f"({area}) {exchange}-{b}",
            f"{area}-{exchange}-{b}",
            f"+44 20 {a} {b}",
            f"+49 30 {a}{b[:3]}",
            f"+86 138 {a} {b}",
        )
    )


def _japanese_address(random: Random) -> str:
    place = random.choice(
        (
            "東京都千代田区丸の内",
            "大阪府大阪市北区梅田",
            "神奈川県横浜市西区みなとみらい",
            "北海道札幌市中央区北三条西",
            "京都府京都市中京区烏丸通",
            "福岡県糟屋郡志免町別府",
            "名古屋市中村区名駅",
            "渋谷区神南",
        )
    )
    a, b, c = (random.randint(1, 30) for _ in range(3))
    block = random.choice((f"{a}-{b}-{c}", f"{a}丁目{b}番{c}号", f"{a}丁目{b}-{c}", f"{a}番地{b}"))
    building = random.choice(("", "", f" サンプルビル{c}階", f"見本マンション{a}{b:02}号室"))
    post = random.choice(("", f"〒{_digits(random, 3)}-{_digits(random, 4)} "))
    address = f"{post}{place}{block}{building}"
    return _wide(address) if random.random() < 0.15 else address


def _foreign_address(random: Random) -> str:
    number = random.randint(1, 9999)
    street = random.choice(
        ("Main Street", "Oak Ave", "N. Lake Shore Dr.", "Martin Luther King Blvd")
    )
    return random.choice(
        (
            f"{number} {street}",
            f"{number} {street}, Apt 4B",
            f"{number} {street}, Springfield, IL 62704",
            f"{random.randint(1, 9)}-{random.randint(1, 20)}-3 Jingumae, Shibuya-ku, Tokyo",
        )
    )


_Maker = Callable[[Random], str]
_MAKERS: dict[PersonalKind, tuple[_Maker, ...]] = {
    PersonalKind.EMAIL: (_email,),
    PersonalKind.PHONE: (_japanese_phone, _international_phone),
    PersonalKind.CARD: (_card,),
    PersonalKind.MY_NUMBER: (_my_number,),
    PersonalKind.SSN: (_ssn,),
    PersonalKind.ADDRESS: (_japanese_address, _foreign_address),
}


def _wrong_card(random: Random) -> str:
    body = f"4{_digits(random, 14)}"
    return body + str((int(_luhn_digit(body)) + random.randint(1, 9)) % 10)


def _jan_code(random: Random) -> str:
    return f"49{_digits(random, 11)}"


_DECOYS: tuple[_Maker, ...] = (
    lambda r: f" 注文番号 {_digits(r, 8)}。",
    lambda r: f" order {r.randint(10_000, 999_999)} delivered.",
    lambda r: f" 会員証 {_wrong_card(r)} は無効。",
    lambda r: f" JAN {_jan_code(r)}。",
    lambda r: f" 2026-{r.randint(1, 12):02}-{r.randint(1, 28):02} 09:{r.randint(10, 59)}に補充。",
    lambda r: f" {r.randint(1, 12)}月{r.randint(1, 28)}日 {r.randint(1, 23)}時に訪問。",
    lambda r: f" 35.{_digits(r, 6)},139.{_digits(r, 6)}",
    lambda r: f" T{_digits(r, 10)} を確認。",
    lambda r: f" firmware 1.{r.randint(0, 30)}.{r.randint(0, 400)} installed.",
    lambda r: f" 売上 ¥{r.randint(1, 999)},{_digits(r, 3)}。",
    lambda r: f" slots {r.randint(1, 30)}-{r.randint(31, 60)} empty.",
    lambda r: f" 温度 {r.randint(-5, 60)}.{r.randint(0, 9)}℃、{r.randint(1, 30)}本残り。",
    lambda r: f" 666-{r.randint(10, 99)}-{_digits(r, 4)} is a part number.",
    lambda r: f" 192.168.{r.randint(0, 255)}.{r.randint(0, 255)} に接続。",
    lambda r: " @vending で共有。",
    lambda r: " 品川区の機械は満杯。",
    lambda r: f" 型番 VX-{r.randint(20, 30)}、{r.randint(1, 99)}号機。",
    lambda r: f" see https://example.com/tickets/{_digits(r, 6)}.",
)
_OPENINGS = (
    *("", "補充しました。", "鍵が固い。", "Coin slot jammed. ", "表示灯が消えている。"),
    *("売り切れ多数、", "Refilled all slots. ", "お客様より連絡あり。"),
)
_FRAMES = (
    *(
        ("連絡先は", "です。"),
        ("電話：", "まで、"),
        ("担当者 ", " に確認、"),
        ("contact ", " please. "),
    ),
    *(("返金先 ", "。"), ("call ", ", thanks. "), ("「", "」と記載。"), ("(", ")")),
)
