"""The canvas that a patient is painted on: HU, organs and lesions on one grid, with partial volume at every edge.

Shapes are exact in millimetres (x to the left, y to the back, z to the head, the origin at the patient's middle), so that the same
patient can be painted at any resolution. A shape is a `Patch`: which samples it can touch, and how much of each it covers.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from radfoundry.geometry import Grid

__all__ = ["Canvas", "Field", "Patch", "Point", "Points", "capsule_depth", "deepest", "ellipsoid_depth"]

Point = tuple[float, float, float]
Field = npt.NDArray[np.float32]


class Patch(NamedTuple):
    """The part of the canvas that a shape touches, and the covered fraction (0 to 1) of every sample in it."""

    where: tuple[slice, slice, slice]
    cover: Field


class Points(NamedTuple):
    """Places in patient millimetres, as arrays that broadcast against each other in the order [z, y, x]."""

    x: Field
    y: Field
    z: Field


class Canvas:
    """HU (float32), organs and lesions (uint8) on a grid; `centre` is where the patient's origin lies in the grid's world."""

    def __init__(self, grid: Grid, centre: Point) -> None:
        self.grid = grid
        self.hu = np.full(grid.shape, -1000, dtype=np.float32)
        self.organs = np.zeros(grid.shape, dtype=np.uint8)
        self.lesions = np.zeros(grid.shape, dtype=np.uint8)
        # the width over which a sample passes from outside to inside: its mean edge
        self.blur_mm = sum(grid.spacing) / 3
        self._first_xyz = [o - c for o, c in zip(grid.origin, centre, strict=True)]
        x, y, z = (
            np.asarray([first + i * step for i in range(n)], dtype=np.float32)
            for first, n, step in zip(self._first_xyz, grid.shape[::-1], grid.spacing[::-1], strict=True)
        )
        self.points = Points(x[None, None, :], y[None, :, None], z[:, None, None])

    def cover(self, depth_mm: Field) -> Field:
        """Return the covered fraction of samples that lie `depth_mm` inside a surface (negative outside)."""
        cover: Field = depth_mm * np.float32(1 / self.blur_mm)
        cover += np.float32(0.5)
        np.maximum(cover, 0, out=cover)
        return np.minimum(cover, 1, out=cover)

    def patch(self, depth_mm: Field) -> Patch:
        """Return a shape that is given by its depth at every sample."""
        return Patch((slice(None),) * 3, self.cover(depth_mm))

    def ellipsoid(self, centre: Point, radii: Point, turn: Sequence[Point] | None = None) -> Patch:
        """Return an ellipsoid; `turn` holds the three unit vectors along which the radii lie (the patient's axes by default)."""
        reach = radii if turn is None else (max(radii),) * 3
        where, at = self.around([(c - r, c + r) for c, r in zip(centre, reach, strict=True)])
        return Patch(where, self.cover(ellipsoid_depth(at, centre, radii, turn)))

    def tube(self, path: Sequence[Point], radii_mm: Sequence[float]) -> Patch:
        """Return a tube through the points of a path, with a radius at each point."""
        widest = max(radii_mm)
        ends = [(min(p[i] for p in path) - widest, max(p[i] for p in path) + widest) for i in range(3)]
        where, at = self.around(ends)
        pieces = zip(path, path[1:], radii_mm, radii_mm[1:], strict=False)
        return Patch(where, self.cover(deepest([capsule_depth(at, *piece) for piece in pieces])))

    def paint(self, patch: Patch, hu: float | Field, *, organ: int = 0, lesion: int = 0) -> None:
        """Blend a patch into the HU; where it covers at least half a sample it also names it."""
        here = self.hu[patch.where]
        here += patch.cover * (hu - here)
        if organ:
            self.organs[patch.where][patch.cover >= 0.5] = organ
        if lesion:
            self.lesions[patch.where][patch.cover >= 0.5] = lesion

    def around(self, ends_xyz: Sequence[tuple[float, float]]) -> tuple[tuple[slice, slice, slice], Points]:
        """Return the samples between two corners, a sample's width added, and their places."""
        cuts = []
        for first, step, n, (low, high) in zip(
            self._first_xyz, self.grid.spacing[::-1], self.grid.shape[::-1], ends_xyz, strict=True
        ):
            start = min(max(math.ceil((low - self.blur_mm - first) / step), 0), n)
            stop = min(max(math.floor((high + self.blur_mm - first) / step) + 1, start), n)
            cuts.append(slice(start, stop))
        x, y, z = cuts
        return (z, y, x), Points(self.points.x[:, :, x], self.points.y[:, y], self.points.z[z])


def ellipsoid_depth(at: Points, centre: Point, radii: Point, turn: Sequence[Point] | None = None) -> Field:
    """Return about how many millimetres each place lies inside an ellipsoid (exact at the surface to first order)."""
    x, y, z = at.x - np.float32(centre[0]), at.y - np.float32(centre[1]), at.z - np.float32(centre[2])
    if turn is not None:
        x, y, z = (x * np.float32(u[0]) + y * np.float32(u[1]) + z * np.float32(u[2]) for u in turn)
    squares = [(axis * np.float32(1 / r)) ** 2 for axis, r in zip((x, y, z), radii, strict=True)]
    inner = np.sqrt(squares[0] + squares[1] + squares[2])
    slope = np.sqrt(sum(s * np.float32(1 / (r * r)) for s, r in zip(squares, radii, strict=True)) + np.float32(1e-9))
    depth: Field = np.minimum(inner * (1 - inner) / slope, np.float32(min(radii)))
    return depth


def capsule_depth(at: Points, a: Point, b: Point, radius_a: float, radius_b: float) -> Field:
    """Return how many millimetres each place lies inside the tube from a to b whose radius changes evenly."""
    along = [float(q - p) for p, q in zip(a, b, strict=True)]
    length2 = sum(v * v for v in along) or 1.0
    x, y, z = (axis - np.float32(p) for axis, p in zip(at, a, strict=True))
    t = np.clip((x * np.float32(along[0]) + y * np.float32(along[1]) + z * np.float32(along[2])) / length2, 0, 1)
    distance2 = sum((axis - t * np.float32(v)) ** 2 for axis, v in zip((x, y, z), along, strict=True))
    depth: Field = np.float32(radius_a) + t * np.float32(radius_b - radius_a) - np.sqrt(distance2)
    return depth


def deepest(depths: Sequence[Field]) -> Field:
    """Return the depth in the union of several shapes."""
    union = depths[0]
    for depth in depths[1:]:
        union = np.maximum(union, depth)
    return union
