"""What is drawn over a slice: masks as an outline with a light fill, boxes with their names, a legend."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from radfoundry.geometry import Box
from radfoundry.viewing.palette import hex_to_rgb, region_colour
from radfoundry.viewing.slices import INK, Layout, font

__all__ = ["NamedBox", "draw_legend", "paint_boxes", "paint_labels"]

_FILL = 0.22
_LEGEND_ROW = 20


@dataclass(frozen=True)
class NamedBox:
    """A box on the canonical grid and what it is called."""

    name: str
    box: Box


def paint_labels(
    picture: Image.Image, layout: Layout, labels: npt.NDArray, index: int, names: Mapping[int, str]
) -> Image.Image:
    """Return the bare slice with the named labels of a canonical label map over it; labels without a name are not drawn."""
    shown = _resized(layout.slice(labels, index), layout.size)
    pixels = np.asarray(picture).astype(np.float32)
    for value, name in names.items():
        mask = shown == value
        if mask.any():
            colour = np.array(hex_to_rgb(region_colour(name)), dtype=np.float32)
            pixels[mask] = pixels[mask] * (1 - _FILL) + colour * _FILL
            pixels[_outline(mask)] = colour
    return Image.fromarray(np.rint(pixels).astype(np.uint8))


def paint_boxes(picture: Image.Image, layout: Layout, index: int, boxes: Sequence[NamedBox]) -> Image.Image:
    """Return the bare slice with the boxes that it passes through, each with its name."""
    painted = picture.copy()
    draw = ImageDraw.Draw(painted)
    for named in boxes:
        axis = layout.cut_axis
        if axis is not None and not named.box.start[axis] <= index < named.box.stop[axis]:
            continue
        colour = hex_to_rgb(region_colour(named.name))
        left, top, right, bottom = layout.box(named.box)
        draw.rectangle((left, top, max(right - 1, left), max(bottom - 1, top)), outline=colour, width=2)
        _draw_tag(draw, painted.size, (left, top), named.name, colour)
    return painted


def draw_legend(names: Sequence[str], width: int) -> Image.Image:
    """Return a strip `width` pixels wide with a swatch and a name for each region, in as many rows as it takes."""
    face, x = font(13), 8.0
    rows: list[list[tuple[float, str]]] = [[]]
    for name in names:
        length = 20 + face.getlength(name) + 18
        if rows[-1] and x + length > width:
            rows.append([])
            x = 8.0
        rows[-1].append((x, name))
        x += length
    strip = Image.new("RGB", (width, _LEGEND_ROW * len(rows) + 6 if names else 1))
    draw = ImageDraw.Draw(strip)
    for line, row in enumerate(rows):
        middle = 3 + _LEGEND_ROW * (line + 0.5)
        for start, name in row:
            draw.rectangle((start, middle - 5, start + 11, middle + 6), fill=hex_to_rgb(region_colour(name)))
            draw.text((start + 18, middle), name, fill=INK, font=face, anchor="lm")
    return strip


def _draw_tag(
    draw: ImageDraw.ImageDraw,
    size: tuple[int, int],
    corner: tuple[float, float],
    name: str,
    colour: tuple[int, int, int],
) -> None:
    """Write a box's name above it, or inside where there is no room, on black."""
    face = font(13)
    length = face.getlength(name) + 6
    x = max(0.0, min(corner[0], size[0] - length))
    y = corner[1] - 16 if corner[1] >= 16 else corner[1] + 2
    draw.rectangle((x, y, x + length, y + 15), fill=(0, 0, 0))
    draw.text((x + 3, y + 8), name, fill=colour, font=face, anchor="lm")


def _resized(labels: npt.NDArray, size: tuple[int, int]) -> npt.NDArray:
    """Return the labels at picture size, each pixel the sample that it lies in."""
    width, height = size
    rows = (np.arange(height) + 0.5) * labels.shape[0] / height
    columns = (np.arange(width) + 0.5) * labels.shape[1] / width
    return labels[rows.astype(int)[:, None], columns.astype(int)[None, :]]


def _outline(mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Return the pixels of a mask that touch its outside (or the picture's edge), two pixels deep."""
    inside = mask
    for _ in range(2):
        padded = np.pad(inside, 1)
        inside = inside & padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]
    return mask & ~inside
