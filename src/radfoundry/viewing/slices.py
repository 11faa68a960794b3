"""One slice as a picture: true proportions, the patient's sides, a scale bar.

`Layout` is the only place that knows how a canonical grid lies on the screen: the patient's right on the picture's left in
axial and coronal slices, the head on top in coronal and sagittal ones, the front on the left in sagittal ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from radfoundry.geometry import Box, Grid, Orientation
from radfoundry.viewing.windows import Window, find_window

__all__ = ["INK", "MARGIN", "Layout", "Plane", "Sides", "draw_slice", "font", "frame", "render_slice"]

Plane = Literal["axial", "coronal", "sagittal", "picture"]

MARGIN = 22
INK = (232, 230, 220)
_MARK = (255, 214, 102)
_BACKGROUND = (0, 0, 0)
# A second letter ("RA") says that an axis leans by 20 degrees or more.
_LEANS = 0.342
_LETTERS = (("R", "L"), ("A", "P"), ("F", "H"))


class _Cut(NamedTuple):
    """Canonical array axes: the one cut, the ones running down and to the right; whether the last row is drawn first."""

    axis: int | None
    down: int
    right: int
    from_the_top: bool


_CUTS: dict[Plane, _Cut] = {
    "axial": _Cut(0, 1, 2, False),
    "coronal": _Cut(1, 0, 2, True),
    "sagittal": _Cut(2, 0, 1, True),
    "picture": _Cut(None, 0, 1, False),
}


class Sides(NamedTuple):
    """The letters at the edges of a picture; empty where the side is not known."""

    left: str
    right: str
    top: str
    bottom: str


@dataclass(frozen=True)
class Layout:
    """Where the samples of a plane fall on its picture. grid: canonical; scale: picture pixels per unit of the grid."""

    grid: Grid
    plane: Plane
    scale: float

    @classmethod
    def fit(cls, grid: Grid, plane: Plane, size: int) -> Layout:
        """Return the layout whose longer side has `size` pixels."""
        cut = _CUTS[plane]
        longest = max(grid.shape[a] * grid.spacing[a] for a in (cut.down, cut.right))
        return cls(grid, plane, size / longest)

    @property
    def cut_axis(self) -> int | None:
        """The canonical array axis that the plane cuts, None for a picture."""
        return _CUTS[self.plane].axis

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels, without margins."""
        cut = _CUTS[self.plane]
        width, height = (self.grid.shape[a] * self.grid.spacing[a] * self.scale for a in (cut.right, cut.down))
        return max(1, round(width)), max(1, round(height))

    def slice(self, array: npt.NDArray, index: int) -> npt.NDArray:
        """Return the samples of a canonical array in the plane, rows from top to bottom."""
        cut = _CUTS[self.plane]
        samples = array if cut.axis is None else array.take(index, axis=cut.axis)
        return samples[::-1] if cut.from_the_top else samples

    def at(self, index: Sequence[float]) -> tuple[float, float]:
        """Return the picture's (x, y) of an index position on the canonical grid, sample centres at whole numbers."""
        cut, (width, height) = _CUTS[self.plane], self.size
        x = (index[cut.right] + 0.5) / self.grid.shape[cut.right] * width
        y = (index[cut.down] + 0.5) / self.grid.shape[cut.down] * height
        return x, (height - y if cut.from_the_top else y)

    def box(self, box: Box) -> tuple[float, float, float, float]:
        """Return the picture's (left, top, right, bottom) around a half-open box."""
        x0, y0 = self.at([a - 0.5 for a in box.start])
        x1, y1 = self.at([b - 0.5 for b in box.stop])
        return min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1)

    def sides(self, view: str = "") -> Sides:
        """Return the letters at the edges, from the grid's directions alone.

        view: of a picture; its sides are known for "frontal" only, its head for "lateral" too.
        """
        cut = _CUTS[self.plane]
        columns = self.grid.direction_matrix[:, ::-1]
        if cut.axis is None:
            if view not in ("frontal", "lateral"):
                return Sides("", "", "", "")
            # a picture's own plane: x to the patient's left, y to the feet
            right, down = (np.array([c[0], 0.0, -c[1]]) for c in (columns[:, cut.right], columns[:, cut.down]))
            if view == "lateral":
                return Sides("", "", _letters(-down), _letters(down))
        else:
            right, down = columns[:, cut.right], columns[:, cut.down] * (-1 if cut.from_the_top else 1)
        return Sides(_letters(-right), _letters(right), _letters(-down), _letters(down))


