"""What is recognised in free text, and how well."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import pytest

from include.privacy.finder import find, mask_text
from include.privacy.marks import PersonalKind
from include.privacy.text import mask_unknown, withhold_text
from tests.include.privacy.corpus import Note, notes

LEAST_PRECISION, LEAST_RECALL = 0.98, 0.95


def test_precision_and_recall_on_the_labelled_corpus(show: Callable[[str, str], None]) -> None:
    found: Counter[PersonalKind] = Counter()
    right: Counter[PersonalKind] = Counter()
    planted: Counter[PersonalKind] = Counter()
    masked: Counter[PersonalKind] = Counter()
    for note in notes(2_500, seed=20261121):
        places = find(note.text)
        found.update(place.kind for place in places)
        right.update(
            place.kind
            for place in places
            if any(label.start < place.end and place.start < label.end for label in note.labels)
        )
        planted.update(label.kind for label in note.labels)
        masked.update(_fully_masked(note))
    precision = right.total() / found.total()
    recall = masked.total() / planted.total()
    kinds = [
        f"{kind.value:10} precision {right[kind] / found[kind]:.4f} of {found[kind]}, "
        f"recall {masked[kind] / planted[kind]:.4f} of {planted[kind]}"
        for kind in PersonalKind
    ]
    together = f"all        precision {precision:.4f}, recall {recall:.4f}"
    show("personal data found in free text", "\n".join((*kinds, together)))
    assert precision >= LEAST_PRECISION
    assert recall >= LEAST_RECALL


def _fully_masked(note: Note) -> list[PersonalKind]:
    """The labels of which no character is left."""
    hidden = {index for place in find(note.text) for index in range(place.start, place.end)}
    return [label.kind for label in note.labels if hidden.issuperset(range(label.start, label.end))]


@pytest.mark.parametrize(
    "text",
    [
        "version 1.2.3, slot 4, 2026-08-01 09:30, ¥1,200",
        "T0312345678 and VM0901234567",
        "5105 1051 0510 5101 fails its check digit",
        "1234 5678 9017 fails its check digit",
        "666-12-3456, 900-12-3456, 123-00-4567 and 123-45-0000 were never given out",
        "緯度 35.681236,139.767125",
        "JAN 4901234567894",
        "",
    ],
)
def test_what_only_looks_personal_stays(text: str) -> None:
    assert mask_text(text) == text


def test_numbers_that_follow_one_another_are_each_recognised() -> None:
    text = "090-0000-1234 4111 1111 1111 1111 1234 5678 9018 219-09-9999"
    assert mask_text(text) == ("[masked:phone] [masked:card] [masked:my_number] [masked:ssn]")


def test_full_width_characters_hide_nothing() -> None:
    text = "ｔａｒｏ＠ｅｘａｍｐｌｅ．ｃｏｍ、０９０ー１２３４ー５６７８"
    assert mask_text(text) == "[masked:email]、[masked:phone]"


def test_withheld_text_tells_the_kinds_that_were_in_it_and_nothing_else() -> None:
    assert withhold_text("山田 a@example.com") == "[masked] [masked:email]"


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("12.50", "12.50"),
        ("2026-08-01T10:00:00+09:00", "2026-08-01T10:00:00+09:00"),
        ("out_of_order", "out_of_order"),
        ("山田花子", "[masked]"),
        ("Taro Yamada", "[masked]"),
        ("Taro", "[masked]"),
        ("0312345678", "[masked:phone]"),
        ("Taro a@example.com", "[masked] [masked:email]"),
    ],
)
def test_an_unknown_value_is_shown_if_it_is_a_number_or_a_code(value: str, shown: str) -> None:
    assert mask_unknown(value) == shown


@pytest.mark.parametrize(
    "hostile", ["1" * 50_000, "a" * 50_000 + "@", "区" * 5_000 + "1", "1 A" * 9_000]
)
@pytest.mark.timeout(10)
def test_a_long_text_takes_no_quadratic_time(hostile: str) -> None:
    assert isinstance(find(hostile), list)
