"""Many pictures on one, to look a corpus over."""

from __future__ import annotations

from collections.abc import Sequence

from PIL import Image

__all__ = ["contact_sheet"]

_GROUND = (24, 26, 30)


def contact_sheet(images: Sequence[Image.Image], columns: int, cell: int = 320, gap: int = 8) -> Image.Image:
    """Return pictures in rows of `columns`, each shrunk to fit a square of `cell` pixels, never enlarged."""
    thumbs = [_thumbnail(image, cell) for image in images]
    rows = [thumbs[start : start + columns] for start in range(0, len(thumbs), columns)]
    heights = [max(thumb.height for thumb in row) for row in rows]
    sheet = Image.new("RGB", (columns * (cell + gap) + gap, sum(heights) + gap * (len(rows) + 1)), _GROUND)
    y = gap
    for row, height in zip(rows, heights, strict=True):
        for column, thumb in enumerate(row):
            sheet.paste(
                thumb, (gap + column * (cell + gap) + (cell - thumb.width) // 2, y + (height - thumb.height) // 2)
            )
        y += height + gap
    return sheet


def _thumbnail(image: Image.Image, cell: int) -> Image.Image:
    small = image.convert("RGB")
    small.thumbnail((cell, cell), Image.Resampling.LANCZOS)
    return small
