"""How much surface lies between neighbouring voxels: an area for each way 2x2x2 (or 2x2) voxels can be in or out.

The surface runs through the middles of the edges between an inside and an outside voxel centre (marching cubes).
The areas equal those of DeepMind's surface-distance package in any spacing, but are derived here, not looked up.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import pairwise, product
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from radfoundry.metrics.intervals import FloatArray

__all__ = ["neighbour_codes", "surfel_areas"]

Corner = tuple[int, ...]
Edge = frozenset[Corner]
Points = Sequence[FloatArray]
Triangles = tuple[tuple[int, int, int], ...]


def neighbour_codes(padded: npt.NDArray[np.bool_]) -> npt.NDArray[np.uint8]:
    """For each block of 2 voxels an axis in a mask padded by a layer of outside: which of its corners are inside.

    The corner at offset (z, y, x) sets bit 4z + 2y + x (in 2D 2y + x); the result is one shorter along each axis.
    """
    codes = np.zeros([size - 1 for size in padded.shape], dtype=np.uint8)
    for bit, corner in enumerate(product((0, 1), repeat=padded.ndim)):
        window = padded[tuple(slice(at, size - 1 + at) for at, size in zip(corner, padded.shape, strict=True))]
        codes |= window.astype(np.uint8) << bit
    return codes


@lru_cache(maxsize=256)
def surfel_areas(spacing_mm: tuple[float, ...]) -> FloatArray:
    """The area in mm2 (in 2D the length in mm) of the surface in a block, by its code: `[256]` or `[16]`."""
    pieces = _unit_pieces(len(spacing_mm))
    scale = np.array(spacing_mm, dtype=np.float64)
    stretch = np.prod(scale) / scale if len(scale) == 3 else scale  # a normal grows with the two other axes
    areas = np.linalg.norm(pieces.vectors * stretch, axis=1)
    return np.asarray(np.bincount(pieces.codes, weights=areas, minlength=2**2 ** len(scale)), dtype=np.float64)


class _Pieces(NamedTuple):
    """Triangles of the surface as normals as long as their areas (in 2D: segments as vectors), with their codes."""

    codes: npt.NDArray[np.intp]
    vectors: FloatArray


@lru_cache(maxsize=2)
def _unit_pieces(axes: int) -> _Pieces:
    corners = list(product((0, 1), repeat=axes))
    pieces = _segments if axes == 2 else _normals
    found = [
        (code, vector)
        for code in range(2 ** len(corners))
        for vector in pieces({corner for bit, corner in enumerate(corners) if code >> bit & 1})
    ]
    return _Pieces(np.array([code for code, _ in found]), np.array([vector for _, vector in found]))


def _segments(inside: set[Corner]) -> list[FloatArray]:
    square = ((0, 0), (0, 1), (1, 1), (1, 0))
    return [_middle(a) - _middle(b) for a, b in _cuts(square, inside, around_inside=True)]


def _normals(inside: set[Corner]) -> list[FloatArray]:
    return [_normal(loop, triangle) for loop in _loops(inside) for triangle in _triangulation(loop)]


def _loops(inside: set[Corner]) -> list[Points]:
    """The closed polygons in which the surface cuts the cube, as the middles of cut edges.

    Where a face is cut four times, the corners of the smaller side are cut off one by one, so that a code and its
    complement have the same surface.
    """
    links: dict[Edge, list[Edge]] = {}
    for face in _faces():
        for a, b in _cuts(face, inside, len(inside) <= 4):
            links.setdefault(a, []).append(b)
            links.setdefault(b, []).append(a)
    loops: list[Points] = []
    while links:
        at, loop = next(iter(links)), []
        while at in links:
            loop.append(at)
            at = next((edge for edge in links.pop(at) if edge in links), at)
        loops.append([_middle(edge) for edge in loop])
    return loops


def _faces() -> Iterator[tuple[Corner, ...]]:
    for axis, side in product(range(3), (0, 1)):
        yield tuple((*rim[:axis], side, *rim[axis:]) for rim in ((0, 0), (0, 1), (1, 1), (1, 0)))


def _cuts(face: Sequence[Corner], inside: set[Corner], around_inside: bool) -> list[tuple[Edge, Edge]]:
    """The line segments of the surface on a square face, each from one cut edge to another."""
    edges = [frozenset(pair) for pair in pairwise((*face, face[0]))]
    cut = [edge for edge in edges if len(edge & inside) == 1]
    if len(cut) < 4:
        return [(cut[0], cut[1])] if cut else []
    return [(edges[at - 1], edges[at]) for at in range(4) if (face[at] in inside) == around_inside]


def _middle(edge: Edge) -> FloatArray:
    return np.asarray(np.mean([*edge], axis=0))


def _triangulation(loop: Points) -> Triangles:
    """The triangulation with the largest area in a cube of equal sides; those that tie agree in every spacing."""
    return max(_triangulations(0, len(loop) - 1), key=lambda triangles: round(_area(loop, triangles), 9))


def _triangulations(first: int, last: int) -> list[Triangles]:
    """All ways to cut the polygon of points `first..last` into triangles."""
    if last - first < 2:
        return [()]
    return [
        (*before, *after, (first, apex, last))
        for apex in range(first + 1, last)
        for before in _triangulations(first, apex)
        for after in _triangulations(apex, last)
    ]


def _area(points: Points, triangles: Triangles) -> float:
    return sum(float(np.linalg.norm(_normal(points, triangle))) for triangle in triangles)


def _normal(points: Points, triangle: tuple[int, int, int]) -> FloatArray:
    a, b, c = (points[at] for at in triangle)
    return np.cross(b - a, c - a) / 2
