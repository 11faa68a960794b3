"""From slices with places to one volume: their order, the grid they make, or the reason why they make none.

Slices are sorted by where they lie along their normal; file names and instance numbers are not geometry.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from radfoundry.errors import GeometryError
from radfoundry.geometry import Grid

__all__ = ["Place", "Stack", "stack"]

# cosines that differ by less are one orientation (0.6 degrees)
_SAME_DIRECTION = 1e-2
# share of the slice distance by which a slice may lie off its place: silent, and with a note
_EVEN, _NEARLY_EVEN = 0.01, 0.1
# share of a pixel by which a whole stack may drift sideways
_DRIFT_PIXELS = 1.0


@dataclass(frozen=True)
class Place:
    """Where one slice lies: rows and columns, first pixel (x, y, z), row and column direction, (row, column) spacing in mm."""

    shape: tuple[int, int]
    position: tuple[float, ...]
    orientation: tuple[float, ...]
    spacing: tuple[float, ...]
    thickness: float | None = None

    @property
    def normal(self) -> npt.NDArray[np.float64]:
        """The unit vector that stands on the slice: row direction x column direction."""
        across, down = np.asarray(self.orientation[:3]), np.asarray(self.orientation[3:])
        vector = np.cross(across, down)
        return vector / max(float(np.linalg.norm(vector)), 1e-12)


@dataclass(frozen=True)
class Stack:
    """`order[i]` is the given slice that lies at i along z of `grid`, the grid of the array [slice, row, column]."""

    order: tuple[int, ...]
    grid: Grid
    notes: tuple[str, ...]


def stack(places: Sequence[Place], what: str, *, least: int = 3) -> Stack:
    """Return the order and the grid of slices that make a volume; 2 to `least` - 1 slices are too few.

    Raises GeometryError with the code mixed-size, mixed-orientation, too-few-slices, same-position, repeated-slices, gantry-tilt,
    missing-slices or uneven-slices.
    """
    _check_alike(places, what)
    if len(places) == 1:
        return _single(places[0])
    if len(places) < least:
        raise GeometryError(
            f"{what} has too few slices",
            f"only {len(places)} slices: one distance cannot be checked against another",
            "find the missing slices, or read each slice as a picture",
            code="too-few-slices",
        )
    normal = places[0].normal
    positions = np.asarray([place.position for place in places], dtype=np.float64)
    heights = positions @ normal
    order = np.argsort(heights, kind="stable")
    heights, positions = heights[order], positions[order]
    gaps = np.diff(heights)
    _check_repeats(gaps, what)
    _check_tilt(positions, gaps, normal, min(places[0].spacing), what)
    step, notes = _even_step(heights, gaps, what)
    return Stack(tuple(int(i) for i in order), _grid(places[int(order[0])], len(places), step), notes)


def _check_alike(places: Sequence[Place], what: str) -> None:
    first = places[0]
    shapes = sorted({place.shape for place in places})
    if len(shapes) > 1:
        raise GeometryError(
            f"{what} mixes slices of different size",
            f"rows x columns: {', '.join(f'{r}x{c}' for r, c in shapes[:4])}",
            "split the series by size",
            code="mixed-size",
        )
    directions = np.asarray([place.orientation for place in places], dtype=np.float64)
    if np.abs(directions - directions[0]).max() > _SAME_DIRECTION:
        kinds = np.unique(np.round(directions, 1), axis=0)
        raise GeometryError(
            f"{what} has mixed orientations",
            f"its {len(places)} slices lie in {len(kinds)} different planes",
            "split the series by ImageOrientationPatient; a volume needs at least 3 slices of one orientation",
            code="mixed-orientation",
        )
    if any(not np.allclose(place.spacing, first.spacing, rtol=1e-3) for place in places):
        raise GeometryError(
            f"{what} mixes pixel spacings", mend="split the series by PixelSpacing", code="mixed-spacing"
        )


def _single(place: Place) -> Stack:
    known = place.thickness is not None and place.thickness > 0
    notes = (
        "single-slice: one slice; its depth is " + ("the slice thickness" if known else "not known, taken as 1 mm"),
    )
    return Stack((0,), _grid(place, 1, float(place.thickness or 1.0) if known else 1.0), notes)


def _check_repeats(gaps: npt.NDArray[np.float64], what: str) -> None:
    repeats = int(np.sum(gaps < 1e-3))
    if repeats == len(gaps):
        raise GeometryError(
            f"{what} has all slices at the same position",
            f"{len(gaps) + 1} slices share one ImagePositionPatient, as in bolus monitoring: a time series, not a volume",
            "read each slice as a picture",
            code="same-position",
        )
    if repeats:
        raise GeometryError(
            f"{what} has repeated slices",
            f"{repeats} of {len(gaps) + 1} slices lie where another one lies, and no tag tells them apart",
            "remove the second copy, or split the series by acquisition",
            code="repeated-slices",
        )


def _check_tilt(
    positions: npt.NDArray[np.float64],
    gaps: npt.NDArray[np.float64],
    normal: npt.NDArray[np.float64],
    pixel_mm: float,
    what: str,
) -> None:
    travel = positions[-1] - positions[0]
    height = float(travel @ normal)
    sideways = float(np.linalg.norm(travel - height * normal))
    offsets = positions - positions[0]
    wander = np.linalg.norm(offsets - np.outer(offsets @ normal, normal), axis=1).max()
    if wander <= _DRIFT_PIXELS * pixel_mm:
        return
    if sideways < 0.5 * wander:
        raise GeometryError(
            f"{what} has slices shifted against each other",
            f"by up to {wander:.1f} mm in their own plane",
            "resample the slices to one grid first",
            code="shifted-slices",
        )
    degrees = np.degrees(np.arctan2(sideways, height))
    uneven = (
        f"; distances between slices run from {gaps.min():.2f} to {gaps.max():.2f} mm"
        if np.ptp(gaps) > 0.05 * gaps.min()
        else ""
    )
    raise GeometryError(
        f"{what} was taken with a tilted gantry",
        f"the slices stand {degrees:.1f} degrees off the direction in which they advance: a sheared grid{uneven}",
        "correct the shear and resample to a rectangular grid first",
        code="gantry-tilt",
    )


def _even_step(
    heights: npt.NDArray[np.float64], gaps: npt.NDArray[np.float64], what: str
) -> tuple[float, tuple[str, ...]]:
    step = float(heights[-1] - heights[0]) / len(gaps)
    off = float(np.abs(heights - (heights[0] + step * np.arange(len(heights)))).max()) / step
    if off <= _EVEN:
        return step, ()
    if off <= _NEARLY_EVEN:
        return step, (f"uneven-slices: slices lie up to {off:.1%} of their distance off an even grid",)
    multiples = gaps / gaps.min()
    whole = np.round(multiples)
    if np.all(np.abs(multiples - whole) < 0.1 * whole) and whole.max() > 1:
        (where,) = np.nonzero(whole > 1)
        raise GeometryError(
            f"{what} misses slices",
            f"{int((whole - 1).sum())} missing: the step is {gaps.min():.3g} mm, but "
            + ", ".join(f"{gaps[i]:.4g} mm from {heights[i]:.2f} to {heights[i + 1]:.2f}" for i in where[:3]),
            "fetch the series again; without them nothing can be measured across the gap",
            code="missing-slices",
        )
    raise GeometryError(
        f"{what} has uneven slices",
        f"distances between slices run from {gaps.min():.2f} to {gaps.max():.2f} mm",
        "resample to an even grid first",
        code="uneven-slices",
    )


def _grid(first: Place, count: int, step: float) -> Grid:
    across, down = np.asarray(first.orientation[:3]), np.asarray(first.orientation[3:])
    # exact right angles: files write directions with few digits
    across = across / np.linalg.norm(across)
    down = down - (down @ across) * across
    down = down / np.linalg.norm(down)
    direction = np.stack([across, down, np.cross(across, down)], axis=1)
    return Grid(
        (count, *first.shape),
        (step, float(first.spacing[0]), float(first.spacing[1])),
        tuple(float(p) for p in first.position),
        tuple(float(d) for d in direction.ravel()),
    )
