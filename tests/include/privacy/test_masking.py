"""What each masking strategy makes of a value."""

import re
from functools import cache

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from include.contracts import Masking, MaskingStrategy, SyntheticKind
from include.privacy.masking_sql import masked_pattern, masking_sql, prepare_masking
from include.privacy.pepper import Pepper, Purpose

PEPPER = Pepper(3, bytes(range(32)))
OTHER = Pepper(4, bytes(range(1, 33)))

KEYED_HASH = Masking(MaskingStrategy.KEYED_HASH)
TOKEN = Masking(MaskingStrategy.TOKEN)
LAST_FOUR = Masking(MaskingStrategy.PARTIAL, last=4)
AGE_BAND = Masking(MaskingStrategy.AGE_BAND)
PREFECTURE = Masking(MaskingStrategy.PREFECTURE)
WITHHOLD = Masking(MaskingStrategy.WITHHOLD)
SEARCH = Masking(MaskingStrategy.SEARCH)
INVENTED = {kind: Masking(MaskingStrategy.SYNTHETIC, kind=kind) for kind in SyntheticKind}
HIDING = (KEYED_HASH, TOKEN, LAST_FOUR, AGE_BAND, PREFECTURE, WITHHOLD, *INVENTED.values())


@cache
def prepared(pepper: Pepper) -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect()
    prepare_masking(connection, pepper)
    return connection


def masked(masking: Masking, *texts: str | None, pepper: Pepper = PEPPER) -> list[str | None]:
    query = f"SELECT {masking_sql(masking, 'v')} FROM (SELECT unnest(CAST(? AS VARCHAR[])) AS v)"
    return [value for (value,) in prepared(pepper).execute(query, [list(texts)]).fetchall()]


@settings(deadline=None, max_examples=50)
@given(text=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")))
def test_a_keyed_hash_is_hmac_sha256_as_anyone_computes_it(text: str) -> None:
    assert masked(KEYED_HASH, text) == [PEPPER.masked(Purpose.KEYED_HASH, text)]
    assert masked(TOKEN, text) == [PEPPER.masked(Purpose.TOKEN, text)]


def test_masked_values_show_the_version_of_the_pepper_and_change_with_it() -> None:
    (before,), (after,) = masked(TOKEN, "a"), masked(TOKEN, "a", pepper=OTHER)
    assert before.startswith("t3:")
    assert after.startswith("t4:")
    assert before[3:] != after[3:]


def test_a_hash_tells_nothing_of_the_token_of_the_same_value() -> None:
    (hashed,), (token,) = masked(KEYED_HASH, "a"), masked(TOKEN, "a")
    assert hashed[1:] != token[1:]


def test_a_partial_mask_leaves_the_ends_of_a_long_value_and_nothing_of_a_short_one() -> None:
    assert masked(LAST_FOUR, "090-1234-5678", "5678", "12345678") == [
        "****5678",
        "****",
        "****5678",
    ]
    both = Masking(MaskingStrategy.PARTIAL, first=2, last=2)
    assert masked(both, "ABCDEFGH", "ABCDEFG") == ["AB****GH", "****"]


def test_ages_and_dates_of_birth_become_bands() -> None:
    assert masked(AGE_BAND, "43", "1985-04-01", "1990", "forty") == [
        "40-49",
        "1980-1989",
        "1990-1999",
        "[masked]",
    ]


def test_an_address_becomes_its_prefecture() -> None:
    addresses = ("〒100-0005 東京都千代田区丸の内1-1-1", "京都府京都市中京区", "12 High Street")
    assert masked(PREFECTURE, *addresses) == ["東京都", "京都府", "[masked]"]


def test_invented_telephones_cannot_be_called() -> None:
    assert re.fullmatch(r"090-0\d{3}-\d{4}", masked(INVENTED[SyntheticKind.PHONE], "03-1")[0] or "")


def test_invented_names_are_many() -> None:
    names = masked(INVENTED[SyntheticKind.NAME], *(f"人{number}" for number in range(200)))
    assert len(set(names)) > 150


@pytest.mark.parametrize(
    "masking", HIDING, ids=lambda m: "-".join(filter(None, (m.strategy, m.kind)))
)
def test_what_is_stored_shows_that_it_is_masked_and_a_missing_value_stays_missing(
    masking: Masking,
) -> None:
    pattern = masked_pattern(masking)
    assert pattern
    values = masked(masking, "山田 太郎", "090-1234-5678", "x", None)
    assert values[-1] is None
    assert all(re.fullmatch(pattern, value or "") for value in values[:-1])
    assert values == masked(masking, "山田 太郎", "090-1234-5678", "x", None)


def test_searched_text_keeps_what_is_not_personal() -> None:
    texts = ("補充済み", "連絡は taro@example.jp まで", "電話０９０－１２３４－５６７８へ")
    assert masked(SEARCH, *texts) == [
        "補充済み",
        "連絡は [masked:email] まで",
        "電話[masked:phone]へ",
    ]


def test_the_pepper_is_in_no_statement_and_no_text_of_it() -> None:
    assert "00010203" not in repr(PEPPER)
    assert bytes(range(32)).decode() not in masking_sql(KEYED_HASH, "v")