def draw_slice(
    pixels: npt.NDArray,
    grid: Grid,
    plane: Plane = "axial",
    index: int | None = None,
    *,
    modality: str = "CT",
    preset: str | None = None,
    view: str = "",
    size: int = 512,
) -> Image.Image:
    """Return a slice of a volume `[z, y, x]`, or a picture `[y, x]`, as an RGB picture with marks and scale.

    pixels and grid may be in any of the 48 orientations; index is along the canonical axis that the plane cuts, the middle by
    default. size: pixels of the longer side, without margins.
    """
    orientation = Orientation.of(grid)
    array = orientation.apply(pixels)
    layout = Layout.fit(orientation.apply_grid(grid), "picture" if grid.ndim == 2 else plane, size)
    if index is None:
        index = 0 if layout.cut_axis is None else layout.grid.shape[layout.cut_axis] // 2
    grey = render_slice(layout, array, index, find_window(array, modality, preset))
    return frame(layout, grey, layout.sides(view))


def render_slice(layout: Layout, array: npt.NDArray, index: int, window: Window) -> Image.Image:
    """Return the bare slice of a canonical array in RGB, `layout.size` pixels."""
    grey = window.apply(layout.slice(array, index))
    return Image.fromarray(grey).resize(layout.size, Image.Resampling.BICUBIC).convert("RGB")


def frame(layout: Layout, picture: Image.Image, sides: Sides) -> Image.Image:
    """Return the picture in a black margin of `MARGIN` pixels with side letters and a scale bar."""
    width, height = picture.size
    framed = Image.new("RGB", (width + 2 * MARGIN, height + 2 * MARGIN), _BACKGROUND)
    framed.paste(picture, (MARGIN, MARGIN))
    draw = ImageDraw.Draw(framed)
    middle_x, middle_y, inset = framed.width / 2, framed.height / 2, MARGIN / 2
    left_right = ((inset, middle_y), (framed.width - inset, middle_y))
    top_bottom = ((middle_x, inset), (middle_x, framed.height - inset))
    for letters, place in zip(sides, left_right + top_bottom, strict=True):
        draw.text(place, letters, fill=_MARK, font=font(16 if len(letters) < 2 else 13), anchor="mm")
    _draw_scale_bar(draw, layout, framed)
    return framed


def font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Return the font of all pictures; it comes with Pillow, so pictures are the same on every machine."""
    return ImageFont.load_default(size)


def _draw_scale_bar(draw: ImageDraw.ImageDraw, layout: Layout, framed: Image.Image) -> None:
    """Draw the longest round length below a third of the width, at the lower left."""
    room = (framed.width - 2 * MARGIN) / 3 / layout.scale
    rounds = [step * 10**power for power in range(-1, 5) for step in (1, 2, 5)]
    length = max([r for r in rounds if r <= room], default=rounds[0])
    y, x0, x1 = framed.height - MARGIN + 4, MARGIN, MARGIN + length * layout.scale
    draw.line([(x0, y), (x1, y)], fill=INK, width=2)
    for x in (x0, x1):
        draw.line([(x, y - 3), (x, y + 3)], fill=INK, width=1)
    unit = "mm" if layout.grid.unit == "mm" else "px"
    draw.text((x0, y + 5), f"{length:g} {unit}", fill=INK, font=font(11), anchor="lt")


def _letters(direction: npt.NDArray[np.float64]) -> str:
    """Return the patient's side that an LPS direction points to, the strongest first."""
    order = sorted(range(3), key=lambda axis: -abs(direction[axis]))
    return "".join(
        _LETTERS[axis][int(direction[axis] > 0)]
        for rank, axis in enumerate(order[:2])
        if rank == 0 or abs(direction[axis]) > _LEANS
    )
