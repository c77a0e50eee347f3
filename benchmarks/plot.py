"""One plot: horizontal bars as SVG, readable on a light and on a dark page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

_WIDTH, _LABEL, _ROW, _TOP = 760, 250, 34, 44
_FONT = "font-family='system-ui, sans-serif' font-size='14'"


@dataclass(frozen=True, slots=True)
class Bar:
    """A name and its value."""

    name: str
    value: float


def bars(title: str, values: Sequence[Bar]) -> str:
    """An SVG of one bar for each value, all from zero on one scale; the second one stands out."""
    longest = max(bar.value for bar in values)
    height = _TOP + _ROW * len(values) + 8
    parts = [
        f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {_WIDTH} {height}' role='img'>",
        f"<title>{escape(title)}</title>",
        f"<rect width='{_WIDTH}' height='{height}' rx='6' fill='#ffffff'/>",
        f"<text x='16' y='28' {_FONT} font-weight='600' fill='#1f2328'>{escape(title)}</text>",
    ]
    for number, bar in enumerate(values):
        top = _TOP + number * _ROW
        length = (_WIDTH - _LABEL - 80) * bar.value / longest
        colour = "#0b6e99" if number == 1 else "#9aa4ae"
        text = f"y='{top + 17}' {_FONT} fill='#1f2328'"
        parts += [
            f"<text x='{_LABEL - 10}' text-anchor='end' {text}>{escape(bar.name)}</text>",
            f"<rect x='{_LABEL}' y='{top}' width='{length:.1f}' height='24' fill='{colour}'/>",
            f"<text x='{_LABEL + length + 8:.1f}' {text}>{bar.value:.1f} s</text>",
        ]
    return "\n".join([*parts, "</svg>", ""])
