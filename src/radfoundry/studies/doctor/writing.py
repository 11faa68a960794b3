"""Writing in the pixels: names and dates that no table shows."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from radfoundry.studies.doctor.finding import Finding
from radfoundry.studies.read import ReadImage

__all__ = ["writing_findings"]

_MEND = "look at it, and mask it before it leaves the house"
# glyphs: height in pixels, and how many on one line make a text rather than a side marker
_HEIGHTS = (6, 60)
_LINE = 6


def writing_findings(path: str, image: ReadImage, said: str) -> Iterator[Finding]:
    """Yield burnt-in-text where the header says so (`said` is its BurnedInAnnotation), or where bright glyphs stand in a line."""
    if said == "YES":
        yield Finding(path, "warning", "burnt-in-text", "the header says that the picture shows annotation", _MEND)
    elif image.pixels.ndim == 2 and (count := _glyphs_in_line(image.pixels)) >= _LINE:
        yield Finding(
            path,
            "warning",
            "burnt-in-text",
            f"{count} bright shapes of one height stand in a line, as letters do",
            _MEND,
        )


def _glyphs_in_line(pixels: npt.NDArray) -> int:
    """Return the largest number of glyph-like shapes on one line: saturated, of one height, side by side."""
    bright = pixels >= pixels.max() - 0.02 * float(np.ptp(pixels))
    if bright.mean() > 0.1:
        return 0
    parts, count = ndimage.label(bright, structure=np.ones((3, 3)))
    if count > 20_000:
        return 0
    lines: dict[tuple[int, int], list[int]] = defaultdict(list)
    for rows, columns in ndimage.find_objects(parts):
        height, width = rows.stop - rows.start, columns.stop - columns.start
        if _HEIGHTS[0] <= height <= _HEIGHTS[1] and 1 < width <= 2 * height:
            lines[(round(rows.stop / (0.3 * height)), round(np.log2(height) * 3))].append(columns.start)
    return max((len(_close(starts)) for starts in lines.values()), default=0)


def _close(starts: list[int]) -> list[int]:
    """Keep the longest run of shapes that follow each other within a word's distance."""
    starts = sorted(starts)
    best: list[int] = []
    run: list[int] = []
    for start in starts:
        run = [*run, start] if run and start - run[-1] <= 90 else [start]
        best = max(best, run, key=len)
    return best
