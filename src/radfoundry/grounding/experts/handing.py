"""How an image is handed to a program, and what grid its answer is on.

Most programs answer on the grid of the image. SAT works on 1 x 1 x 3 mm, cropped to what is above zero, and writes masks with the identity
as affine, so that nothing in them says where they lie. Its own resampling and cropping are made idle: it gets an image that is at this
spacing and cut to this box already, and whatever comes back in that shape lies where the image did.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from radfoundry.errors import UnreadableError
from radfoundry.geometry import Box, Grid, View

__all__ = ["Handed", "as_it_is", "resampled_and_cropped"]

# z, y, x; SAT and RadGenome's files
_SPACING_MM = (3.0, 1.0, 1.0)
_RAS = (-1.0, 0.0, 0.0, 0.0, -1.0, 0.0, 0.0, 0.0, 1.0)


@dataclass(frozen=True)
class Handed:
    """What is written (`stored` on `stored_grid`), and the canonical grid in the patient on which the answer lies."""

    stored: npt.NDArray
    stored_grid: Grid
    grid: Grid


def as_it_is(pixels: npt.NDArray, grid: Grid) -> Handed:
    """Hand over the canonical image."""
    return Handed(pixels, grid, grid)


def resampled_and_cropped(pixels: npt.NDArray, grid: Grid) -> Handed:
    """Hand over the image at 1 x 1 x 3 mm, cut to the box of what is above zero, its axes stored to the right, front and head.

    The box is that of the values as they are (HU in a CT), so that every face of it holds a value above zero. Raises UnreadableError
    where nothing is above zero.
    """
    shape = tuple(max(1, math.ceil(n * s / t)) for n, s, t in zip(grid.shape, grid.spacing, _SPACING_MM, strict=True))
    start = tuple((t / s - 1) / 2 for s, t in zip(grid.spacing, _SPACING_MM, strict=True))
    whole = replace(grid, shape=shape, spacing=_SPACING_MM, origin=tuple(float(v) for v in grid.to_world(start)))
    values = np.rint(View(grid, whole).pixels(pixels, fill=float(pixels.min()))).astype(np.int16)
    box = Box.of_mask(values > 0)
    if box is None:
        raise UnreadableError("the image is empty", "no value is above zero", code="empty-image")
    cut = View.crop(whole, box).target
    inside = values[tuple(slice(a, b) for a, b in zip(box.start, box.stop, strict=True))]
    stored_grid = Grid(cut.shape, _SPACING_MM, (0.0, 0.0, 0.0), _RAS)
    return Handed(np.ascontiguousarray(inside[:, ::-1, ::-1]), stored_grid, cut)
