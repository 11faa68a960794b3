"""From any of the 48 axis orders to the canonical one and back, by permuting and flipping alone."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import permutations

import numpy as np
import numpy.typing as npt

from radfoundry.geometry.grid import Grid

__all__ = ["Orientation", "canonicalise"]


@dataclass(frozen=True)
class Orientation:
    """How a stored array becomes a canonical one: `array.transpose(axes)`, then a flip of each axis marked in `flips`.

    axes[i] is the stored axis that becomes canonical axis i of (z, y, x); flips[i] says whether it is then reversed.
    """

    axes: tuple[int, ...]
    flips: tuple[bool, ...]

    @classmethod
    def of(cls, grid: Grid) -> Orientation:
        """Return the orientation nearest to canonical; ties go to the first permutation in lexical order."""
        n = grid.ndim
        # rows: patient axes z, y, x; columns: stored axes z, y, x
        cosines = grid.direction_matrix[::-1, ::-1]
        best = max(permutations(range(n)), key=lambda p: sum(abs(cosines[i, p[i]]) for i in range(n)))
        return cls(best, tuple(bool(cosines[i, best[i]] < 0) for i in range(n)))

    def apply(self, array: npt.NDArray) -> npt.NDArray:
        """Return the canonical view of a stored array (no copy)."""
        return array.transpose(self.axes)[tuple(slice(None, None, -1) if f else slice(None) for f in self.flips)]

    def invert(self, array: npt.NDArray) -> npt.NDArray:
        """Return the stored view of a canonical array (no copy); the exact inverse of `apply`."""
        flipped = array[tuple(slice(None, None, -1) if f else slice(None) for f in self.flips)]
        return flipped.transpose(np.argsort(self.axes))

    def apply_grid(self, grid: Grid) -> Grid:
        """Return the grid of the canonical array: every sample stays where it was in the patient."""
        n = grid.ndim
        shape = tuple(grid.shape[a] for a in self.axes)
        spacing = tuple(grid.spacing[a] for a in self.axes)
        first = np.zeros(n)
        for axis, flip in zip(self.axes, self.flips, strict=True):
            first[axis] = grid.shape[axis] - 1 if flip else 0
        columns_zyx = grid.direction_matrix[:, ::-1]
        signs = np.where(self.flips, -1.0, 1.0)
        direction = (columns_zyx[:, list(self.axes)] * signs)[:, ::-1] + 0.0
        return Grid(
            shape,
            spacing,
            tuple(float(v) for v in grid.to_world(first)),
            tuple(float(v) for v in direction.ravel()),
            grid.unit,
        )


def canonicalise(array: npt.NDArray, grid: Grid) -> tuple[npt.NDArray, Grid, Orientation]:
    """Return array and grid in the nearest orthogonal orientation to LPS, and the way back; never resamples."""
    orientation = Orientation.of(grid)
    return np.ascontiguousarray(orientation.apply(array)), orientation.apply_grid(grid), orientation
