"""A grid: where the samples of an array lie in the patient."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import numpy.typing as npt

from radfoundry.errors import GeometryError

__all__ = ["Grid"]

# Directions read from files carry single-precision noise of about 1e-6; 1e-3 is 0.06 degrees.
_ORTHONORMAL = 1e-3


@dataclass(frozen=True)
class Grid:
    """The sampling grid of a volume (z, y, x) or a picture (y, x).

    shape: samples along (z, y, x); spacing: distance between samples along (z, y, x), in `unit`; origin: centre of the first sample,
    (x, y, z) in LPS; direction: row-major n x n matrix whose *columns* are the LPS unit vectors of the x, y (, z) index axes.
    unit: "mm", or "pixel" where a picture's size in the patient is not known.
    Raises GeometryError for spacings that are not positive and finite, and for directions that are not orthonormal.
    """

    shape: tuple[int, ...]
    spacing: tuple[float, ...]
    origin: tuple[float, ...]
    direction: tuple[float, ...]
    unit: Literal["mm", "pixel"] = "mm"

    def __post_init__(self) -> None:
        n = len(self.shape)
        if n not in (2, 3) or len(self.spacing) != n or len(self.origin) != n or len(self.direction) != n * n:
            raise GeometryError(
                "a grid has two or three axes", f"shape {self.shape}, spacing {self.spacing}", code="grid-axes"
            )
        if min(self.shape) < 1:
            raise GeometryError(
                "a grid has at least one sample along each axis", f"shape {self.shape}", code="grid-empty"
            )
        if not np.all(np.isfinite(self.spacing)) or min(self.spacing) <= 0:
            raise GeometryError(
                "spacings are positive", f"got {self.spacing}", "correct the header", code="grid-spacing"
            )
        if not np.all(np.isfinite(self.origin)):
            raise GeometryError("an origin is finite", f"got {self.origin}", "correct the header", code="grid-origin")
        matrix = self.direction_matrix
        if not np.all(np.isfinite(matrix)) or not np.allclose(matrix.T @ matrix, np.eye(n), atol=_ORTHONORMAL):
            raise GeometryError(
                "the axes of a grid stand at right angles",
                f"direction {np.round(matrix, 4).tolist()}",
                "resample the sheared volume to a rectangular grid first",
                code="grid-sheared",
            )

    @classmethod
    def axial(
        cls,
        shape: tuple[int, int, int],
        spacing: tuple[float, float, float],
        origin: tuple[float, float, float] = (0.0, 0.0, 0.0),
    ) -> Grid:
        """Return a canonical 3D grid whose axes are the patient's."""
        return cls(tuple(shape), tuple(map(float, spacing)), tuple(map(float, origin)), _identity(3))

    @classmethod
    def picture(cls, shape: tuple[int, int], spacing: tuple[float, float] | None = None) -> Grid:
        """Return a 2D grid (y, x); without a spacing its unit is the pixel."""
        known = spacing is not None
        return cls(
            tuple(shape), tuple(map(float, spacing or (1.0, 1.0))), (0.0, 0.0), _identity(2), "mm" if known else "pixel"
        )

    @classmethod
    def from_affine(cls, shape: tuple[int, ...], affine: npt.NDArray[np.float64]) -> Grid:
        """Return the grid of an LPS affine that maps index (x, y, z, 1) to millimetres.

        shape is (z, y, x). Raises GeometryError for a singular or sheared affine.
        """
        linear = np.asarray(affine, dtype=np.float64)[:3, :3]
        spacing_xyz = np.linalg.norm(linear, axis=0)
        if not np.all(np.isfinite(spacing_xyz)) or np.any(spacing_xyz == 0):
            raise GeometryError(
                "the affine of a volume can be inverted", f"column lengths {spacing_xyz}", code="affine-singular"
            )
        direction = linear / spacing_xyz
        return cls(
            tuple(int(s) for s in shape),
            tuple(float(s) for s in spacing_xyz[::-1]),
            tuple(float(o) for o in affine[:3, 3]),
            tuple(float(d) for d in direction.ravel()),
        )

    @property
    def ndim(self) -> int:
        """Number of axes, 2 or 3."""
        return len(self.shape)

    @property
    def direction_matrix(self) -> npt.NDArray[np.float64]:
        """n x n; column j is the LPS unit vector of index axis j in (x, y, z) order."""
        return np.asarray(self.direction, dtype=np.float64).reshape(self.ndim, self.ndim)

    @property
    def affine(self) -> npt.NDArray[np.float64]:
        """(n+1) x (n+1) LPS matrix from index (x, y(, z), 1) to world."""
        n = self.ndim
        matrix = np.eye(n + 1)
        matrix[:n, :n] = self.direction_matrix * np.asarray(self.spacing[::-1])
        matrix[:n, n] = self.origin
        return matrix

    @property
    def voxel_mm3(self) -> float:
        """Volume of a voxel in mm3 (area of a pixel in mm2); in pixels where the unit is the pixel."""
        return float(np.prod(self.spacing))

    def to_world(self, index_zyx: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Map index coordinates (..., zyx), sample centres at whole numbers, to world (..., xyz)."""
        index_xyz = np.asarray(index_zyx, dtype=np.float64)[..., ::-1]
        n = self.ndim
        return index_xyz @ self.affine[:n, :n].T + np.asarray(self.origin)

    def to_index(self, world_xyz: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Map world coordinates (..., xyz) to index coordinates (..., zyx); the inverse of `to_world`."""
        n = self.ndim
        shifted = np.asarray(world_xyz, dtype=np.float64) - np.asarray(self.origin)
        index: npt.NDArray[np.float64] = (shifted @ np.linalg.inv(self.affine[:n, :n]).T)[..., ::-1]
        return index

    def matches(self, other: Grid, tolerance: float = 1e-3) -> bool:
        """Say whether both grids put every sample at the same place, to `tolerance` of a sample at the far corner."""
        if self.shape != other.shape:
            return False
        corners = np.stack([np.zeros(self.ndim), np.asarray(self.shape) - 1.0])
        return bool(
            np.all(np.abs(other.to_index(self.to_world(corners)) - corners) < tolerance * np.asarray(self.shape))
        )

    def with_shape(self, shape: tuple[int, ...]) -> Grid:
        """Return the grid with the same first sample and another number of samples."""
        return replace(self, shape=tuple(shape))


def _identity(n: int) -> tuple[float, ...]:
    return tuple(float(v) for v in np.eye(n).ravel())
