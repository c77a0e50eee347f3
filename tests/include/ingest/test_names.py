"""Names of delivered files: what is refused, and why."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.ingest.names import printable, refusal


@pytest.mark.parametrize(
    "object_key",
    [
        "products.csv",
        "completejourney/products.csv",
        "deep/down/sales_VM001_20260101.csv",
        "Sales 2026 (final), v2 + corrections = done.csv",
        "売上・東京（八月）/sales_自販機１号_20260801.csv",
        "~backup/#1.csv",
    ],
)
def test_a_name_that_a_vendor_may_give_is_taken(object_key: str) -> None:
    assert refusal(object_key) is None


@pytest.mark.parametrize(
    ("object_key", "reason"),
    [
        ("sales_VM'001_20260101.csv", "its name has the character '"),
        ('sales_"; DROP TABLE x; --_20260101.csv', 'its name has the character "'),
        ("sales_`id`_20260101.csv", "its name has the character `"),
        ("sales_VM001\0_20260101.csv", "its name has a control character"),
        ("sales_VM001\n_20260101.csv", "its name has a control character"),
        ("sales_\x1b[31m_20260101.csv", "its name has a control character"),
        ("sales_\u202evsc.001_20260101.csv", "its name has an invisible character"),
        ("sales_\u2028_20260101.csv", "its name has a line end"),
        ("sales_\udcff_20260101.csv", "its name has bytes that are not UTF-8"),
        ("sales_%2e%2e%2f_20260101.csv", "its name has the character %"),
        ("sales_*_20260101.csv", "its name has the character *"),
        ("sales_[ab]_20260101.csv", "its name has the character ["),
        ("sales_\\..\\_20260101.csv", "its name has the character \\"),
        ("{{ conn.fleet_api }}.csv", "its name has the character {"),
        ("../products.csv", "its path has an empty, . or .. part"),
        ("a/../../products.csv", "its path has an empty, . or .. part"),
        ("a//products.csv", "its path has an empty, . or .. part"),
        (" products.csv", "its name begins or ends with a blank"),
        ("a" * 256, "its name is longer than 255 bytes, or its path than 900"),
        ("/".join(["a" * 200] * 5), "its name is longer than 255 bytes, or its path than 900"),
    ],
)
def test_a_hostile_name_is_refused_with_its_reason(object_key: str, reason: str) -> None:
    assert refusal(object_key) == reason


@given(st.text())
def test_a_name_that_is_taken_leaves_no_folder_and_ends_no_literal(object_key: str) -> None:
    if refusal(object_key) is None:
        assert ".." not in object_key.split("/")
        assert not set(object_key) & set("\0\n\r\\'\"`%*?[]{}<>|;:$!^")


@given(st.text(st.characters()))
def test_every_name_can_be_shown_on_one_line_and_stored(name: str) -> None:
    shown = printable(name)
    assert shown.encode().decode() == shown
    assert len(shown.splitlines()) <= 1
