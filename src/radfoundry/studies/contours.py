"""Closed contours to pixels."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["fill_polygon", "pixels_on"]


def fill_polygon(points_yx: npt.NDArray[np.float64], shape: tuple[int, int]) -> npt.NDArray[np.bool_]:
    """Return the pixels whose centre is inside a closed polygon, by the even-odd rule; points (n, yx) in pixel coordinates.

    A centre on the left or upper edge is inside, on the right or lower one it is not, so that neighbours never share a pixel.
    """
    mask = np.zeros(shape, dtype=np.bool_)
    y0, x0 = points_yx[:, 0], points_yx[:, 1]
    y1, x1 = np.roll(y0, -1), np.roll(x0, -1)
    low, high = max(0, int(np.ceil(y0.min()))), min(shape[0] - 1, int(np.floor(y0.max())))
    columns = np.arange(shape[1])
    for row in range(low, high + 1):
        cuts = (y0 <= row) != (y1 <= row)
        if cuts.any():
            crossings = x0[cuts] + (row - y0[cuts]) / (y1[cuts] - y0[cuts]) * (x1[cuts] - x0[cuts])
            mask[row] = np.count_nonzero(crossings[None] <= columns[:, None], axis=1) % 2 == 1
    return mask


def pixels_on(points_yx: npt.NDArray[np.int64], shape: tuple[int, int]) -> npt.NDArray[np.bool_]:
    """Return the pixels that a closed chain of pixels passes through, the straight steps between them filled in."""
    mask = np.zeros(shape, dtype=np.bool_)
    for start, stop in zip(points_yx, np.roll(points_yx, -1, axis=0), strict=True):
        steps = int(np.abs(stop - start).max()) or 1
        line = np.rint(start + np.linspace(0, 1, steps + 1)[:, None] * (stop - start)).astype(int)
        inside = np.all((line >= 0) & (line < shape), axis=1)
        mask[tuple(line[inside].T)] = True
    return mask
