"""A study on one picture: the planes through the region of interest side by side, with title and legend."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from radfoundry.geometry import Grid, Orientation
from radfoundry.viewing.overlays import NamedBox, draw_legend, paint_boxes, paint_labels
from radfoundry.viewing.slices import INK, MARGIN, Layout, Plane, font, frame, render_slice
from radfoundry.viewing.windows import Window, find_window

__all__ = ["draw_study"]

_TITLE = 26


def draw_study(
    pixels: npt.NDArray,
    grid: Grid,
    labelmap: npt.NDArray | None = None,
    names: Mapping[int, str] | None = None,
    boxes: Sequence[NamedBox] = (),
    title: str = "",
    *,
    modality: str = "CT",
    preset: str | None = None,
    view: str = "",
    planes: Sequence[Plane] = ("axial", "coronal"),
    size: int = 480,
) -> Image.Image:
    """Return the planes through what is named, or the picture itself, with marks, scale, title and legend.

    pixels and labelmap: `[z, y, x]` or `[y, x]`, any of the 48 orientations of `grid`; boxes: on the canonical grid. The planes
    pass through the named labels where these are largest, else through the boxes' middle, else the volume's.
    view: of a picture ("frontal", "lateral"); its R and L are drawn for "frontal" alone. size: pixels of the longest side of all.
    """
    orientation, names = Orientation.of(grid), dict(names or {})
    canonical, array = orientation.apply_grid(grid), orientation.apply(pixels)
    labels = None if labelmap is None else orientation.apply(labelmap)
    window = find_window(array, modality, preset)
    chosen: Sequence[Plane] = ("picture",) if grid.ndim == 2 else planes
    # one scale for all panes, so that lengths compare across them
    scale = min(Layout.fit(canonical, plane, size).scale for plane in chosen)
    indices = focus(canonical, labels, names, boxes)
    panes = [
        _draw_pane(Layout(canonical, plane, scale), array, labels, names, boxes, indices, window, view)
        for plane in chosen
    ]
    present = set() if labels is None else set(np.unique(labels).tolist())
    legend = [name for value, name in names.items() if value in present]
    legend += [named.name for named in boxes if named.name not in legend]
    return _assemble(panes, legend, title)


def focus(
    grid: Grid, labels: npt.NDArray | None, names: Mapping[int, str], boxes: Sequence[NamedBox]
) -> tuple[int, ...]:
    """Return the canonical index along each axis at which to cut."""
    if labels is not None and names:
        mask = np.isin(labels, list(names))
        if mask.any():
            axes = range(grid.ndim)
            return tuple(int(mask.sum(axis=tuple(a for a in axes if a != axis)).argmax()) for axis in axes)
    if boxes:
        return tuple(int(c) for c in boxes[0].box.centre)
    return tuple(n // 2 for n in grid.shape)


def _draw_pane(
    layout: Layout,
    array: npt.NDArray,
    labels: npt.NDArray | None,
    names: Mapping[int, str],
    boxes: Sequence[NamedBox],
    indices: tuple[int, ...],
    window: Window,
    view: str,
) -> Image.Image:
    axis = layout.cut_axis
    index = 0 if axis is None else indices[axis]
    picture = render_slice(layout, array, index, window)
    if labels is not None:
        picture = paint_labels(picture, layout, labels, index, names)
    picture = paint_boxes(picture, layout, index, boxes)
    return _captioned(frame(layout, picture, layout.sides(view)), _caption(layout, axis, index))


def _caption(layout: Layout, axis: int | None, index: int) -> str:
    return "" if axis is None else f"{layout.plane} {index + 1} / {layout.grid.shape[axis]}"


def _captioned(picture: Image.Image, caption: str) -> Image.Image:
    """Return the pane with its plane and slice number at the lower right of the margin."""
    draw = ImageDraw.Draw(picture)
    draw.text((picture.width - MARGIN, picture.height - 8), caption, fill=INK, font=font(11), anchor="rm")
    return picture


def _assemble(panes: Sequence[Image.Image], legend: Sequence[str], title: str) -> Image.Image:
    width = sum(pane.width for pane in panes)
    strip = draw_legend(legend, width)
    top = _TITLE if title else 0
    height = max(pane.height for pane in panes)
    whole = Image.new("RGB", (width, top + height + strip.height))
    draw = ImageDraw.Draw(whole)
    draw.text((MARGIN, top / 2 + 2), _cut_to(title, width - 2 * MARGIN), fill=INK, font=font(15), anchor="lm")
    x = 0
    for pane in panes:
        whole.paste(pane, (x, top + (height - pane.height) // 2))
        x += pane.width
    whole.paste(strip, (0, top + height))
    return whole


def _cut_to(text: str, width: float) -> str:
    """Return as much of a line as fits, with an ellipsis where it was cut."""
    face, line = font(15), " ".join(text.split())
    if face.getlength(line) <= width:
        return line
    fitting = bisect_left(range(1, len(line)), True, key=lambda n: face.getlength(line[:n] + "...") > width)
    return line[:fitting] + "..."
