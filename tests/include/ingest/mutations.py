"""Files as vendors break them: valid sales with bytes inserted, replaced or cut, lines repeated."""

from __future__ import annotations

from hypothesis import strategies as st

from tests.include.ingest.conforming import SALES_HEADER, sales_line

_MARKS = (
    *(b'"', b'""', b",", b",,", b"\n", b"\r", b"\r\n", b"\n\n", b"\0", b"\xff", b" ", b"\t", b"'"),
    *(b".5", b"_", b"0x1", b"e2", b"-", b"+", b"NaN", b"\xef\xbb\xbf", b"=1+1", b"\x1f", b"\\"),
    *("１".encode(), "髙".encode(), "髙".encode("cp932"), "\u2028".encode()),
    *(b"2026-08-01", b"+99:00", b"Z", b"refund", b"%s", b"'; --", b"12345678901234567890"),
)


@st.composite
def mutated_sales(draw: st.DrawFn, rows: st.SearchStrategy[int]) -> bytes:
    """A sales file of so many rows, broken in up to three places."""
    amount = draw(st.sampled_from(("120", "1.5", "-3")))
    lines = [sales_line(transaction_id=f"T{number}", amount=amount) for number in range(draw(rows))]
    if lines:
        lines += draw(st.lists(st.sampled_from(lines), max_size=2))
    end = draw(st.sampled_from(("\n", "\r\n")))
    content = end.join((SALES_HEADER, *lines, "")).encode()
    for _ in range(draw(st.integers(0, 3))):
        # Most mutations hit the rows; the header has its own tests.
        first = draw(st.sampled_from((0, len(SALES_HEADER) + 1)))
        start = draw(st.integers(min(first, len(content)), len(content)))
        cut = draw(st.integers(0, 3))
        piece = draw(st.one_of(st.sampled_from(_MARKS), st.binary(max_size=2)))
        content = content[:start] + piece + content[start + cut :]
    return content


def rows_in(content: bytes) -> int:
    """The lines behind the header that are not blank, counted in the simplest way."""
    lines = (line.removesuffix(b"\r") for line in content.split(b"\n")[1:])
    return sum(1 for line in lines if line)
