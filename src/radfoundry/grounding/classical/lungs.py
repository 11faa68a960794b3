"""The lungs and their sides: air inside the body that is not airway and not gas in the bowel."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from radfoundry.grounding.classical.morphology import Labels, Mask, close, distance_mm, fill_slices, grow, pieces, sizes

__all__ = ["AIR_HU", "Lungs", "find_lungs"]

# half-way between lung and what lies beside it, fat (-480) or muscle (-400)
AIR_HU = -430.0
# gas is emptier than lung; its rim is not, so that a part tells
GAS_HU = -945.0
GAS_SHARE = 0.2
# emphysema may be as empty as gas, but no bowel is so large
LUNG_ML = 700.0
LEAST_ML = 6.0
# smaller pieces than this part of the largest have to lie beside a lung
MAIN_SHARE = 0.1
NEAR_MM = 8.0
# a ball of this radius does not enter a vessel's place in the lung's surface
CLOSE_MM = 8.0


class Lungs(NamedTuple):
    """The two lungs, either empty where it is not in the volume."""

    left: Mask
    right: Mask


def find_lungs(hu: npt.NDArray[np.float32], body: Mask, airway: Mask, spacing: tuple[float, ...]) -> Lungs:
    """Return both lungs with their vessels; fused lungs are parted where they are thinnest."""
    wall = grow(airway, spacing, 1.01 * max(spacing[1:])) if airway.any() else airway
    air = _without_gas(hu, (hu < AIR_HU) & body & ~wall, spacing)
    if not air.any():
        return Lungs(air, air)
    left, right = _part(air, body, spacing)
    # one slice at least, however thick slices are
    radius = max(CLOSE_MM, 1.02 * max(spacing))
    filled = [fill_slices(close(lung, spacing, radius)) & ~airway & body for lung in (left, right)]
    # where closing reached over the midline, the air itself decides
    return Lungs(filled[0] & ~right & ~(filled[1] & ~left), filled[1] & ~left)


def _without_gas(hu: npt.NDArray[np.float32], air: Mask, spacing: tuple[float, ...]) -> Mask:
    """Return the pieces that are large, and those beside them; nothing that is nearly empty."""
    labels = pieces(air)
    counts = sizes(labels)
    ml = counts * float(np.prod(spacing)) / 1000
    empty = np.bincount(labels.ravel(), weights=(hu < GAS_HU).ravel(), minlength=len(counts))
    gas = (empty > GAS_SHARE * np.maximum(counts, 1)) & (ml < LUNG_ML)
    lung = (ml >= LEAST_ML) & ~gas
    main = lung & (counts >= MAIN_SHARE * (counts * lung).max())
    near = np.zeros(len(counts), dtype=bool)
    near[np.unique(labels[grow(main[labels], spacing, NEAR_MM)])] = True
    return (main | (lung & (near | _at_the_height_of(main, labels))))[labels]


def _at_the_height_of(main: npt.NDArray[np.bool_], labels: Labels) -> npt.NDArray[np.bool_]:
    """Say for each piece whether half of it lies in slices that hold much of the lungs, as bowel does not."""
    area = main[labels].sum(axis=(1, 2))
    high = area > 0.25 * area.max()
    inside = np.bincount(labels[high].ravel(), minlength=len(main))
    beside: npt.NDArray[np.bool_] = inside > 0.5 * np.maximum(np.bincount(labels.ravel(), minlength=len(main)), 1)
    return beside


def _part(air: Mask, body: Mask, spacing: tuple[float, ...]) -> tuple[Mask, Mask]:
    """Return the air of the left and of the right lung: pieces by their side, a piece on both sides by its two deepest parts."""
    middle = float(np.mean(np.argwhere(body.any(axis=(0, 1)))))
    depth = distance_mm(air, spacing)
    for least in (0.0, 2.0, 4.0, 6.0, 9.0, 12.0, 16.0, 20.0):
        cores = pieces(depth > least)
        left, right = _sides(cores, middle, spacing)
        if left.any() and right.any():
            # what lies in between goes to the nearer side
            to_left, to_right = distance_mm(~left, spacing), distance_mm(~right, spacing)
            return air & (to_left <= to_right), air & (to_left > to_right)
    # one lung alone lies on one side; two that nothing parts are cut in the middle
    columns = np.arange(air.shape[2])
    share = float((air & (columns > middle)).sum()) / float(air.sum())
    if 0.2 < share < 0.8:
        return air & (columns > middle), air & (columns <= middle)
    nothing = np.zeros(air.shape, dtype=bool)
    return (air, nothing) if share >= 0.5 else (nothing, air)


def _sides(cores: npt.NDArray[np.uint32], middle: float, spacing: tuple[float, ...]) -> tuple[Mask, Mask]:
    """Return the large pieces on the left and on the right; none where one piece lies on both."""
    counts = sizes(cores)
    large = np.flatnonzero(counts >= 0.04 * counts.sum())
    left, right = np.zeros(len(counts), dtype=bool), np.zeros(len(counts), dtype=bool)
    for label in large:
        columns = np.bincount(np.argwhere(cores == label)[:, 2], minlength=cores.shape[2])
        share = columns[int(middle) + 1 :].sum() / columns.sum()
        if 0.12 < share < 0.88:
            return left[cores] & False, right[cores] & False
        (left if share >= 0.5 else right)[label] = True
    return left[cores], right[cores]
