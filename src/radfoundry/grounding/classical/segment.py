"""The segmenter: shrink to a working grid, find body, airway, lungs and bone there, sharpen the lungs' edge on the full grid."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from radfoundry.errors import GeometryError
from radfoundry.geometry import Grid
from radfoundry.grounding.classical.airway import find_airway
from radfoundry.grounding.classical.body import find_body
from radfoundry.grounding.classical.bone import find_bone
from radfoundry.grounding.classical.lungs import AIR_HU, find_lungs
from radfoundry.grounding.classical.morphology import Mask, grow, shrink

__all__ = ["NAMES", "ClassicalSegmentation", "segment_ct"]

NAMES = {1: "body", 2: "left lung", 3: "right lung", 4: "trachea and bronchi", 5: "bone"}

# fine enough for lungs and airway, coarse enough for seconds
WORKING_MM = 1.5


@dataclass(frozen=True)
class ClassicalSegmentation:
    """labels: uint8 [z, y, x] on the grid given; names: value -> region. The body's label is what no other label took."""

    labels: npt.NDArray[np.uint8]
    names: dict[int, str]


def segment_ct(volume_hu: npt.NDArray, grid: Grid) -> ClassicalSegmentation:
    """Return body, lungs, airway and bone of a CT: [z, y, x] in HU on a canonical grid in mm.

    Lungs hold their vessels and small nodules, not the airway, and not what is as dense as muscle at the wall (effusion, large
    consolidation). Padding below -1024 HU counts as air. Raises GeometryError where the grid is not a volume in mm.
    """
    if grid.ndim != 3 or grid.unit != "mm":
        raise GeometryError(
            "the segmenter needs a volume in mm", f"got {grid.ndim} axes in {grid.unit}", code="not-a-volume"
        )
    factors = tuple(max(1, math.floor(WORKING_MM / s + 0.5)) for s in grid.spacing)
    hu = block_mean(volume_hu, factors)
    spacing = tuple(s * f for s, f in zip(grid.spacing, factors, strict=True))
    body = find_body(hu, spacing)
    if not body.any():
        return ClassicalSegmentation(np.zeros(grid.shape, dtype=np.uint8), dict(NAMES))
    airway = find_airway(hu, body, spacing)
    lungs = find_lungs(hu, body, airway, spacing)
    bone = find_bone(hu, body, lungs.left | lungs.right, spacing)
    labels = np.zeros(grid.shape, dtype=np.uint8)
    labels[_spread(body | lungs.left | lungs.right, factors, grid.shape)] = 1
    labels[_spread(bone, factors, grid.shape) & (labels == 1)] = 5
    for value, lung in ((2, lungs.left), (3, lungs.right)):
        labels[_sharpen(lung, airway, volume_hu, factors, spacing)] = value
    labels[_spread(airway, factors, grid.shape)] = 4
    return ClassicalSegmentation(labels, dict(NAMES))


def block_mean(volume: npt.NDArray, factors: tuple[int, ...]) -> npt.NDArray[np.float32]:
    """Return means over blocks of `factors` samples, padding clipped to air; the last block repeats the edge if it is cut."""
    missing = [(0, -n % f) for n, f in zip(volume.shape, factors, strict=True)]
    whole = np.pad(volume, missing, mode="edge") if any(m[1] for m in missing) else volume
    out = np.zeros(tuple(n // f for n, f in zip(whole.shape, factors, strict=True)), dtype=np.float32)
    for first in np.ndindex(*factors):
        part = whole[tuple(slice(start, None, f) for start, f in zip(first, factors, strict=True))]
        out += np.clip(part, -1024, 3071)
    out /= math.prod(factors)
    return out


def _spread(mask: Mask, factors: tuple[int, ...], shape: tuple[int, ...]) -> Mask:
    """Return a working mask on the full grid."""
    for axis, factor in enumerate(factors):
        mask = mask.repeat(factor, axis) if factor > 1 else mask
    return mask[tuple(slice(n) for n in shape)]


def _sharpen(
    lung: Mask, airway: Mask, volume: npt.NDArray, factors: tuple[int, ...], spacing: tuple[float, ...]
) -> Mask:
    """Return a lung on the full grid: sure a working sample inside its edge, by the threshold around it."""
    if max(factors) == 1:
        return lung
    step = max(spacing[1:]) * 1.01
    inner = _spread(shrink(lung, spacing, step), factors, volume.shape)
    outer = _spread(grow(lung, spacing, step) & ~airway, factors, volume.shape)
    return inner | (outer & (volume < AIR_HU))
