"""A view: what a model or an eye is shown of an image, as an invertible map between two grids.

Crop, resample and pad are one thing here: two grids that share their axes. Points, boxes, masks and pixels go both ways.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from radfoundry.errors import GeometryError
from radfoundry.geometry.box import Box
from radfoundry.geometry.grid import Grid

__all__ = ["View"]


@dataclass(frozen=True)
class View:
    """The map from a `source` grid to a `target` grid whose axes point the same way.

    Raises GeometryError where the axes differ: canonicalise first.
    """

    source: Grid
    target: Grid

    def __post_init__(self) -> None:
        if self.source.ndim != self.target.ndim or not np.allclose(
            self.source.direction, self.target.direction, atol=1e-4
        ):
            raise GeometryError(
                "a view joins two grids with the same axes", mend="canonicalise or resample first", code="view-axes"
            )

    @classmethod
    def fit(cls, source: Grid, shape: tuple[int, ...]) -> View:
        """Return the view of the whole source in `shape`: one scale in the plane (y, x), its own along z, centred, padded."""
        extent = [n * s for n, s in zip(source.shape, source.spacing, strict=True)]
        spacing = [e / n for e, n in zip(extent, shape, strict=True)]
        spacing[-2:] = [max(spacing[-2:])] * 2
        middle = [(n - 1) / 2 for n in source.shape]
        start = [m - (n - 1) / 2 * t / s for m, n, t, s in zip(middle, shape, spacing, source.spacing, strict=True)]
        origin = tuple(float(v) for v in source.to_world(start))
        return cls(source, replace(source, shape=tuple(shape), spacing=tuple(spacing), origin=origin))

    @classmethod
    def crop(cls, source: Grid, box: Box) -> View:
        """Return the view of a box of the source at the source's own spacing (the box may reach outside)."""
        origin = tuple(float(v) for v in source.to_world(box.start))
        return cls(source, replace(source, shape=box.size, origin=origin))

    @property
    def inverse(self) -> View:
        """The view back: points return exactly, pixels as well as the coarser grid allows."""
        return View(self.target, self.source)

    @property
    def scale(self) -> npt.NDArray[np.float64]:
        """Source samples per target sample along (z, y, x)."""
        return np.asarray(self.target.spacing) / np.asarray(self.source.spacing)

    @property
    def offset(self) -> npt.NDArray[np.float64]:
        """Source index of the target's first sample, (z, y, x)."""
        return self.source.to_index(self.target.origin)

    def points(self, index_zyx: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Map source index coordinates (..., zyx) to target index coordinates."""
        return (np.asarray(index_zyx, dtype=np.float64) - self.offset) / self.scale

    def box(self, box: Box, *, clip: bool = True) -> Box | None:
        """Map a source box to the smallest target box that holds it; None where nothing of it is in view."""
        # sample edges, not centres: a half-open box [a, b) covers a - 0.5 to b - 0.5
        low = self.points(np.asarray(box.start) - 0.5) + 0.5
        high = self.points(np.asarray(box.stop) - 0.5) + 0.5
        start = np.floor(low + 1e-6).astype(int)
        stop = np.ceil(high - 1e-6).astype(int)
        if clip:
            start, stop = np.maximum(start, 0), np.minimum(stop, self.target.shape)
        if np.any(start >= stop):
            return None
        return Box(tuple(int(v) for v in start), tuple(int(v) for v in stop))

    def pixels(self, array: npt.NDArray, fill: float = 0.0) -> npt.NDArray[np.float32]:
        """Resample intensities to the target: linear, averaged over the target sample where that is larger; float32.

        Samples outside the source are `fill`.
        """
        out = array
        for axis in self._axes_by_shrinkage():
            out = _along(out, axis, *self._taps(axis), fill)
        return np.ascontiguousarray(out, dtype=np.float32)

    def labels(self, array: npt.NDArray, fill: int = 0) -> npt.NDArray:
        """Resample labels to the target by the nearest sample; outside the source they are `fill`."""
        out = array
        for axis in range(array.ndim):
            index = np.floor(np.arange(self.target.shape[axis]) * self.scale[axis] + self.offset[axis] + 0.5).astype(
                int
            )
            outside = (index < 0) | (index >= array.shape[axis])
            out = np.take(out, np.clip(index, 0, array.shape[axis] - 1), axis=axis)
            if outside.any():
                out[(slice(None),) * axis + (outside,)] = fill
        return out

    def _axes_by_shrinkage(self) -> list[int]:
        return sorted(range(self.source.ndim), key=lambda a: self.target.shape[a] / self.source.shape[a])

    def _taps(self, axis: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]:
        """Return source indices and weights, both (target samples, taps), of a triangle filter."""
        scale, offset = float(self.scale[axis]), float(self.offset[axis])
        centre = np.arange(self.target.shape[axis]) * scale + offset
        radius = max(scale, 1.0)
        taps = np.arange(math.floor(-radius), math.ceil(radius) + 1)
        index = np.floor(centre)[:, None].astype(np.int64) + taps
        weight = np.maximum(0.0, 1.0 - np.abs(index - centre[:, None]) / radius)
        weight[weight < 1e-7] = 0.0
        return index, (weight / weight.sum(axis=1, keepdims=True)).astype(np.float32)


def _along(
    array: npt.NDArray, axis: int, index: npt.NDArray[np.int64], weight: npt.NDArray[np.float32], fill: float
) -> npt.NDArray:
    """Resample one axis; taps outside see the edge sample, targets whose centre is outside become `fill`."""
    size = array.shape[axis]
    matrix = np.zeros((len(index), size), dtype=np.float32)
    rows = np.repeat(np.arange(len(index)), index.shape[1])
    np.add.at(matrix, (rows, np.clip(index, 0, size - 1).ravel()), weight.ravel())
    moved = np.moveaxis(array, axis, 0)
    flat = moved.reshape(size, -1).astype(np.float32, copy=False)
    out = (matrix @ flat).reshape(len(index), *moved.shape[1:])
    inside = (weight * ((index >= 0) & (index < size))).sum(axis=1)
    out[inside < 0.5] = fill
    return np.moveaxis(out, 0, axis)
