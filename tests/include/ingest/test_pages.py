"""API pages: an item stays the text that it was."""

from __future__ import annotations

import gzip
import json
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from include.ingest.pages import Page, PageBody, PageHead, encode_page, parse_body, read_head

HEAD = PageHead(
    cursor=None, next_cursor="c1", has_more=True, fetched_at=datetime(2026, 1, 1, tzinfo=UTC)
)
JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@pytest.mark.parametrize(
    "item",
    ['{"t":1.10}', '{"n":100000000000000000000.000}', '{"t":1e2}', '"é\\u00e9"', "3", "[1 , 2]"],
)
def test_an_item_keeps_its_text(item):
    assert parse_body(f'{{"data":[{item}]}}'.encode(), "data").items == (item,)


@settings(max_examples=60, deadline=None)
@given(items=st.lists(JSON_VALUES), indent=st.none() | st.integers(0, 2), ascii_only=st.booleans())
def test_items_of_any_page_mean_what_they_meant_and_take_one_line(items, indent, ascii_only):
    content = {"before": items, "data": items, "after": {"data": []}}
    text = json.dumps(content, indent=indent, ensure_ascii=ascii_only)

    body = parse_body(text.encode("utf-8", "surrogatepass"), "data")

    if body.malformed is None:
        assert [json.loads(item) for item in body.items] == items
        assert not any("\n" in item for item in body.items)
    else:
        # Lone surrogates cannot be written as UTF-8, so they make no page.
        assert not ascii_only


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b'{"data":[1',
        b'{"data":[1]} trailing',
        b'{"data":[NaN]}',
        b'{"data":{}}',
        b'{"items":[]}',
        b"[1,2]",
        b'{"data":["\xff"]}',
        b'{"data":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    ],
)
def test_a_body_that_is_no_page_is_kept_as_text(body):
    parsed = parse_body(body, "data")

    assert parsed.items == ()
    assert parsed.malformed == body.decode("utf-8", errors="backslashreplace")


def test_what_is_wrong_with_one_item_spoils_no_page():
    items = ["1" * 10_000, '{"a":"\\ud800"}', '{"a":1,"a":2}']
    for item in items:
        body = f'{{"data":[{item},{{"a":1}}]}}'.encode()
        assert parse_body(body, "data").items == (item, '{"a":1}')


def test_a_byte_order_mark_is_no_mistake():
    assert parse_body(b'\xef\xbb\xbf{"data":[1]}', "data").items == ("1",)


def test_of_a_field_that_is_repeated_the_last_counts_as_in_json():
    assert parse_body(b'{"data":[1],"data":[2]}', "data").items == ("2",)


def test_an_empty_page_and_a_malformed_one_are_told_apart():
    assert parse_body(b'{"data":[]}', "data").is_empty
    assert not parse_body(b"oops", "data").is_empty


def test_the_same_page_is_always_the_same_bytes():
    page = Page(HEAD, PageBody(items=('{"a":1}',)))

    assert encode_page(page) == encode_page(page)
    assert encode_page(page)[4:8] == b"\0\0\0\0"  # gzip's time stamp


def test_the_head_of_a_page_is_read_back(lake):
    lake.write_bytes("raw/page", encode_page(Page(HEAD, PageBody(malformed="oops\n"))))

    assert read_head(lake, "raw/page") == HEAD


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"no gzip",
        gzip.compress(b"no json\n", mtime=0),
        gzip.compress(b'{"a":1}\n', mtime=0)[:-9],
    ],
)
def test_a_damaged_page_has_no_head(lake, content):
    lake.write_bytes("raw/page", content)

    assert read_head(lake, "raw/page") is None
