"""Finds personal data in free text by its form and check digits.

E-mail addresses, telephone numbers, card numbers (Luhn), Japan's My Number (its check digit), US
social security numbers (the ranges that are given out) and postal addresses. Names have no form:
what may hold one is withheld as a whole instead.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from include.privacy.marks import PersonalKind
from include.privacy.synthetic import PREFECTURES

# Each character by one other, so that a place in the one text is the same place in the other.
_NARROW = str.maketrans(
    {chr(wide): chr(wide - 0xFEE0) for wide in range(0xFF01, 0xFF5F)}
    | dict.fromkeys("\u3000\u00a0\t", " ")
    | dict.fromkeys("‐‑‒–—―−ー－", "-")
)
_DIGIT, _DASH = "[0-9０-９]", "[-‐‑‒–—―−ー－ \u3000().（）]"

# What RE2 reads fast, and every text with personal data in it matches: the rest is never looked at.
PREFILTER = (
    rf"[@＠〒]|(?:{_DIGIT}{_DASH}{{0,3}}){{8}}{_DIGIT}"
    rf"|[都道府県市区町村郡].{{0,30}}(?:{_DIGIT}|[一二三四五六七八九十]丁目)"
    rf"|{_DIGIT} [A-Z]|{_DIGIT},? [A-Z][a-z]+,"
)


_PREFILTER = re.compile(PREFILTER)


@dataclass(frozen=True, slots=True)
class Found:
    """Personal data in a text, from ``start`` up to and without ``end``."""

    kind: PersonalKind
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class _Form:
    """How one kind is written, and what else must hold of what is written so."""

    kind: PersonalKind
    pattern: re.Pattern[str]
    is_valid: Callable[[str], bool] = lambda _: True


def find(text: str) -> list[Found]:
    """All personal data in a text, from its beginning to its end, none overlapping."""
    if not _PREFILTER.search(text):
        return []
    narrow = text.translate(_NARROW)
    found: list[Found] = []
    for form in _FORMS:
        found += _find_form(form, narrow, tuple(found))
    return sorted(found, key=lambda each: each.start)


def mask_text(text: str) -> str:
    """The text with a mark in place of each thing found."""
    pieces, end = [], 0
    for found in find(text):
        pieces += [text[end : found.start], found.kind.mark]
        end = found.end
    return "".join((*pieces, text[end:]))


def _find_form(form: _Form, text: str, taken: tuple[Found, ...]) -> Iterator[Found]:
    at = 0
    while match := form.pattern.search(text, at):
        start, end = match.span()
        is_free = not any(other.start < end and start < other.end for other in taken)
        if is_free and form.is_valid(re.sub(r"\D", "", match[0])):
            yield Found(form.kind, start, end)
            at = end
        else:
            # Of numbers that follow one another, those from the second on may be the valid ones.
            at = start + 1


def passes_luhn(digits: str) -> bool:
    """Whether the last digit checks the others (ISO/IEC 7812-1, annex B)."""
    doubled = (int(digit) * (1 + place % 2) for place, digit in enumerate(reversed(digits)))
    return sum(value - 9 * (value > 9) for value in doubled) % 10 == 0


def is_my_number(digits: str) -> bool:
    """Whether the twelfth digit checks the others (ordinance 85 of 2014 of Japan's MIC, art. 5)."""
    weighted = sum(
        int(digit) * (place + 1 if place <= 6 else place - 5)
        for place, digit in enumerate(reversed(digits[:11]), start=1)
    )
    rest = weighted % 11
    return int(digits[11]) == (0 if rest <= 1 else 11 - rest)


def is_ssn(digits: str) -> bool:
    """Whether the Social Security Administration gives such numbers out."""
    area, group, serial = digits[:3], digits[3:5], digits[5:]
    return area not in ("000", "666") and area < "900" and group != "00" and serial != "0000"


def _is_card(digits: str) -> bool:
    return _CARD_NUMBERS.fullmatch(digits) is not None and passes_luhn(digits)


def _is_phone(digits: str) -> bool:
    return not digits.startswith("00") and len(set(digits)) > 2


# The ranges in which issuers give out numbers of these lengths.
_CARD_NUMBERS = re.compile(
    r"4\d{15}(?:\d{3})?|5[1-5]\d{14}|2(?:2[2-9]|[3-6]\d|7[01])\d{13}|2720\d{12}|3[47]\d{13}"
    r"|35(?:2[89]|[3-8]\d)\d{12}|3(?:0[0-5]|[689]\d)\d{11}|6(?:011|4[4-9]\d|5\d\d)\d{12}"
    r"|62\d{14,17}"
)
# No digit, decimal point or joined number before, and no letter unless it is the word for a phone.
_START = (
    r"(?<!\d)(?<!\d[.,-])(?:(?<![A-Za-z_#])|(?<=tel)|(?<=TEL)|(?<=Tel)|(?<=fax)|(?<=FAX)|(?<=Fax))"
)
_END = r"(?!\d)(?![-.]\d)"
_GAP = r"[- ]?"
_BLOCK = (
    r"(?:\d{1,4}|[一二三四五六七八九十]{1,3})"
    r"(?:丁目(?: ?\d{1,4}(?:番地?|-)?(?:の?\d{1,4}号?)?(?:-\d{1,4})*)?"
    r"|番地?(?:の?\d{1,4}号?|\d{1,4}号)?|(?:-\d{1,4}){1,3})"
)
_BUILDING = (
    r"(?: ?[^\s、。,()]{0,20}(?:ビル|マンション|ハイツ|荘|コーポ|アパート|号室)"
    r"(?: ?\d{1,4}(?:号室|号|F|階)?)?)?"
)
_STREET = (
    r"(?:Street|St|Avenue|Ave|Road|Rd|Boulevard|Blvd|Lane|Ln|Drive|Dr|Court|Ct|Way|Place|Pl|Square"
    r"|Terrace|Parkway|Pkwy|Highway|Hwy)(?![A-Za-z])\.?"
)
_FORMS = (
    _Form(
        PersonalKind.EMAIL,
        # RFC 5321's lengths, without which a long word without an @ takes quadratic time.
        re.compile(
            r"[A-Za-z0-9._%+'-]{1,64}@(?:[A-Za-z0-9\u3040-\u9fff-]{1,63}\.){1,8}[A-Za-z]{2,24}"
        ),
    ),
    _Form(
        PersonalKind.CARD,
        re.compile(
            r"(?<!\d)(?:\d{4}([- ]?)\d{4}\1\d{4}\1\d{4}(?:\1\d{1,3})?"
            r"|\d{4}([- ]?)\d{6}\2\d{4,5})(?!\d)"
        ),
        _is_card,
    ),
    _Form(
        PersonalKind.MY_NUMBER,
        re.compile(rf"(?<!\d)(?<!\d[.-])(?<![A-Za-z_+])\d{{4}}{_GAP}\d{{4}}{_GAP}\d{{4}}{_END}"),
        is_my_number,
    ),
    _Form(
        PersonalKind.SSN,
        re.compile(
            rf"(?<!\d)(?<!\d[.-])\d{{3}}([- ])\d{{2}}\1\d{{4}}{_END}"
            rf"|(?<=SSN )\d{{9}}{_END}|(?<=SSN: )\d{{9}}{_END}"
        ),
        is_ssn,
    ),
    _Form(
        PersonalKind.ADDRESS,
        re.compile(
            rf"(?:〒? ?\d{{3}}-?\d{{4}} ?)?(?:{'|'.join(PREFECTURES)}) ?"
            rf"[^\s、。,\d]{{1,12}}[市区町村郡] ?[^\s、。,\d]{{0,20}}? ?{_BLOCK}{_BUILDING}"
            rf"|(?:〒? ?\d{{3}}-?\d{{4}} ?)?[\u4e00-\u9fffヶケ]{{1,6}}[市区町村郡]"
            rf"[^\s、。,\d]{{0,20}}?{_BLOCK}{_BUILDING}"
            r"|〒 ?\d{3}-?\d{4}"
            rf"|(?<![A-Za-z0-9])\d{{1,5}} (?:[NSEW]\.? )?(?:[A-Z0-9][\w'.]* ){{1,4}}{_STREET}"
            r"(?:,? (?:Apt|Apartment|Suite|Ste|Unit|#)\.? ?\w{1,5})?"
            r"(?:,? [A-Z][A-Za-z. ]{1,30},? [A-Z]{2} \d{5}(?:-\d{4})?)?"
            r"|(?<![A-Za-z0-9-])\d{1,4}(?:-\d{1,4}){1,3},? [A-Z][a-z]+(?:-[a-z]+)?,? "
            r"[A-Z][a-z]+-(?:ku|shi|cho|machi|gun|mura|son)\b(?:,? [A-Z][a-z]+)*(?:,? \d{3}-\d{4})?"
        ),
    ),
    _Form(
        PersonalKind.PHONE,
        re.compile(
            # International, with the trunk digit that some write in brackets.
            r"(?<![A-Za-z0-9+])\+ ?\d{1,3}[-. ]?(?:\(0\) ?)?"
            rf"(?:\(?\d{{1,4}}\)?[-. ]?){{1,4}}\d{{2,4}}{_END}"
            rf"|{_START}00?10?[- ]?81[- ]?\d{{1,4}}[- ]\d{{2,4}}[- ]\d{{4}}{_END}"
            # Japan: mobile and IP, toll-free, fixed lines with two separators, brackets or none.
            rf"|{_START}0[25-9]0[- ]?\d{{4}}[- ]?\d{{4}}{_END}"
            rf"|{_START}0(?:120|570|800|990)[- ]?\d{{2,3}}[- ]?\d{{3,4}}{_END}"
            rf"|{_START}(?=(?:0(?:[- ()]?\d){{9}}){_END})0\d{{1,4}}[- ]\d{{1,4}}[- ]\d{{3,4}}"
            rf"|(?<!\d)\(0\d{{1,4}}\) ?\d{{1,4}}[- ]?\d{{4}}{_END}"
            rf"|{_START}0\d{{1,4}}\(\d{{1,4}}\)\d{{4}}{_END}"
            rf"|{_START}0[1-9]\d{{8}}{_END}"
            # North America.
            rf"|{_START}(?:1[-. ])?(?:\([2-9]\d{{2}}\) ?|[2-9]\d{{2}}[-.])"
            rf"[2-9]\d{{2}}[-.]\d{{4}}{_END}"
        ),
        _is_phone,
    ),
)
