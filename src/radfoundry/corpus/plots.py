"""Bar charts for the card, as SVG text: no clock, no font files, the same bytes everywhere."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape

__all__ = ["bar_chart"]

_ROW, _LABEL, _BAR, _VALUE = 22, 270, 360, 80
_LONGEST = 36  # characters of a label
_STYLE = "font-family:system-ui,sans-serif;font-size:13px"


def bar_chart(title: str, counts: Mapping[str, int]) -> str:
    """Return a horizontal bar chart of counts, in the order given."""
    most = max(counts.values(), default=1)
    height = _ROW * (len(counts) + 2)
    rows = [_bar(place, label, count, most) for place, (label, count) in enumerate(counts.items())]
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{_LABEL + _BAR + _VALUE}" height="{height}" style="{_STYLE}">',
            '<rect width="100%" height="100%" fill="#ffffff"/>',
            f'<text x="8" y="22" font-weight="600" fill="#1b1f24">{escape(title)}</text>',
            *rows,
            "</svg>",
            "",
        ]
    )


def _bar(place: int, label: str, count: int, most: int) -> str:
    label = label if len(label) <= _LONGEST else label[: _LONGEST - 1] + "…"
    top, width = _ROW * (place + 2) - 6, max(1, round(_BAR * count / most))
    return (
        f'<text x="{_LABEL - 8}" y="{top + 13}" text-anchor="end" fill="#1b1f24">{escape(label)}</text>'
        f'<rect x="{_LABEL}" y="{top}" width="{width}" height="16" rx="2" fill="#3b6ea5"/>'
        f'<text x="{_LABEL + width + 6}" y="{top + 13}" fill="#57606a">{count:,}</text>'
    )
