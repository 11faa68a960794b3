"""Distances between the surfaces of two masks, with both definitions of a surface that published figures use.

"voxel": the centres of the mask's voxels that touch the outside by a face, all of equal weight (MONAI, medpy).
"surfel": the corners between voxels that the surface passes, weighted by the area there (DeepMind's surface-distance).
The two give different numbers for the same masks, so the name of every score says which it is.
A mask cut off by the edge of the picture has a surface there.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import edt
import numpy as np
import numpy.typing as npt

from radfoundry.metrics.intervals import FloatArray
from radfoundry.metrics.overlap import MaskLike, as_mask, check_same_shape
from radfoundry.metrics.surfels import neighbour_codes, surfel_areas

__all__ = ["Surface", "SurfaceDistances", "surface_distances"]

Surface = Literal["voxel", "surfel"]
BoolArray = npt.NDArray[np.bool_]


class SurfaceDistances(NamedTuple):
    """Distances in mm from each surface element of one mask to the other's surface, and the elements' weights.

    Where one mask is empty the other's distances are infinite; `diagonal_mm` is that of the whole grid.
    """

    predicted_mm: FloatArray
    true_mm: FloatArray
    predicted_weight: FloatArray
    true_weight: FloatArray
    surface: Surface
    diagonal_mm: float

    @property
    def both_empty(self) -> bool:
        return self.predicted_mm.size == self.true_mm.size == 0

    @property
    def one_empty(self) -> bool:
        return not self.both_empty and (self.predicted_mm.size == 0 or self.true_mm.size == 0)

    def hausdorff_mm(self, percent: float = 100.0) -> float:
        """The larger of the two directed distances at a percentile; infinite if one mask is empty, NaN if both are."""
        if self.both_empty or self.one_empty:
            return self._without_surface
        return max(
            self._percentile(self.predicted_mm, self.predicted_weight, percent),
            self._percentile(self.true_mm, self.true_weight, percent),
        )

    def mean_mm(self) -> float:
        """The weighted mean over the elements of both surfaces (ASSD); infinite or NaN as above."""
        if self.both_empty or self.one_empty:
            return self._without_surface
        total = self.predicted_mm @ self.predicted_weight + self.true_mm @ self.true_weight
        return float(total / (self.predicted_weight.sum() + self.true_weight.sum()))

    def within(self, tolerance_mm: float) -> float:
        """The share of both surfaces that lies at most `tolerance_mm` from the other (NSD); NaN if both are empty."""
        near = (
            self.predicted_weight[self.predicted_mm <= tolerance_mm].sum()
            + self.true_weight[self.true_mm <= tolerance_mm].sum()
        )
        total = self.predicted_weight.sum() + self.true_weight.sum()
        return float(near / total) if total else np.nan

    @property
    def _without_surface(self) -> float:
        return np.nan if self.both_empty else np.inf

    def _percentile(self, distances: FloatArray, weights: FloatArray, percent: float) -> float:
        if self.surface == "voxel":
            return float(np.percentile(distances, percent))
        order = np.argsort(distances)
        reached = np.cumsum(weights[order]) / weights.sum()
        return float(distances[order[min(int(np.searchsorted(reached, percent / 100)), len(order) - 1)]])


def surface_distances(
    prediction: MaskLike,
    reference: MaskLike,
    spacing_mm: tuple[float, ...],
    surface: Surface = "voxel",
    threshold: float = 0.5,
) -> SurfaceDistances:
    """Measure two masks `[z, y, x]` or `[y, x]` on one grid of `spacing_mm` in the same axis order.

    Raises:
        MismatchError: the shapes differ.
    """
    check_same_shape(prediction, reference)
    predicted, true = as_mask(prediction, threshold), as_mask(reference, threshold)
    spacing = tuple(float(step) for step in spacing_mm)
    diagonal = float(np.linalg.norm(np.multiply(predicted.shape, spacing)))
    window = _window(predicted | true)
    said, said_weight = _elements(predicted[window], surface, spacing)
    real, real_weight = _elements(true[window], surface, spacing)
    return SurfaceDistances(
        _distances(said, real, spacing), _distances(real, said, spacing), said_weight, real_weight, surface, diagonal
    )


def _window(mask: BoolArray) -> tuple[slice, ...]:
    """The smallest box around a mask, so that the distance transform runs on no more than it must."""
    window: list[slice] = []
    for _ in range(mask.ndim):
        rest = mask[tuple(window)]
        along = np.flatnonzero(rest.any(axis=tuple(a for a in range(mask.ndim) if a != len(window))))
        window.append(slice(int(along[0]), int(along[-1]) + 1) if along.size else slice(0, 1))
    return tuple(window)


def _elements(mask: BoolArray, surface: Surface, spacing: tuple[float, ...]) -> tuple[BoolArray, FloatArray]:
    """Where the elements of a mask's surface are, and the weight of each in the order of the array."""
    padded = np.pad(mask, 1)
    if surface == "surfel":
        codes = neighbour_codes(padded)
        border = (codes != 0) & (codes != 2**2**mask.ndim - 1)
        return border, surfel_areas(spacing)[codes[border]]
    border = padded & ~_with_all_neighbours(padded)
    return border, np.ones(int(np.count_nonzero(border)))


def _with_all_neighbours(padded: BoolArray) -> BoolArray:
    """Voxels whose neighbours across every face are inside too (erosion by a cross; the outer layer is outside)."""
    core = padded.copy()
    for axis in range(padded.ndim):
        lower = tuple(slice(None, -1) if a == axis else slice(None) for a in range(padded.ndim))
        upper = tuple(slice(1, None) if a == axis else slice(None) for a in range(padded.ndim))
        core[lower] &= padded[upper]
        core[upper] &= padded[lower]
    return core


def _distances(start: BoolArray, goal: BoolArray, spacing: tuple[float, ...]) -> FloatArray:
    if not goal.any():
        return np.full(int(np.count_nonzero(start)), np.inf)
    # squares of a uint8 array: twice as fast as edt.edt of the same array as bool, and roots only where they are needed
    squares = edt.edtsq((~goal).view(np.uint8), anisotropy=spacing, parallel=1)
    return np.sqrt(squares[start], dtype=np.float64)
